//! Trying a preset: a real call, paid with one of the member's own keys.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::base::Usd;
use crate::base::ids::CallId;
use crate::catalog::{Catalog, Shelf};
use crate::gateway::{Answer, ClientFacts, Gateway};
use crate::keys::{self, Key, KeyState, Listing, Which};
use crate::orgs::KeyUser;
use crate::presets;
use crate::presets::pages::find;
use crate::presets::{Preset, Status, Version};
use crate::web::headers::request_id;
use crate::web::present::amount;
use crate::web::views::presets as views;
use crate::web::views::{Choice, Field};
use crate::web::{App, LONG_FORM, PageError, Protected, html, unprocessable};

/// Keys to choose from.
const MAX_KEYS: i64 = 50;
const MAX_MESSAGE: usize = 8_000;
/// A trial that runs longer is looked up in the log.
const MAX_ANSWER_TOKENS: u64 = 2_000;

#[derive(Default, Deserialize)]
pub struct TryForm {
    #[serde(default)]
    key: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    model: String,
}

/// `GET /settings/presets/{preset}/try`
///
/// # Errors
/// `NotFound` for what is not this organization's.
pub async fn form(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    member: KeyUser,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let (preset, version) = subject(&app, &member, &id).await?;
    let keys = own_keys(&app, &member).await?;
    html(&view(&member, &shelf.current(), &preset, &version, &keys, &TryForm::default()))
}

/// `POST /settings/presets/{preset}/try`
///
/// # Errors
/// `NotFound` for what is not this organization's; what the call came to is on the page.
pub async fn send(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    gateway: web::Data<Gateway>,
    request: HttpRequest,
    member: KeyUser,
    id: web::Path<String>,
    Protected(form): Protected<TryForm, LONG_FORM>,
) -> Result<HttpResponse, PageError> {
    let (preset, version) = subject(&app, &member, &id).await?;
    let keys = own_keys(&app, &member).await?;
    let mut page = view(&member, &shelf.current(), &preset, &version, &keys, &form);
    if form.message.trim().is_empty() || form.message.chars().count() > MAX_MESSAGE {
        page.message.error = format!("Write a message of up to {MAX_MESSAGE} characters.");
        return unprocessable(&page);
    }
    let chosen = keys.iter().find(|key| key.id.to_string() == form.key).ok_or(PageError::NotFound)?;
    let mut conn = member.tenant(&app).await?;
    let caller = keys::caller(&mut conn, chosen, app.clock.now()).await?;
    // What issued it may be bound to networks, too.
    let caller = caller.filter(|caller| caller.rules.networks.is_none()).ok_or(PageError::NotFound)?;
    drop(conn);
    let mut body = json!({
        "model": format!("{}{}", form.model.trim(), page.reference),
        "messages": [{ "role": "user", "content": form.message }],
    });
    if version.config.max_tokens.is_none() {
        body["max_tokens"] = MAX_ANSWER_TOKENS.into();
    }
    let facts = ClientFacts { request_id: request_id(&request), app: "Try it".into(), ..ClientFacts::default() };
    let (call, answer) = gateway.chat(&caller, facts, body.to_string().as_bytes()).await;
    match answer {
        Answer::Whole(bytes) => page.answer = Some(answered(call, &bytes)),
        Answer::Error(error) => page.error = error.message().to_owned(),
        // Nobody asked for one.
        Answer::Stream(_) => page.error = "The answer came in pieces. Look it up in the log.".into(),
    }
    html(&page)
}

async fn subject(app: &App, member: &KeyUser, id: &str) -> Result<(Preset, Version), PageError> {
    let mut conn = member.tenant(app).await?;
    let preset = find(&mut conn, member, id).await?;
    if preset.status == Status::Archived {
        return Err(PageError::Invalid("This preset is archived, so it cannot be tried. Take it back first.".into()));
    }
    let version = presets::version(&mut conn, preset.org, preset.id, preset.version).await?;
    Ok((preset, version.ok_or(PageError::NotFound)?))
}

/// Keys of the member's own that can make a call now.
async fn own_keys(app: &App, member: &KeyUser) -> Result<Vec<Key>, PageError> {
    let mut conn = member.tenant(app).await?;
    let now = app.clock.now();
    let listing = Listing { maker: Some(member.person().id), which: Which::Active, ..Listing::default() };
    let keys = keys::list(&mut conn, member.org_id(), &listing, MAX_KEYS).await?;
    // One that is bound to networks is for its program, not for this page.
    let fits = |key: &Key| key.state(now) == KeyState::Active && key.rules.networks.is_none();
    Ok(keys.into_iter().filter(fits).collect())
}

fn view(
    member: &KeyUser,
    catalog: &Catalog,
    preset: &Preset,
    version: &Version,
    keys: &[Key],
    form: &TryForm,
) -> views::Try {
    let choice = |key: &Key| {
        let id = key.id.to_string();
        Choice::new(&id, &format!("{} ({})", key.name, key.label), "", id == form.key)
    };
    views::Try {
        shell: member.shell("presets", &format!("Try {}", preset.name), ""),
        id: preset.id.to_string(),
        reference: format!("@preset/{}", preset.slug),
        needs_model: version.config.models.is_empty(),
        model: Field::of(&form.model),
        all_models: catalog.open_models().map(|listed| listed.model.slug.to_string()).collect(),
        keys: keys.iter().map(choice).collect(),
        message: Field::of(&form.message),
        ..views::Try::default()
    }
}

fn answered(call: CallId, bytes: &[u8]) -> views::Answered {
    let body: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let text = |path: &str| body.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let count = |path: &str| body.pointer(path).and_then(Value::as_u64).unwrap_or_default();
    let said = text("/choices/0/message/content");
    let cost = body.pointer("/usage/cost").map(ToString::to_string).unwrap_or_default();
    views::Answered {
        text: if said.is_empty() { "(no text)".to_owned() } else { said },
        by: format!("{} at {}", text("/model"), text("/provider")),
        cost: amount(Usd::parse(&cost).unwrap_or_default()),
        tokens: format!("{} tokens in, {} out", count("/usage/prompt_tokens"), count("/usage/completion_tokens")),
        href: format!("/activity/{call}"),
    }
}
