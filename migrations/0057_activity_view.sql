-- Views of the activity page that somebody saved under a name: the query of its address.
create table activity_view (
    org_id     uuid not null references org,
    id         uuid not null,
    person_id  uuid not null references person,
    name       text not null constraint activity_view_name check (length(name) between 1 and 60),
    query      text not null constraint activity_view_query check (length(query) <= 2000),
    created_at timestamptz not null default now(),
    primary key (org_id, id),
    constraint activity_view_once unique (org_id, person_id, name)
);

select isolate('activity_view', 'org_id');
