-- Purchases that were asked for during a month and stayed open: they are asked for once more, and then end.
update topup set ask_at = now() where state = 'pending' and ask_at is null;
