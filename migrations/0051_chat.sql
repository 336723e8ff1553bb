-- What a member's messages from the chat room are booked on. It stands where a key stands: calls name it and its meter
-- has its number. It has no secret, so there is nothing that a program could call with; whoever is signed in and a
-- member is who it takes, asked anew for every message.
create table chat_key (
    org_id     uuid not null constraint chat_key_org references org (id),
    person_id  uuid not null constraint chat_key_person references person (id),
    id         uuid not null,
    created_at timestamptz not null default now(),
    constraint chat_key_pkey primary key (org_id, person_id),
    constraint chat_key_id_unique unique (org_id, id)
);
select isolate('chat_key', 'org_id');
