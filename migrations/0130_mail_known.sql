-- To whom it went is known of these: what of them is old is forgotten.
create index mail_known on mail (created_at) where recipient <> '';
