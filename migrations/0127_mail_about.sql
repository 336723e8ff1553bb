-- Of which organization and of whom a mail tells, beside whom it goes to: it is forgotten with them. Null for what tells of
-- neither, and for mails of before, which are forgotten by their age. No references: a mail outlives both.

alter table mail add column about_org uuid, add column about_person uuid;

-- Deleting an organization or an account looks for them; forgetting empties these columns, so they stay small.
create index mail_about_org on mail (about_org) where about_org is not null;
create index mail_about_person on mail (about_person) where about_person is not null;
create index mail_choice_org on mail (choice_org) where choice_org is not null;
