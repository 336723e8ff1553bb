//! Finding keys: search, filters and orders, all in the address.

use super::{ada, make};
use crate::support::Farebox;
use crate::support::visitor::Visitor;

async fn names(visitor: &mut Visitor<'_>, query: &str) -> Vec<String> {
    let page = visitor.get(&format!("/keys{query}")).await;
    assert_eq!(page.status, 200, "{query}");
    let rows = page.body.split("data-kind=\"Key\" title=\"").skip(1);
    rows.filter_map(|row| row.split('"').next()).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_found_filtered_and_ordered_by_the_address() {
    let farebox = Farebox::start().await;
    let mut ada = ada(&farebox).await;
    let blog = make(&mut ada, &[("name", "Blog plugin"), ("total", "5"), ("expires", "30d")]).await;
    make(&mut ada, &[("name", "laptop"), ("day", "1")]).await;
    make(&mut ada, &[("name", "100% of a_b \\ Ölmühle")]).await;
    let idle = make(&mut ada, &[("name", "Attic")]).await;
    for statement in [
        "update api_key set created_at = now() - interval '91 days' where name = 'Attic'",
        "update api_key set disabled_at = now() where name = 'laptop'",
        "update meter set spent_total = 3, last_used_at = now() where id = (select id from api_key where name = 'laptop')",
        "update meter set spent_total = 1, last_used_at = now() - interval '100 days'
         where id = (select id from api_key where name = 'Attic')",
        "update meter set spent_total = 2, last_used_at = now() - interval '1 day'
         where id = (select id from api_key where name = 'Blog plugin')",
    ] {
        sqlx::query(statement).execute(&farebox.pool).await.expect(statement);
    }
    let odd = "100% of a_b \\ Ölmühle";
    assert_eq!(names(&mut ada, "").await, ["Attic", odd, "laptop", "Blog plugin"]);
    assert_eq!(names(&mut ada, "?sort=name").await, [odd, "Attic", "Blog plugin", "laptop"]);
    assert_eq!(names(&mut ada, "?sort=used").await, ["laptop", "Blog plugin", "Attic", odd]);
    assert_eq!(names(&mut ada, "?sort=spent").await, ["laptop", "Blog plugin", "Attic", odd]);
    assert_eq!(names(&mut ada, "?show=idle").await, ["Attic"]);
    assert_eq!(names(&mut ada, "?show=no-limit").await, ["Attic", odd]);
    assert_eq!(names(&mut ada, "?show=never-expires").await, ["Attic", odd, "laptop"]);
    assert_eq!(names(&mut ada, "?show=disabled").await, ["laptop"]);
    assert_eq!(names(&mut ada, "?show=active&sort=name").await, [odd, "Attic", "Blog plugin"]);
    assert!(names(&mut ada, "?show=expired").await.is_empty());
    // Part of a name in any case, and the end of a key; what looks like a pattern is only text.
    for (text, found) in [
        ("PLUG", vec!["Blog plugin"]),
        ("l", vec![odd, "laptop", "Blog plugin"]),
        ("ölm", vec![odd]),
        ("%", vec![odd]),
        ("a_b", vec![odd]),
        ("axb", vec![]),
        ("\\", vec![odd]),
        ("' or true --", vec![]),
    ] {
        for sort in ["", "name", "used", "spent"] {
            let query = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("q", text)
                .append_pair("sort", sort)
                .finish();
            let mut seen = names(&mut ada, &format!("?{query}")).await;
            let mut wanted: Vec<String> = found.iter().map(|name| (*name).to_owned()).collect();
            seen.sort();
            wanted.sort();
            assert_eq!(seen, wanted, "{text} by {sort}");
        }
    }
    let end = &blog.text[blog.text.len() - 4..];
    assert_eq!(names(&mut ada, &format!("?q={end}")).await, ["Blog plugin"]);
    assert_eq!(names(&mut ada, &format!("?q=sk-fb-v1-{}…{end}", &blog.text[9..13])).await, ["Blog plugin"]);

    let page = ada.get("/keys").await.body;
    for hint in ["idle 90 days", "no limit", "<span class=\"tag\">never</span>"] {
        assert!(page.contains(hint), "{hint}");
    }
    for nonsense in ["?show=odd&sort=odd", "?after=nonsense", "?q=%00", "?after=key_00000000000000000000000000000000"] {
        assert_eq!(ada.get(&format!("/keys{nonsense}")).await.status, 200, "{nonsense}");
    }
    assert!(ada.get("/keys?q=nothing-of-the-kind").await.body.contains("No key matches"));
    assert_eq!(ada.get(&format!("/keys/{}", idle.id)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_form_makes_a_key_that_its_list_does_not_show() {
    let farebox = Farebox::start().await;
    let mut ada = ada(&farebox).await;
    // As every id sorts by its moment, these would stand before all others, or behind them.
    for id in ["key_ffffffffffffffffffffffffffffffff", "key_00000000000000000000000000000000"] {
        for (page, form) in [
            ("/keys/new", "/keys"),
            ("/keys/give", "/keys/give"),
            ("/settings/provisioning/new", "/settings/provisioning"),
        ] {
            let fields = [("id", id), ("name", "Hidden"), ("may_manage", "on"), ("expires", "never")];
            let told = ada.submit(page, form, &fields).await;
            assert!(
                told.status == 422 && told.body.contains("Open it again."),
                "{form}: {} {}",
                told.status,
                told.body
            );
        }
    }
    assert_eq!(farebox.text("select count(*)::text from api_key").await, "0");
    // One that is there all the same is shown.
    make(&mut ada, &[("name", "Shown")]).await;
    for statement in [
        "update api_key set id = 'ffffffff-ffff-ffff-ffff-ffffffffffff'",
        "update meter set id = 'ffffffff-ffff-ffff-ffff-ffffffffffff' where kind = 'key'",
    ] {
        assert_eq!(sqlx::query(statement).execute(&farebox.pool).await.expect("a change").rows_affected(), 1);
    }
    assert_eq!(names(&mut ada, "").await, ["Shown"]);
    let path = "/keys/key_ffffffffffffffffffffffffffffffff";
    assert_eq!(ada.get(path).await.status, 200);
}
