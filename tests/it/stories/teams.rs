//! Several people in one organization: how they come, what they may spend, how they go, and how it ends.

use serde_json::json;

use crate::support::visitor::{Visitor, between, form, mailed_link};
use crate::support::{Farebox, Key, calendar, team};

const PASSWORD: &str = "correct horse battery";

/// An owner with an organization that is open, and a member.
async fn pair<'a>(farebox: &'a Farebox, role: &str) -> (Visitor<'a>, Visitor<'a>, String) {
    let mut ada = Visitor::member(farebox, "ada@example.com", PASSWORD).await;
    let mut grace = Visitor::member(farebox, "grace@example.com", PASSWORD).await;
    let org = team::create(&mut ada, "Analytical Engines").await;
    team::bring_in(farebox, &mut ada, &mut grace, "grace@example.com", role).await;
    (ada, grace, org)
}

/// Gives Ada's own organization credits on the command line and moves some to the one that is open.
pub async fn fund(farebox: &Farebox, ada: &mut Visitor<'_>, amount: &str) {
    let granted = farebox.cli(&["credits", "grant", "--email", "ada@example.com", "--amount", amount]).await;
    assert!(granted.status.success(), "{}", String::from_utf8_lossy(&granted.stderr));
    let id = move_id(ada).await;
    let moved = move_credits(ada, &id, amount).await;
    assert_eq!(moved.0, 303, "{}", moved.1);
}

async fn move_id(visitor: &mut Visitor<'_>) -> String {
    let page = visitor.get("/credits/move").await.body;
    form(&page, "/credits/move").into_iter().find(|(name, _)| name == "id").map(|(_, value)| value).expect("an id")
}

async fn move_credits(visitor: &mut Visitor<'_>, id: &str, amount: &str) -> (u16, String) {
    let page = visitor.submit("/credits/move", "/credits/move", &[("id", id), ("amount", amount)]).await;
    (page.status, page.body)
}

fn key(text: String) -> Key {
    Key { text, org: String::new(), id: String::new() }
}

async fn status(farebox: &Farebox, key: &Key) -> u16 {
    farebox.chat(key, "sandbox/penny", "How much?", json!({})).await.status().as_u16()
}

/// The next call is refused within a second or so: nodes hear of a change.
async fn is_refused(farebox: &Farebox, key: &Key) {
    for _ in 0..40 {
        if matches!(status(farebox, key).await, 401 | 403) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the key still works\n{}", farebox.log());
}

async fn audit_is_whole(farebox: &Farebox) {
    let done = farebox.cli(&["audit", "verify"]).await;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_without_an_account_is_invited_and_lands_in_the_organization() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    team::create(&mut ada, "Analytical Engines").await;
    let invited = team::invite(&mut ada, "Grace@Example.com", "member").await;
    assert_eq!(invited.status, 303, "{}", invited.body);
    let link = mailed_link(&farebox, "race@example.com").await;
    let token = between(&format!("{link}|"), "token=", "|");

    let mut grace = Visitor::new(&farebox);
    let page = grace.get(&link).await;
    assert!(page.status == 200 && page.body.contains("Join Analytical Engines"), "{}", page.body);
    assert!(!page.body.contains("race@example.com"), "the link alone does not tell the address");
    let up = [("name", "Grace"), ("email", "grace@example.com"), ("password", PASSWORD)];
    assert_eq!(grace.submit("/sign-up", "/sign-up", &up).await.status, 200);
    let proof = mailed_link(&farebox, "grace@example.com").await;
    let proven = between(&format!("{proof}|"), "token=", "|");
    let landed = grace.submit(&proof, "/verify", &[("token", &proven), ("password", PASSWORD)]).await;
    assert_eq!(landed.location, link, "{}", landed.body);

    // Somebody else's account opens nothing, and neither does half of a link.
    let mut eve = Visitor::member(&farebox, "eve@example.com", PASSWORD).await;
    assert!(eve.get(&link).await.body.contains("You are signed in as eve@example.com"));
    let stolen = eve.submit("/settings/profile", "/invitations/accept", &[("token", &token)]).await;
    assert_eq!(stolen.status, 422, "{}", stolen.body);
    let guessed = grace.submit("/settings/profile", "/invitations/accept", &[("token", &"0".repeat(64))]).await;
    assert_eq!(guessed.status, 422);

    // The same form twice at once joins once; the link is then used up.
    let form_token = grace.token("/settings/profile").await;
    let mut twin = Visitor::with_cookies(&farebox, grace.cookies());
    let fields = [("token", token.as_str())];
    let (one, other) = tokio::join!(
        grace.post(&form_token, "/invitations/accept", &fields),
        twin.post(&form_token, "/invitations/accept", &fields)
    );
    let mut answers = [one.status, other.status];
    answers.sort_unstable();
    assert_eq!(answers, [303, 422], "{}{}", one.body, other.body);
    assert!(grace.get("/").await.body.contains("Analytical Engines"));
    assert_eq!(farebox.text("select count(*)::text from membership where role = 'member'").await, "1");
    assert_eq!(grace.get("/settings/members").await.status, 403, "a member changes nobody");
    audit_is_whole(&farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_ends_in_many_ways_and_tells_nobody_who_has_an_account() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    let mut known = Visitor::member(&farebox, "known@example.com", PASSWORD).await;
    team::create(&mut ada, "Analytical Engines").await;
    let mut told = Vec::new();
    for email in ["known@example.com", "stranger@example.com"] {
        let page = team::invite(&mut ada, email, "billing").await;
        told.push((page.status, page.location, page.body.replace(email, "EMAIL")));
    }
    assert_eq!(told[0], told[1]);
    let again = team::invite(&mut ada, "KNOWN@example.com", "admin").await;
    assert!(again.status == 422 && again.body.contains("open invitation already"), "{}", again.body);
    let nonsense = team::invite(&mut ada, "nobody", "member").await;
    assert!(nonsense.status == 422 && nonsense.body.contains("value=\"nobody\""), "nothing typed is lost");
    assert_eq!(team::invite(&mut ada, "x@example.com", "owner").await.status, 422, "nobody is made an owner by mail");

    // What a policy of sign-up by invitation asks, and the limits on mail to strangers.
    let mut conn = farebox.pool.acquire().await.expect("a connection");
    for (email, invited) in [("Stranger@Example.com", true), ("nobody@example.com", false)] {
        let email = farebox::base::EmailAddress::parse(email).expect("an address");
        assert_eq!(farebox::orgs::is_invited(&mut conn, &email).await.expect("an answer"), invited);
    }
    let fill = "insert into invitation (org_id, id, digest, email, email_canonical, role, expires_at)
                select org_id, gen_random_uuid(), sha256(n::text::bytea), n || '@example.org', n || '@example.org', 'member',
                 now() + interval '1 day' from invitation, generate_series(3, 100) n where email like 'known%'";
    sqlx::query(fill).execute(&farebox.pool).await.expect("a full house");
    let full = team::invite(&mut ada, "more@example.com", "member").await;
    assert!(full.status == 422 && full.body.contains("as many open invitations"), "{}", full.body);
    sqlx::query("delete from invitation where email like '%example.org'").execute(&farebox.pool).await.expect("room");

    // Sent again only after a minute, with a new link; the old one is dead.
    let first = mailed_link(&farebox, "known@example.com").await;
    let page = ada.get("/settings/members").await.body;
    let known_row = page.split_once("known@example.com").map(|(_, rest)| rest.to_owned()).expect("a row");
    let id = between(&known_row, "/settings/members/invitations/inv_", "/");
    let resend = format!("/settings/members/invitations/inv_{id}/resend");
    ada.submit("/settings/members", &resend, &[]).await;
    assert_eq!(mailed_link(&farebox, "known@example.com").await, first, "not within a minute");
    for sends in 2..=7 {
        sqlx::query("update invitation set sent_at = now() - interval '2 minutes'")
            .execute(&farebox.pool)
            .await
            .expect("time passes");
        // An hour, in which so many mails may go to one mailbox.
        sqlx::query("delete from sign_in_failure").execute(&farebox.pool).await.expect("time passes");
        ada.submit("/settings/members", &resend, &[]).await;
        let mails =
            farebox.text("select count(*)::text from mail where kind = 'invitation' and recipient like 'known%'");
        assert_eq!(mails.await, sends.min(6).to_string(), "at most five more");
    }
    assert!(known.get(&first).await.body.contains("no longer works"));
    let newest = mailed_link(&farebox, "known@example.com").await;
    assert!(known.get(&newest).await.body.contains("Join Analytical Engines"));

    // Too old, revoked, declined.
    sqlx::query("update invitation set expires_at = now() where email like 'known%'")
        .execute(&farebox.pool)
        .await
        .expect("time passes");
    assert_eq!(team::answer(&farebox, &mut known, "known@example.com", "accept").await.status, 422, "too old");
    assert_eq!(team::invite(&mut ada, "known@example.com", "member").await.status, 303, "invited anew");
    let page = ada.get("/settings/members").await.body;
    let row = page.split_once("known@example.com").map(|(_, rest)| rest.to_owned()).expect("a row");
    let id = between(&row, "/settings/members/invitations/inv_", "/");
    ada.submit("/settings/members", &format!("/settings/members/invitations/inv_{id}/revoke"), &[]).await;
    assert_eq!(team::answer(&farebox, &mut known, "known@example.com", "accept").await.status, 422, "revoked");
    let mut stranger = Visitor::new(&farebox);
    let declined = team::answer(&farebox, &mut stranger, "stranger@example.com", "decline").await;
    assert!(declined.status == 200 && declined.body.contains("You declined"), "{}", declined.body);
    assert_eq!(team::answer(&farebox, &mut stranger, "stranger@example.com", "decline").await.status, 422);
    assert_eq!(
        farebox.text("select string_agg(ended_as, ' ' order by ended_as) from invitation").await,
        "declined expired revoked"
    );
    assert_eq!(farebox.text("select count(*)::text from membership where role <> 'owner'").await, "0");
    audit_is_whole(&farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_removed_has_no_working_key_and_no_way_back() {
    let farebox = Farebox::start().await;
    let (mut ada, mut grace, _) = pair(&farebox, "member").await;
    fund(&farebox, &mut ada, "10").await;
    let hers = key(team::key(&mut grace, "Grace’s laptop").await);
    let kept = key(team::key(&mut ada, "Ada’s laptop").await);
    assert_eq!((status(&farebox, &hers).await, status(&farebox, &kept).await), (200, 200));
    let id = team::person(&farebox, "grace@example.com").await;
    let page = format!("/settings/members/{id}");
    let removed = ada.submit(&format!("{page}/remove"), &format!("{page}/remove"), &[]).await;
    assert_eq!(removed.status, 303, "{}", removed.body);
    is_refused(&farebox, &hers).await;
    assert_eq!(status(&farebox, &kept).await, 200, "the others go on");
    let back = grace.get("/keys").await;
    assert!(back.body.contains("You are no longer a member"), "{}", back.body);
    assert!(!back.body.contains("laptop"), "and sees nothing of it");
    assert_eq!(farebox.text("select count(*)::text from mail where kind = 'removed'").await, "1");

    // The key cannot be enabled behind her back; who comes back finds the meter as it was.
    let key_id = farebox.text("select id::text from api_key where name like 'Grace%'").await;
    let key_id = format!("key_{}", key_id.replace('-', ""));
    ada.submit("/keys", &format!("/keys/{key_id}/enable"), &[]).await;
    assert!(matches!(status(&farebox, &hers).await, 401 | 403));
    let meter = farebox.text("select meter_id::text from former_member").await;
    team::bring_in(&farebox, &mut ada, &mut grace, "grace@example.com", "member").await;
    assert_eq!(farebox.text("select meter_id::text from membership where role = 'member'").await, meter);
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
    audit_is_whole(&farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_of_another_organization_asks_before_it_is_opened() {
    let farebox = Farebox::start().await;
    let (mut ada, _, org) = pair(&farebox, "member").await;
    let mut eve = Visitor::member(&farebox, "eve@example.com", PASSWORD).await;
    let own =
        "select 'org_' || replace(o.org_id::text, '-', '') from personal_org o join person p on p.id = o.person_id
               where p.email = 'ada@example.com'";
    let own = farebox.text(own).await;
    team::open(&mut ada, &own).await;

    // Looking changes nothing.
    let link = format!("/credits?org={org}&amount=20");
    let opened = "select count(*)::text from session where current_org_id is not null";
    for _ in 0..2 {
        let asked = ada.get(&link).await;
        assert!(asked.status == 200 && asked.body.contains("This is about Analytical Engines"), "{}", asked.body);
        assert!(!asked.body.contains("action=\"/credits/topups\""), "{}", asked.body);
    }
    assert!(ada.get("/credits").await.body.contains("action=\"/credits/topups\""));
    let before = farebox.text(opened).await;
    let asked = ada.get(&link).await.body;
    let open = format!("/organizations/{org}/open");
    let fields = form(&asked, &open);
    let next = fields.iter().find(|(name, _)| name == "next").map(|(_, value)| value.as_str()).expect("the way on");
    assert_eq!(next, "/credits?amount=20");
    let (token, next) = (ada.token(&link).await, next.to_owned());
    let done = ada.post(&token, &open, &[("next", &next)]).await;
    assert_eq!((done.status, done.location.as_str()), (303, "/credits?amount=20"), "{}", done.body);
    assert_ne!(farebox.text(opened).await, before);
    // The one that is open is shown at once, by whatever link, and the other way round it is asked again.
    assert!(ada.get(&link).await.body.contains("action=\"/credits/topups\""));
    assert!(ada.get(&format!("/credits?org={own}")).await.body.contains("This is about Ada"));
    // Whoever is not there learns nothing, and no form leads to another site.
    assert_eq!(eve.get(&link).await.status, 404);
    assert_eq!(eve.get(&format!("/credits?org={own}")).await.status, 404);
    let away = ada.submit("/settings/profile", &open, &[("next", "//evil.example/credits")]).await;
    assert_eq!((away.status, away.location.as_str()), (303, "/"));

    let page = "/settings/organization/delete";
    assert_eq!(ada.submit(page, page, &[("name", "Analytical Engines")]).await.status, 303);
    assert_eq!(mailed_link(&farebox, "ada@example.com").await, format!("/settings/organization?org={org}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_organizations_send_no_more_invitations_than_one() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    let mails = "select count(*)::text from mail where kind = 'invitation'";
    // One mailbox, whatever stands behind a `+`.
    let mut orgs = Vec::new();
    for number in 0..7 {
        orgs.push(team::create(&mut ada, &format!("Engines {number}")).await);
        let invited = team::invite(&mut ada, &format!("victim+{number}@example.com"), "member").await;
        assert_eq!(invited.status, if number < 6 { 303 } else { 422 }, "{number}: {}", invited.body);
        assert!(number < 6 || invited.body.contains("have gone to this address in the last hour"), "{}", invited.body);
    }
    assert_eq!(farebox.text(mails).await, "6");
    // Sent again is one more.
    sqlx::query("update invitation set sent_at = now() - interval '2 minutes'")
        .execute(&farebox.pool)
        .await
        .expect("so");
    team::open(&mut ada, &orgs[0]).await;
    let page = ada.get("/settings/members").await.body;
    let resend = format!("/settings/members/invitations/inv_{}/resend", between(&page, "/invitations/inv_", "/"));
    ada.submit("/settings/members", &resend, &[]).await;
    assert!(ada.get("/settings/members").await.body.contains("have gone to this address in the last hour"));
    assert_eq!(farebox.text(mails).await, "6");
    // Others are invited as before, until one person has invited as many as they may in a day.
    assert_eq!(team::invite(&mut ada, "grace@example.com", "member").await.status, 303);
    let fill = "insert into sign_in_failure (subject)
                select subject from sign_in_failure, generate_series(1, 193) n where subject like 'inviter:%'
                group by subject, n";
    sqlx::query(fill).execute(&farebox.pool).await.expect("a busy day");
    let busy = team::invite(&mut ada, "linus@example.com", "member").await;
    assert!(busy.status == 422 && busy.body.contains("as one person may in a day"), "{}", busy.body);
    assert_eq!(farebox.text(mails).await, "7");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_ends_with_the_right_of_who_sent_it() {
    let farebox = Farebox::start().await;
    let (mut ada, mut grace, _) = pair(&farebox, "admin").await;
    let page = format!("/settings/members/{}", team::person(&farebox, "grace@example.com").await);
    let open = "select coalesce(string_agg(email, ' ' order by email), '') from invitation where ended_at is null";
    assert_eq!(team::invite(&mut ada, "kept@example.com", "member").await.status, 303);

    // A role that may not invite.
    assert_eq!(team::invite(&mut grace, "one@example.com", "admin").await.status, 303);
    let link = mailed_link(&farebox, "one@example.com").await;
    assert!(grace.get(&link).await.body.contains("Join Analytical Engines"));
    ada.submit(&page, &format!("{page}/role"), &[("role", "billing")]).await;
    assert!(grace.get(&link).await.body.contains("no longer works"));
    ada.submit(&page, &format!("{page}/role"), &[("role", "admin")]).await;

    // Being removed, and going.
    assert_eq!(team::invite(&mut grace, "two@example.com", "admin").await.status, 303);
    assert_eq!(farebox.text(open).await, "kept@example.com two@example.com");
    ada.submit(&format!("{page}/remove"), &format!("{page}/remove"), &[]).await;
    assert_eq!(farebox.text(open).await, "kept@example.com");
    team::bring_in(&farebox, &mut ada, &mut grace, "grace@example.com", "admin").await;
    assert_eq!(team::invite(&mut grace, "three@example.com", "member").await.status, 303);
    let left = grace.submit("/settings/organization", "/settings/organization/leave", &[("leave", "yes")]).await;
    assert_eq!(left.location, "/", "{}", left.body);
    assert_eq!(farebox.text(open).await, "kept@example.com");
    let revoked = "select string_agg(email, ' ' order by email) from invitation where ended_as = 'revoked'";
    assert_eq!(farebox.text(revoked).await, "one@example.com three@example.com two@example.com");
    let logged = "select count(*)::text from audit_entry where action = 'member.invitation_revoked'";
    assert_eq!(farebox.text(logged).await, "3");
    audit_is_whole(&farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spend_cap_stops_all_keys_of_a_member_and_forgets_nothing() {
    calendar::within_a_day().await;
    let farebox = Farebox::start().await;
    let (mut ada, mut grace, _) = pair(&farebox, "member").await;
    fund(&farebox, &mut ada, "10").await;
    let (one, two) = (key(team::key(&mut grace, "One").await), key(team::key(&mut grace, "Two").await));
    let cap = format!("/settings/members/{}/cap", team::person(&farebox, "grace@example.com").await);
    let saved = ada.submit("/settings/members", &cap, &[("day", "0.02"), ("total", "5")]).await;
    assert_eq!(saved.status, 303, "{}", saved.body);
    assert_eq!((status(&farebox, &one).await, status(&farebox, &two).await), (200, 200));
    farebox.holds_are_closed().await;
    let refused = status(&farebox, &two).await;
    assert!(matches!(refused, 402 | 403), "the cap counts both keys: {refused}");
    ada.submit("/settings/members", &cap, &[("day", "0.03")]).await;
    assert_eq!(status(&farebox, &one).await, 200);
    farebox.holds_are_closed().await;
    assert!(matches!(status(&farebox, &one).await, 402 | 403), "what was spent stayed counted");
    assert_eq!(
        farebox.text("select spent_total::text from meter where kind = 'member' and limit_day is not null").await,
        "0.030000000000"
    );
    let wrong = ada.submit("/settings/members", &cap, &[("week", "a lot"), ("day", "7")]).await;
    assert!(wrong.status == 422 && wrong.body.contains("value=\"a lot\"") && wrong.body.contains("value=\"7\""));
    assert!(ada.get("/settings/members").await.body.contains("$0.03"));
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_always_an_owner_and_dangerous_things_ask_who_one_is() {
    let farebox = Farebox::start().await;
    let (mut ada, mut grace, _) = pair(&farebox, "admin").await;
    let id = |email: &'static str| team::person(&farebox, email);
    let (own, hers) = (id("ada@example.com").await, id("grace@example.com").await);
    let role = |id: &str| format!("/settings/members/{id}/role");
    let left = ada.submit("/settings/organization", "/settings/organization/leave", &[("leave", "yes")]).await;
    assert_eq!((left.status, left.location.as_str()), (303, "/settings/organization"));
    ada.submit("/settings/members", &role(&own), &[("role", "member")]).await;
    assert_eq!(farebox.text("select count(*)::text from membership m join org o on o.id = m.org_id where o.kind = 'team' and role = 'owner'").await, "1");
    // An admin neither makes owners nor touches one.
    for (who, what) in [(&hers, "owner"), (&own, "member")] {
        assert_eq!(grace.submit("/settings/members", &role(who), &[("role", what)]).await.status, 403);
    }
    let remove = format!("/settings/members/{own}/remove");
    assert_eq!(grace.submit("/settings/members", &remove, &[]).await.status, 403);

    sqlx::query("update session set authenticated_at = now() - interval '6 minutes'")
        .execute(&farebox.pool)
        .await
        .expect("time passes");
    let transfer = format!("/settings/members/{hers}/transfer");
    let cap = format!("/settings/members/{hers}/cap");
    for (action, field) in [(&transfer, ("name", "Analytical Engines")), (&cap, ("total", "7"))] {
        let asked = ada.submit("/settings/profile", action, &[field]).await;
        assert!(asked.location.starts_with("/step-up"), "{action}: {}", asked.location);
    }
    assert_eq!(farebox.text("select count(*)::text from meter where limit_total = 7").await, "0");
    for path in [&transfer, &format!("/settings/members/{hers}"), "/settings/organization/delete"] {
        assert!(ada.get(path).await.location.starts_with("/step-up"), "{path}");
    }
    ada.submit("/step-up", "/step-up", &[("password", PASSWORD)]).await;
    let wrong = ada.submit(&transfer, &transfer, &[("name", "Something else")]).await;
    assert_eq!(wrong.status, 422);
    assert_eq!(ada.submit("/settings/members", &cap, &[("total", "7")]).await.status, 303);
    assert_eq!(farebox.text("select count(*)::text from meter where limit_total = 7").await, "1");
    let done = ada.submit(&transfer, &transfer, &[("name", "Analytical Engines")]).await;
    assert_eq!(done.status, 303, "{}", done.body);
    let roles = "select string_agg(p.email || '=' || m.role, ' ' order by p.email) from membership m
                 join person p on p.id = m.person_id join org o on o.id = m.org_id where o.kind = 'team'";
    assert_eq!(farebox.text(roles).await, "ada@example.com=admin grace@example.com=owner");
    assert_eq!(farebox.text("select count(*)::text from mail where kind = 'ownership_transferred'").await, "2");
    let left = ada.submit("/settings/organization", "/settings/organization/leave", &[("leave", "yes")]).await;
    assert_eq!(left.location, "/");
    assert_eq!(farebox.text(roles).await, "grace@example.com=owner");
    audit_is_whole(&farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_sees_their_own_calls_and_keys_only() {
    let farebox = Farebox::start().await;
    let (mut ada, mut grace, org) = pair(&farebox, "member").await;
    fund(&farebox, &mut ada, "10").await;
    let (hers, others) = (key(team::key(&mut grace, "Graces own").await), key(team::key(&mut ada, "Adas own").await));
    let call = |key: Key| {
        let farebox = &farebox;
        async move {
            let answer = farebox.chat(&key, "sandbox/penny", "Hello", json!({})).await;
            answer.headers()["x-generation-id"].to_str().expect("text").to_owned()
        }
    };
    let (own_call, other_call) = (call(hers.clone()).await, call(others.clone()).await);
    farebox.holds_are_closed().await;
    for path in ["/", "/activity", "/activity?group=member", "/activity?group=key", "/keys"] {
        let page = grace.get(path).await;
        assert!(page.status == 200 && page.body.contains("Grace"), "{path}: {}", page.status);
        assert!(!page.body.contains("Adas own") && !page.body.contains(&other_call), "{path} shows another’s");
        assert!(ada.get(path).await.body.contains("Graces own") || path == "/activity?group=member", "{path}");
    }
    let id = farebox.text("select id::text from api_key where name = 'Adas own'").await;
    let id = format!("key_{}", id.replace('-', ""));
    let own_id = team::person(&farebox, "ada@example.com").await;
    for path in [format!("/activity?key={id}"), format!("/activity?member={own_id}")] {
        let page = grace.get(&path).await.body;
        assert!(!page.contains("Adas own") && !page.contains(&other_call), "{path}");
    }
    assert_eq!(grace.get(&format!("/activity/{other_call}")).await.status, 404);
    assert_eq!(grace.get(&format!("/activity/{own_call}")).await.status, 200);
    assert_eq!(grace.submit("/keys", &format!("/keys/{id}/disable"), &[]).await.status, 404);
    // Their key does not tell more than they may see.
    let ask = |key: Key, call: String| {
        let farebox = &farebox;
        async move {
            farebox.get(&key, &format!("/api/v1/generation?id={call}")).await["data"]["id"].as_str().map(str::to_owned)
        }
    };
    assert_eq!(ask(hers.clone(), other_call.clone()).await, None);
    assert_eq!(ask(hers, own_call.clone()).await, Some(own_call.clone()));
    assert_eq!(ask(others, own_call.clone()).await, Some(own_call));
    // Billing sees all calls and has no keys: hers stop with the change.
    let role = format!("/settings/members/{}/role", team::person(&farebox, "grace@example.com").await);
    assert_eq!(ada.submit("/settings/members", &role, &[("role", "billing")]).await.status, 303);
    assert!(grace.get("/activity").await.body.contains(&other_call));
    assert_eq!(grace.get("/keys").await.status, 403);
    assert_eq!(farebox.text("select count(*)::text from api_key where disabled_at is not null").await, "1");
    assert_eq!(farebox.text("select count(*)::text from mail where kind = 'role_changed'").await, "1");
    team::open(&mut grace, &org).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credits_move_once_and_never_more_than_there_are() {
    let farebox = Farebox::start().await;
    let (mut ada, _, _) = pair(&farebox, "member").await;
    farebox.cli(&["credits", "grant", "--email", "ada@example.com", "--amount", "10"]).await;
    let id = move_id(&mut ada).await;
    let more = move_credits(&mut ada, &id, "10.01").await;
    assert!(
        more.0 == 422 && more.1.contains("less than that free") && more.1.contains("value=\"10.01\""),
        "{}",
        more.1
    );
    for bad in ["0", "-1", "much", ""] {
        assert_eq!(move_credits(&mut ada, &id, bad).await.0, 422, "{bad:?}");
    }
    // The same form twice at once moves once.
    let id = move_id(&mut ada).await;
    let token = ada.token("/credits/move").await;
    let mut twin = Visitor::with_cookies(&farebox, ada.cookies());
    let fields = [("id", id.as_str()), ("amount", "4")];
    let (one, other) =
        tokio::join!(ada.post(&token, "/credits/move", &fields), twin.post(&token, "/credits/move", &fields));
    assert_eq!((one.status, other.status), (303, 303), "{}{}", one.body, other.body);
    assert_eq!(farebox.text("select count(*)::text from transfer where code = 'move'").await, "1");
    assert_eq!(move_credits(&mut ada, &id, "5").await.0, 422, "and never another amount");
    // Two forms at once that want more than there is: one of them gets it.
    let ids = [move_id(&mut ada).await, move_id(&mut ada).await];
    let fields = ids.each_ref().map(|id| [("id", id.as_str()), ("amount", "4")]);
    let (one, other) =
        tokio::join!(ada.post(&token, "/credits/move", &fields[0]), twin.post(&token, "/credits/move", &fields[1]));
    let mut answers = [one.status, other.status];
    answers.sort_unstable();
    assert_eq!(answers, [303, 422], "{}{}", one.body, other.body);
    assert_eq!(
        farebox.text("select string_agg(posted::text, ' ' order by posted) from credit where posted > 0").await,
        "2.000000000000 8.000000000000"
    );
    assert!(ada.get("/credits").await.body.contains("From Ada"), "the history of one side");
    let personal = farebox.text("select org_id::text from personal_org p join person u on u.id = p.person_id where email = 'ada@example.com'").await;
    team::open(&mut ada, &format!("org_{}", personal.replace('-', ""))).await;
    assert!(ada.get("/credits").await.body.contains("To Analytical Engines"), "and of the other");
    assert_eq!(ada.get("/credits/move").await.status, 404, "nothing moves from it to itself");
    assert_eq!(farebox.text("select count(*)::text from audit_entry where action = 'credits.moved'").await, "4");
    farebox.books_are_clean().await;
    audit_is_whole(&farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organization_is_deleted_undone_and_deleted_for_good() {
    let farebox = Farebox::start().await;
    // Two nodes, so that the job is there twice over.
    let options = crate::support::Options { database_url: Some(farebox.database_url.clone()), ..Default::default() };
    let _second = Farebox::with(options).await;
    let (mut ada, mut grace, org) = pair(&farebox, "member").await;
    fund(&farebox, &mut ada, "10").await;
    let (works, stopped) = (key(team::key(&mut grace, "Works").await), key(team::key(&mut ada, "Stopped").await));
    let id = farebox.text("select id::text from api_key where name = 'Stopped'").await;
    ada.submit("/keys", &format!("/keys/key_{}/disable", id.replace('-', "")), &[]).await;
    assert_eq!(status(&farebox, &works).await, 200);
    let page = "/settings/organization/delete";
    assert_eq!(ada.submit(page, page, &[("name", "analytical engines")]).await.status, 422);
    assert_eq!(ada.submit(page, page, &[("name", "Analytical Engines")]).await.status, 303);
    is_refused(&farebox, &works).await;
    assert_eq!(farebox.text("select count(*)::text from mail where kind = 'will_be_deleted'").await, "2");
    let banner = grace.get("/").await.body;
    assert!(banner.contains("will be deleted on") && !banner.contains("Keep the organization"), "{banner}");
    assert_eq!(team::invite(&mut ada, "late@example.com", "member").await.status, 422, "nobody joins what ends");
    assert!(ada.get("/").await.body.contains("Keep the organization"));
    ada.submit("/settings/organization", "/settings/organization/keep", &[]).await;
    for _ in 0..40 {
        if status(&farebox, &works).await == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!((status(&farebox, &works).await, status(&farebox, &stopped).await), (200, 403), "exactly as before");

    ada.submit(page, page, &[("name", "Analytical Engines")]).await;
    is_refused(&farebox, &works).await;
    farebox.holds_are_closed().await;
    // A job that comes early does nothing.
    let run = "update graphile_worker._private_jobs set run_at = now() where key like 'delete_org:%'";
    sqlx::query(run).execute(&farebox.pool).await.expect("the job");
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(farebox.text("select count(*)::text from org where deleted_at is not null").await, "0");
    // The week passes: the job is put back, as the queue had kept it.
    sqlx::query("update org set delete_after = now() where delete_after is not null")
        .execute(&farebox.pool)
        .await
        .expect("time");
    let again = "select graphile_worker.add_job('delete_org', json_build_object('org', $1::text))";
    for _ in 0..2 {
        sqlx::query(again).bind(&org).execute(&farebox.pool).await.expect("the job");
    }
    for _ in 0..200 {
        if farebox.text("select count(*)::text from org where deleted_at is not null").await == "1" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let left = "select name || ' ' || (select count(*) from membership where org_id = o.id) || ' ' ||
                (select count(*) from api_key where org_id = o.id and deleted_at is null) from org o where kind = 'team'";
    assert_eq!(farebox.text(left).await, "Deleted organization 0 0");
    assert_eq!(farebox.text("select count(*)::text from audit_entry where action = 'organization.deleted'").await, "1");
    assert_eq!(
        farebox.text("select count(*)::text from audit_entry e join org o on o.id = e.chain_id where o.kind = 'team' and personal like '%Ada%'").await,
        "0",
        "no name is left"
    );
    assert_ne!(farebox.text("select count(*)::text from usage").await, "0", "what was called stays");
    let mails = "select count(*)::text from mail where mail::text like '%Analytical Engines%'";
    assert_eq!(farebox.text(mails).await, "0", "to whom was written of it, and what, is forgotten");
    assert_eq!(
        farebox.text("select count(*)::text from mail where kind = 'will_be_deleted'").await,
        "4",
        "that it was stays"
    );
    assert_eq!(status(&farebox, &works).await, 401);
    assert!(ada.get("/").await.body.contains("no longer a member") || ada.get("/").await.status == 200);
    farebox.books_are_clean().await;
    audit_is_whole(&farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_filtered_paged_and_exported() {
    let farebox = Farebox::start().await;
    let (mut ada, mut grace, _) = pair(&farebox, "billing").await;
    team::key(&mut ada, "=HYPERLINK(1)").await;
    for at in 0..60 {
        ada.submit("/settings/organization", "/settings/organization", &[("name", &format!("Engines {at}"))]).await;
    }
    let page = grace.get("/settings/audit?action=member").await;
    assert!(page.status == 200 && page.body.contains("Invited somebody") && page.body.contains("role: billing"));
    assert!(!page.body.contains("Renamed"), "only what is asked for");
    let first = grace.get("/settings/audit").await.body;
    assert!(first.contains("name: Engines 58 → Engines 59") && first.contains("rel=\"next\""), "{first}");
    let older = between(&first, "/settings/audit?before=", "\"");
    let second = grace.get(&format!("/settings/audit?before={older}")).await.body;
    assert!(second.contains("Created the organization") && !second.contains("→ Engines 59"));
    let hers = team::person(&farebox, "grace@example.com").await;
    let mine = grace.get(&format!("/settings/audit?person={hers}")).await.body;
    assert!(mine.contains("Joined") && !mine.contains("Renamed"));
    for bad in ["person=x", "action=odd", "from=x", "before=x"] {
        assert_eq!(grace.get(&format!("/settings/audit?{bad}")).await.status, 422, "{bad}");
    }
    let odd = grace.get("/settings/audit?action=member&from=2026-13-01").await.body;
    assert!(odd.contains("value=\"2026-13-01\"") && odd.contains("id=\"from-error\""), "what was typed stays: {odd}");
    assert!(odd.contains("Nothing was looked for") && !odd.contains("Invited somebody"), "{odd}");
    let csv = grace.get("/settings/audit/export?format=csv&action=key").await;
    assert_eq!(csv.body.lines().count(), 2, "{}", csv.body);
    assert!(csv.body.contains(",'=HYPERLINK(1),"), "{}", csv.body);
    let json = grace.get("/settings/audit/export?format=json").await.body;
    let entries: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(entries.as_array().map(Vec::len), Some(65), "created, invited, joined, a key, sixty names, an export");
    assert_eq!(entries[0]["action"], "organization.log_exported");
    assert_eq!(entries[0]["after"]["entries"], 1);
    assert_eq!(entries[1]["after"]["name"], "Engines 59");
    assert_eq!(
        farebox
            .text("select count(*)::text from audit_entry e join org o on o.id = e.chain_id where o.kind = 'team'")
            .await,
        "66"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_waits_for_its_address_in_whichever_browser() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    team::create(&mut ada, "Analytical Engines").await;
    assert_eq!(team::invite(&mut ada, "grace@example.com", "admin").await.status, 303);
    // She never opens the link of the invitation here.
    let mut grace = Visitor::member(&farebox, "grace@example.com", "correct horse battery").await;
    let page = grace.get("/").await.body;
    assert!(page.contains("invites you to Analytical Engines"), "{page}");
    let link = format!("/invitations?token={}", between(&page, "href=\"/invitations?token=", "\""));
    assert!(link.contains("token=inv_"), "{link}");
    let id = link.split_once('=').map(|(_, id)| id.to_owned()).expect("an id");

    // The id is worth nothing to anybody else.
    let mut eve = Visitor::member(&farebox, "eve@example.com", "correct horse battery").await;
    assert!(!eve.get("/").await.body.contains("Analytical Engines"));
    for visitor in [&mut eve, &mut Visitor::new(&farebox)] {
        let seen = visitor.get(&link).await;
        assert!(seen.body.contains("no longer works") && !seen.body.contains("Analytical"), "{}", seen.body);
    }
    let token = eve.token("/settings/profile").await;
    for action in ["/invitations/accept", "/invitations/decline"] {
        assert_eq!(eve.post(&token, action, &[("token", &id)]).await.status, 422, "{action}");
    }
    assert_eq!(farebox.text("select count(*)::text from invitation where ended_at is null").await, "1");

    let shown = grace.get(&link).await;
    assert!(shown.body.contains("Join Analytical Engines"), "{}", shown.body);
    let joined = grace.submit(&link, "/invitations/accept", &[("token", &id)]).await;
    assert_eq!((joined.status, joined.location.as_str()), (303, "/"), "{}", joined.body);
    assert!(!grace.get("/").await.body.contains("invites you to"));
    assert_eq!(farebox.text("select role from membership where role <> 'owner'").await, "admin");
    audit_is_whole(&farebox).await;
}
