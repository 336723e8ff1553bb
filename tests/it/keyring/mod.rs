//! Keys, as people have them: what stands on one holds for real calls, on every node.

mod alarm;
mod authentication;
mod clock;
mod give;
mod kills;
mod limits;
mod list;
mod many;
mod rules;
mod secrets;
mod switch;

use farebox::base::ids::KeyId;
use serde_json::json;

use crate::support::visitor::{Page, Visitor, between, form};
use crate::support::{Farebox, Key, Options};

const ADA: &str = "ada@example.com";
const PASSWORD: &str = "correct horse battery";

/// Two processes on one database.
async fn two() -> (Farebox, Farebox) {
    let first = Farebox::start().await;
    let options = Options { database_url: Some(first.database_url.clone()), ..Options::default() };
    let second = Farebox::with(options).await;
    (first, second)
}

/// Ada with credits, signed in.
async fn ada(farebox: &Farebox) -> Visitor<'_> {
    let visitor = Visitor::member(farebox, ADA, PASSWORD).await;
    farebox.cli(&["credits", "grant", "--email", ADA, "--amount", "50"]).await;
    visitor
}

/// Makes a key on its page; with its text.
async fn make(visitor: &mut Visitor<'_>, fields: &[(&str, &str)]) -> Key {
    let id = KeyId::fresh().to_string();
    let mut sent = vec![("id", id.as_str())];
    sent.extend(fields);
    if !fields.iter().any(|(name, _)| *name == "name") {
        sent.push(("name", "Lab"));
    }
    let page = visitor.submit("/keys/new", "/keys", &sent).await;
    assert_eq!(page.status, 200, "{}", page.body);
    Key { text: shown(&page), org: String::new(), id }
}

/// Makes a preset; its id.
async fn preset(visitor: &mut Visitor<'_>, name: &str, fields: &[(&str, &str)]) -> String {
    let id = farebox::base::ids::PresetId::fresh().to_string();
    let mut sent = vec![("id", id.as_str()), ("name", name)];
    sent.extend(fields);
    let made = visitor.submit("/settings/presets/new", "/settings/presets", &sent).await;
    assert_eq!(made.status, 303, "{}", made.body);
    id
}

/// The key that a page shows this one time.
fn shown(page: &Page) -> String {
    let text = between(&page.body, "<code id=\"key\">", "<");
    assert!(text.starts_with("sk-fb-v1-"), "{}", page.body);
    text
}

/// Sends the form for editing a key as it is filled in, with these fields in place of its own.
async fn edit(visitor: &mut Visitor<'_>, key: &str, fields: &[(&str, &str)]) -> Page {
    let path = format!("/keys/{key}/edit");
    let page = visitor.get(&path).await;
    send_edit(visitor, &page, &path, fields).await
}

async fn send_edit(visitor: &mut Visitor<'_>, page: &Page, path: &str, fields: &[(&str, &str)]) -> Page {
    let mut filled = form(&page.body, path);
    for area in ["models", "networks"] {
        let start = format!("<textarea class=\"input\" id=\"{area}\"");
        let rest = between(&page.body, &start, "</textarea>");
        filled.push((area.to_owned(), rest.split_once('>').map_or("", |(_, text)| text).to_owned()));
    }
    filled.push(("expires".to_owned(), "keep".to_owned()));
    for (_, value) in &mut filled {
        *value = value.replace("&#60;", "<").replace("&#62;", ">").replace("&#38;", "&");
    }
    filled.retain(|(name, _)| !fields.iter().any(|(other, _)| other == name));
    let token = filled.iter().find(|(name, _)| name == "csrf_token").map(|(_, value)| value.clone()).expect("a token");
    let mut sent: Vec<(&str, &str)> =
        filled.iter().filter(|(name, _)| name != "csrf_token").map(|(n, v)| (n.as_str(), v.as_str())).collect();
    // A box that is not ticked is not sent.
    sent.retain(|(name, _)| *name != "byok");
    sent.extend(fields);
    visitor.post(&token, path, &sent).await
}

async fn saved(visitor: &mut Visitor<'_>, key: &str, fields: &[(&str, &str)]) {
    let page = edit(visitor, key, fields).await;
    assert_eq!((page.status, page.location), (303, format!("/keys/{key}")), "{}", page.body);
}

async fn status(farebox: &Farebox, key: &Key, model: &str) -> u16 {
    farebox.chat(key, model, "hi", json!({})).await.status().as_u16()
}

/// Calls until the status is as expected, which the project promises within a second.
async fn within_a_second(farebox: &Farebox, key: &Key, model: &str, expected: u16) {
    let begun = std::time::Instant::now();
    loop {
        let now = status(farebox, key, model).await;
        if now == expected {
            return;
        }
        assert!(begun.elapsed() < crate::support::size::heard_within(), "it still answers {now}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
