-- Of which organization and of whom a mail tells, beside whom it goes to: it is forgotten with them. Null for what tells of
-- neither, and for mails of before, which are forgotten by their age. No references: a mail outlives both.

alter table mail add column about_org uuid, add column about_person uuid;
