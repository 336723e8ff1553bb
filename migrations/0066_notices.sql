-- Who wants which mail about an organization, where that differs from what is usual for their role.

create table notice_choice (
    org_id     uuid not null,
    person_id  uuid not null,
    topic      text not null,
    -- Of nothing, of what one made oneself, or of everything.
    wanted     text not null constraint notice_choice_wanted check (wanted in ('no', 'own', 'all')),
    changed_at timestamptz not null default now(),
    constraint notice_choice_pkey primary key (org_id, person_id, topic),
    -- Whoever leaves and comes back begins with what is usual.
    constraint notice_choice_member foreign key (org_id, person_id)
        references membership (org_id, person_id) on delete cascade
);

select isolate('notice_choice', 'org_id');
