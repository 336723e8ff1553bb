//! Long lists stay bounded, and every row can be reached.

use std::collections::BTreeSet;

use crate::support::visitor::{Page, Visitor, between};
use crate::support::{Farebox, crowd, team};

/// A page with its lists is never larger, in bytes.
const MAX_PAGE: usize = 300_000;

async fn crowded(farebox: &Farebox) -> Visitor<'_> {
    let mut ada = Visitor::member(farebox, "ada@example.com", "correct horse battery").await;
    let org = team::create(&mut ada, "Analytical Engines").await;
    crowd::fill(farebox, &org, &team::person(farebox, "ada@example.com").await).await;
    ada
}

/// A list of a page: the part of the page that it stands in, what stands around the name of a row, and its most rows.
struct List {
    path: &'static str,
    part: fn(&str) -> &str,
    row: (&'static str, &'static str),
    most: usize,
}

impl List {
    /// The names of all rows, from the first page to the last, and how many pages there were. Every page is bounded,
    /// and no row comes twice.
    async fn walk(&self, visitor: &mut Visitor<'_>) -> (usize, usize) {
        let (mut seen, mut path) = (BTreeSet::new(), self.path.to_owned());
        for pages in 1..50 {
            let Page { status, body, .. } = visitor.get(&path).await;
            assert_eq!(status, 200, "{path}");
            assert!(body.len() < MAX_PAGE, "{path}: {} bytes", body.len());
            let part = (self.part)(&body);
            let rows = part.split(self.row.0).skip(1).filter_map(|rest| rest.split(self.row.1).next());
            let rows: Vec<String> = rows.map(str::to_owned).collect();
            assert!(rows.len() <= self.most, "{path}: {} rows", rows.len());
            for row in rows {
                assert!(seen.insert(row.clone()), "{path}: {row} comes twice");
            }
            let Some((before, _)) = part.split_once("\" rel=\"next\"") else { return (seen.len(), pages) };
            let next = before.rsplit("href=\"").next().expect("an address");
            path = next.replace("&amp;", "&").replace("&#38;", "&");
        }
        panic!("the pages of {} do not end", self.path);
    }
}

fn members(page: &str) -> &str {
    page.split("open-title").next().unwrap_or_default()
}

fn invitations(page: &str) -> &str {
    page.rsplit("open-title").next().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_invitations_and_the_log_are_paged() {
    let farebox = Farebox::start().await;
    let mut ada = crowded(&farebox).await;
    let row = ("class=\"row-link clip-text\" href=\"/settings/members/", "\"");
    let people = List { path: "/settings/members", part: members, row, most: 25 };
    assert_eq!(people.walk(&mut ada).await, (301, 13));
    let row = ("Actions for the invitation of ", "\"");
    let invited = List { path: "/settings/members", part: invitations, row, most: 20 };
    assert_eq!(invited.walk(&mut ada).await, (100, 5));
    let log = List { path: "/settings/audit", part: |page| page, row: ("Somebody with the number ", "<"), most: 50 };
    assert_eq!(log.walk(&mut ada).await.0, 500);

    // Found by a part of a name or an address, in whatever case, and also where that looks like a pattern.
    for (search, found) in [("NUMBER 299", 1), ("person29", 11), ("%", 0), ("nobody at all", 0)] {
        let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("q", search).finish();
        let page = ada.get(&format!("/settings/members?{query}")).await.body;
        assert_eq!(page.matches("data-kind=\"Member\"").count(), found, "{search}");
        assert_eq!(page.contains("No member matches"), found == 0, "{search}");
    }

    // Whom a page began after may be gone by the time it is asked for.
    let first = ada.get("/settings/members").await.body;
    let after = between(&first, "/settings/members?after=", "\"");
    sqlx::query("delete from membership where person_id = $1")
        .bind(after.parse::<farebox::base::ids::PersonId>().expect("an id").0)
        .execute(&farebox.pool)
        .await
        .expect("gone");
    let page = ada.get(&format!("/settings/members?after={after}")).await;
    assert_eq!((page.status, page.location.as_str()), (303, "/settings/members"));
    for nonsense in ["after=nonsense", "invited_before=%00", "q=%00%0d%0a"] {
        assert_eq!(ada.get(&format!("/settings/members?{nonsense}")).await.status, 200, "{nonsense}");
    }
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());
}
