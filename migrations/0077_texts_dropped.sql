-- Calls whose texts should have been stored and were not, because too many waited or the database did not take them.
create table texts_dropped (
    org_id uuid not null constraint texts_dropped_org references org (id),
    -- Of UTC.
    day    date not null,
    calls  bigint not null constraint texts_dropped_calls check (calls > 0),
    constraint texts_dropped_pkey primary key (org_id, day)
);
create index texts_dropped_by_day on texts_dropped (day);
select isolate('texts_dropped', 'org_id');
