//! Organizations with several people.

use super::Farebox;
use super::visitor::{Page, Visitor, between, form, mailed_link};

/// Makes an organization, which is then the one that is open; its id.
pub async fn create(owner: &mut Visitor<'_>, name: &str) -> String {
    let page = owner.get("/organizations/new").await.body;
    let fields = form(&page, "/organizations");
    let id = fields.iter().find(|(name, _)| name == "id").map(|(_, value)| value.clone()).expect("an id");
    let made = owner.submit("/organizations/new", "/organizations", &[("id", &id), ("name", name)]).await;
    assert_eq!(made.status, 303, "{}", made.body);
    id
}

pub async fn open(visitor: &mut Visitor<'_>, org: &str) {
    let opened = visitor.submit("/settings/profile", &format!("/organizations/{org}/open"), &[]).await;
    assert_eq!(opened.status, 303, "{}", opened.body);
}

pub async fn invite(manager: &mut Visitor<'_>, email: &str, role: &str) -> Page {
    let fields = [("email", email), ("role", role), ("lasts", "7")];
    manager.submit("/settings/members", "/settings/members/invitations", &fields).await
}

/// Invites somebody who has an account, and lets them accept.
pub async fn bring_in(farebox: &Farebox, manager: &mut Visitor<'_>, guest: &mut Visitor<'_>, email: &str, role: &str) {
    let invited = invite(manager, email, role).await;
    assert_eq!(invited.status, 303, "{}", invited.body);
    let joined = answer(farebox, guest, email, "accept").await;
    assert_eq!((joined.status, joined.location.as_str()), (303, "/"), "{}", joined.body);
}

/// Opens the last mail to somebody and answers the invitation in it.
pub async fn answer(farebox: &Farebox, guest: &mut Visitor<'_>, email: &str, how: &str) -> Page {
    let link = mailed_link(farebox, email).await;
    let token = link.split_once("token=").map(|(_, token)| token.to_owned()).expect("a token");
    let mut proof = guest.token(&link).await;
    for page in ["/sign-in", "/settings/profile"] {
        // The page of an invitation that is over has no form.
        if proof.is_empty() {
            proof = guest.token(page).await;
        }
    }
    guest.post(&proof, &format!("/invitations/{how}"), &[("token", &token)]).await
}

/// The id of somebody, as addresses have it.
pub async fn person(farebox: &Farebox, email: &str) -> String {
    let id: uuid::Uuid = sqlx::query_scalar("select id from person where email = $1")
        .bind(email)
        .fetch_one(&farebox.pool)
        .await
        .expect("somebody");
    farebox::base::ids::PersonId(id).to_string()
}

/// Makes a key in the organization that is open; its text.
pub async fn key(visitor: &mut Visitor<'_>, name: &str) -> String {
    let id = farebox::base::ids::KeyId::fresh().to_string();
    let made = visitor.submit("/keys/new", "/keys", &[("id", &id), ("name", name)]).await;
    assert_eq!(made.status, 200, "{}", made.body);
    between(&made.body, "<code id=\"key\">", "<")
}
