//! Upstream keys: which are stored, how their providers do, and storing another.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::orgs::ReasonForm;
use super::{again, done, form, page, reason_field};
use crate::audit::{Action, Target};
use crate::base::Secret;
use crate::catalog::{self, SecretError};
use crate::console::Settings;
use crate::console::extract::{Acting, Operator};
use crate::console::margin::whole;
use crate::console::{act, store};
use crate::web::present::when;
use crate::web::views::blocks::{Block, Cell, Column, Input, Table};
use crate::web::views::{Badge, Choice};
use crate::web::{App, PageError, Protected};

const HERE: &str = "/admin/upstreams";
/// Keys of all providers are shorter.
const MAX_KEY: usize = 4_096;

/// How a provider did in the last day, by the sums of calls.
fn health(one: &store::UpstreamRow) -> Badge {
    match (one.calls, one.failed) {
        (0, _) => Badge::new("", "clock", "No calls today"),
        (_, 0) => Badge::new("good", "circle-check", "No failures"),
        (calls, failed) if failed * 20 < calls => {
            Badge::new("good", "circle-check", format!("{failed} of {calls} failed"))
        }
        (calls, failed) if failed * 2 < calls => {
            Badge::new("warn", "triangle-alert", format!("{failed} of {calls} failed"))
        }
        (calls, failed) => Badge::new("bad", "circle-x", format!("{failed} of {calls} failed")),
    }
}

/// `GET /admin/upstreams`
///
/// # Errors
/// Database errors only.
pub async fn index(app: web::Data<App>, staff: Operator) -> Result<HttpResponse, PageError> {
    let known = store::upstreams(&mut *app.db.acquire().await?).await?;
    let now = app.clock.now();
    let table = Table {
        id: "upstreams",
        note: "A key is sealed when it is stored and never shown again.".into(),
        columns: vec![
            Column::of("Provider"),
            Column::of("Key"),
            Column::of("Last day"),
            Column::right("Calls"),
            Column::far("Address"),
        ],
        rows: known
            .iter()
            .map(|one| {
                let key = match one.key_since {
                    Some(at) => Cell::when(when(at, now, staff.viewer())).under("stored"),
                    None if one.needs_key => Cell::badge(Badge::new("warn", "key-round", "None stored")),
                    None => Cell::text("needs none"),
                };
                vec![
                    Cell::text(one.name.as_str()).under(format!(
                        "{}, {}{}",
                        one.slug,
                        one.kind,
                        if one.enabled { "" } else { ", switched off" }
                    )),
                    key,
                    Cell::badge(health(one)),
                    Cell::text(whole(one.calls)),
                    Cell::text(one.base_url.clone().unwrap_or_default()),
                ]
            })
            .collect(),
        empty: "No providers".into(),
        empty_note: "The catalog names them.".into(),
        ..Table::default()
    };
    let mut blocks = vec![Block::Table(table)];
    let choices: Vec<Choice> =
        known.iter().filter(|one| one.needs_key).map(|one| Choice::new(&one.slug, &one.name, "", false)).collect();
    if !choices.is_empty() {
        let mut set = form(&staff, "set", HERE, "Store a key", "Store the key");
        set.note = "It takes the place of the one before within a second, on every node.".into();
        set.fields = vec![
            Input::of("select", "provider", "Provider").choices(choices).required(),
            Input::of("password", "credential", "Key").required().max(4_096),
            reason_field(),
        ];
        blocks.push(Block::Form(set));
    }
    page(staff.shell("upstreams", "Upstream keys", "With which keys calls go out, and how their providers do."), blocks)
}

#[derive(Deserialize)]
pub struct KeyForm {
    #[serde(default)]
    provider: String,
    /// Under this name, so that it is not kept for after a step-up.
    #[serde(default)]
    credential: String,
    #[serde(flatten)]
    why: ReasonForm,
}

/// `POST /admin/upstreams`
///
/// # Errors
/// `NotFound` for an unknown provider; those of [`act::begin`].
pub async fn set(
    app: web::Data<App>,
    settings: web::Data<Settings>,
    staff: Acting,
    Protected(form): Protected<KeyForm>,
) -> Result<HttpResponse, PageError> {
    let key = form.credential.trim();
    if key.is_empty() || key.len() > MAX_KEY || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(PageError::Invalid(
            "A key is a text of printable letters without spaces. Nothing was stored.".into(),
        ));
    }
    let Some(mut act) = act::begin(&app, &staff, &form.why.form, &form.why.reason, "upstream").await? else {
        return Ok(again(&app, HERE));
    };
    let key = Secret::new(key.to_owned());
    match catalog::set_upstream_key(&mut act.tx, &settings.sealer, &form.provider, &key).await {
        Ok(()) => {}
        Err(SecretError::UnknownProvider(_)) => return Err(PageError::NotFound),
        Err(error) => return Err(PageError::Internal(error.into())),
    }
    let target = Target::new("provider", &form.provider, form.provider.as_str());
    act.note(None, Action::UpstreamKeySet, target, (Value::Null, json!({ "key": "stored" }))).await?;
    act.commit().await?;
    Ok(done(&app, HERE, true, "The key is stored. It is not shown again."))
}
