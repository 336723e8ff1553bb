-- What processors keep for themselves: information beside the books, which are gross.
alter table topup add column processor_fee numeric(24, 12);
alter table reconciliation add column fees numeric(24, 12) not null default 0;
