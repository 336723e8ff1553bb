-- Who sells, who buys, and receipts that keep both as they were.

-- What an organization wants to read on its receipts.
create table billing_details (
    org_id     uuid primary key references org (id),
    name       text not null default '',
    -- Lines, with line ends between.
    address    text not null default '',
    country    text not null default '' constraint billing_details_country check (country ~ '^([A-Z]{2})?$'),
    tax_id     text not null default '',
    email      text not null default '',
    updated_at timestamptz not null default now()
);

-- The house as it introduced itself: a row for each time that its settings changed.
create table seller (
    id      bigint generated always as identity primary key,
    name    text not null,
    address text not null,
    tax_id  text not null,
    email   text not null,
    -- Where it is reached.
    site    text not null,
    since   timestamptz not null default now()
);

-- Written in the transaction that credits, and never changed: a receipt says what was true when it was paid.
create table receipt (
    org_id        uuid not null,
    topup_id      uuid not null,
    number        bigint not null constraint receipt_once unique,
    issued_at     timestamptz not null,
    seller_id     bigint references seller (id),
    org_name      text not null,
    payer         text not null,
    buyer_name    text not null,
    buyer_address text not null,
    buyer_country text not null,
    buyer_tax_id  text not null,
    primary key (org_id, topup_id),
    constraint receipt_of_topup foreign key (org_id, topup_id) references topup (org_id, id)
);

-- Payments from before there were numbers get theirs in the order in which they came.
with unnumbered as (
    select t.org_id, t.id, c.last + row_number() over (order by t.paid_at, t.id) as number
    from topup t cross join receipt_counter c
    where t.paid_at is not null and t.receipt_number is null
)
update topup t set receipt_number = u.number from unnumbered u where t.org_id = u.org_id and t.id = u.id;
update receipt_counter set last = greatest(last, (select coalesce(max(receipt_number), 0) from topup));
insert into receipt (org_id, topup_id, number, issued_at, org_name, payer, buyer_name, buyer_address, buyer_country,
    buyer_tax_id)
select t.org_id, t.id, t.receipt_number, t.paid_at, o.name, coalesce(p.name, ''), '', '', '', ''
from topup t join org o on o.id = t.org_id left join person p on p.id = t.created_by
where t.receipt_number is not null and t.paid_at is not null;

create trigger receipt_append_only before update or delete on receipt
    for each row execute function refuse_change();
create trigger receipt_no_truncate before truncate on receipt
    for each statement execute function refuse_change();
create trigger seller_append_only before update or delete on seller
    for each row execute function refuse_change();

select isolate('billing_details', 'org_id');
select isolate('receipt', 'org_id');
