-- Whose choice about which organization decides on mails of this kind, so that the mail can carry the link that says no.
-- Null where nobody may choose. No references: a mail outlives the membership, and then its link does nothing.

alter table mail add column choice_org uuid, add column choice_person uuid;
