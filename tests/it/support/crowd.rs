//! An organization with more of everything than one page shows.

use farebox::audit::{self, Action, Actor, Chain, Entry, Target};
use farebox::base::Origin;
use farebox::base::ids::{OrgId, PersonId};
use serde_json::json;

use super::Farebox;

/// People besides those who are in the organization already.
pub const MEMBERS: i64 = 300;
/// As many as may be open, and others that ended.
pub const OPEN_INVITATIONS: i64 = 100;
pub const ENDED_INVITATIONS: i64 = 200;
/// Entries besides those that are in the log already.
pub const ENTRIES: i64 = 500;

const PEOPLE: &str = "
    with people as (
        insert into person (id, email, email_canonical, email_verified_at, name)
        select gen_random_uuid(), 'person' || n || '@crowd.example', 'person' || n || '@crowd.example', now(),
            case when n % 7 = 0 then 'Maximiliane Friederike von und zu Hohenlohe-Waldenburg-Schillingsfürst ' || n
                 else (array['Ada', 'Grace', 'Katherine', 'Barbara', 'Radia'])[1 + n % 5] || ' Number ' || n end
        from generate_series(1, $2::int) n returning id
    ), numbered as (select id, row_number() over () as n, gen_random_uuid() as meter from people
    ), meters as (
        insert into meter (org_id, id, kind, limit_month, spent_total, spent_month)
        select $1, meter, 'member', case when n % 3 = 0 then 20 end, n / 20.0, n / 20.0 from numbered
    )
    insert into membership (org_id, person_id, role, meter_id, created_at)
    select $1, id, case when n % 50 = 0 then 'admin' when n % 20 = 0 then 'billing' else 'member' end, meter,
        now() - make_interval(days => n::int)
    from numbered";

const INVITATIONS: &str = "
    insert into invitation (org_id, id, digest, email, email_canonical, role, expires_at, created_at, sent_at, ended_at, ended_as)
    select $1, gen_random_uuid(), sha256(n::text::bytea), 'invited' || n || '@a-rather-long-domain.example',
        'invited' || n || '@a-rather-long-domain.example', 'member', now() + interval '5 days', now() - interval '2 days',
        now() - interval '2 days', case when n > $2 then now() end, case when n > $2 then 'declined' end
    from generate_series(1, $3::int) n";

/// Fills an organization. Entries of the log are written as the program writes them, so its chain stays whole.
pub async fn fill(farebox: &Farebox, org: &str, by: &str) {
    let org: OrgId = org.parse().expect("an organization");
    let by: PersonId = by.parse().expect("a person");
    let mut tx = farebox.pool.begin().await.expect("a transaction");
    sqlx::query(PEOPLE).bind(org.0).bind(MEMBERS).execute(&mut *tx).await.expect("people");
    let all = OPEN_INVITATIONS + ENDED_INVITATIONS;
    sqlx::query(INVITATIONS).bind(org.0).bind(OPEN_INVITATIONS).bind(all).execute(&mut *tx).await.expect("invitations");
    let origin = Origin { ip: "203.0.113.9".into(), user_agent: "Crowd/1".into() };
    for number in 0..ENTRIES {
        let target = Target::new("person", by, format!("Somebody with the number {number}"));
        let entry = Entry::new(Chain::Org(org), Actor::Person(by), Action::CapChanged, &origin).named("Ada").on(target);
        let entry = entry.change(json!({ "total": null, "month": "20" }), json!({ "total": "500", "month": null }));
        audit::record(&mut tx, entry).await.expect("an entry");
    }
    tx.commit().await.expect("committed");
}
