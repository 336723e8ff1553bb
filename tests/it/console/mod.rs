//! The console of operators, and the books.

mod access;
mod adjustments;
pub mod books;
mod catalog;
pub mod closes;
mod eyes;
mod figures;
mod freezing;
mod house;
mod rules;

use crate::support::Farebox;
use crate::support::visitor::{Page, Visitor, form};

pub const PASSWORD: &str = "correct horse battery";

/// Somebody with an account who runs the instance.
pub async fn operator<'a>(farebox: &'a Farebox, email: &str) -> Visitor<'a> {
    staff(farebox, email, "operator").await
}

/// Somebody with an account in this role.
pub async fn staff<'a>(farebox: &'a Farebox, email: &str, role: &str) -> Visitor<'a> {
    let visitor = Visitor::member(farebox, email, PASSWORD).await;
    let made = farebox.cli(&["user", role, "--email", email]).await;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    visitor
}

/// Opens a page, fills in the form that goes to `action`, and sends it as it stands otherwise.
pub async fn fill(visitor: &mut Visitor<'_>, page: &str, action: &str, fields: &[(&str, &str)]) -> Page {
    let opened = visitor.get(page).await;
    assert_eq!(opened.status, 200, "{page}: {}", opened.body);
    let known = form(&opened.body, action);
    assert!(!known.is_empty(), "{page} has no form to {action}\n{}", opened.body);
    send(visitor, action, &known, fields).await
}

/// Sends a form that was read before, with these fields.
pub async fn send(
    visitor: &mut Visitor<'_>,
    action: &str,
    known: &[(String, String)],
    fields: &[(&str, &str)],
) -> Page {
    let token = known.iter().find(|(name, _)| name == "csrf_token").map(|(_, value)| value.clone()).unwrap_or_default();
    let kept = known.iter().filter(|(name, _)| name != "csrf_token" && !fields.iter().any(|(other, _)| other == name));
    let mut all: Vec<(&str, &str)> = kept.map(|(name, value)| (name.as_str(), value.as_str())).collect();
    all.extend(fields);
    visitor.post(&token, action, &all).await
}

/// Asks for a grant or correction.
pub async fn adjust(visitor: &mut Visitor<'_>, org: &str, kind: &str, amount: &str) -> Page {
    let fields = [("kind", kind), ("amount", amount), ("reason", "the test asks for it")];
    fill(visitor, &format!("/admin/adjustments/new?org={org}"), "/admin/adjustments", &fields).await
}
