-- Purchases that were asked for during a month and stayed open: they are asked for once more, and then end. Not at once: a
-- process of the version before that still runs would take them and leave them open again.
update topup set ask_at = now() + interval '1 day' where state = 'pending' and ask_at is null;
