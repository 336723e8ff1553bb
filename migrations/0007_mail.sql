-- The outbox: a mail is written in the transaction that causes it and sent by a job afterwards.

create table mail (
    id         uuid primary key,
    event      text not null constraint mail_once_per_event unique,
    kind       text not null,
    recipient  text not null,
    subject    text not null,
    text_body  text not null,
    html_body  text not null,
    created_at timestamptz not null default now(),
    sent_at    timestamptz,
    attempts   integer not null default 0,
    last_error text not null default ''
);
create index mail_by_time on mail (created_at desc);
