//! `/settings/preferences`: what every call of the organization gets, and what that does to one.

use std::time::Instant;

use actix_web::{HttpResponse, web};
use serde_json::Map;

use crate::catalog::{Catalog, Shelf};
use crate::orgs::{KeyUser, Member, Permission, SettingsEditor};
use crate::presets::save::SettingsError;
use crate::presets::settings::Wrong;
use crate::presets::{Settings, store};
use crate::routing::{Asked, Health, LeftOut, Next, Outlook, Policy, Preferences, Sort, outlook};
use crate::web::views::presets as views;
use crate::web::views::{Choice, Field};
use crate::web::{App, Fields, PageError, Protected, flash, html, see_other, unprocessable};

const HERE: &str = "/settings/preferences";
/// Longer than any id of a model.
const MAX_MODEL: usize = 200;

/// What the pages need of the gateway: how providers did of late, and what the operator set.
#[derive(Clone)]
pub struct Instance {
    pub health: Health,
    pub model: Option<String>,
    pub sort: Option<Sort>,
}

/// `GET /settings/preferences`. With fields of the form in the address it shows what these would do, and saves nothing.
///
/// # Errors
/// Database errors only.
pub async fn show(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    instance: web::Data<Instance>,
    member: KeyUser,
    query: web::Query<Vec<(String, String)>>,
) -> Result<HttpResponse, PageError> {
    let mut conn = member.tenant(&app).await?;
    let saved = store::settings(&mut conn, member.org_id()).await?;
    drop(conn);
    let fields = Fields::from(query.into_inner());
    let settings = if fields.one("preview").is_empty() { saved } else { read(&fields) };
    html(&view(&member, &shelf.current(), &instance, &settings, None))
}

/// `POST /settings/preferences`
///
/// # Errors
/// Database errors; mistakes are shown beside their field.
pub async fn save(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    instance: web::Data<Instance>,
    member: SettingsEditor,
    Protected(form): Protected<Vec<(String, String)>>,
) -> Result<HttpResponse, PageError> {
    let (settings, catalog) = (read(&Fields::from(form)), shelf.current());
    let mut tx = member.tenant(&app).await?;
    match super::super::save(&mut tx, &member.acting(), &catalog, settings.clone()).await {
        Ok(()) => {
            tx.commit().await?;
            let mut response = see_other(HERE);
            flash::set(&mut response, &app, true, "Saved. The next call uses these settings.");
            Ok(response)
        }
        Err(SettingsError::Wrong(wrong)) => unprocessable(&view(&member, &catalog, &instance, &settings, Some(&wrong))),
        Err(SettingsError::Org(error)) => Err(error.into()),
        Err(SettingsError::Database(error)) => Err(error.into()),
    }
}

fn read(fields: &Fields) -> Settings {
    let policy = Policy {
        allowed: fields.all("allowed"),
        enforced: !fields.one("enforced").is_empty(),
        ignored: fields.all("ignored"),
        sort: Sort::parse(fields.one("sort")),
        ..Policy::default()
    };
    let model: String = fields.one("default_model").trim().chars().take(MAX_MODEL).collect();
    Settings { policy, default_model: Some(model).filter(|model| !model.is_empty()) }
}

fn view(
    member: &Member,
    catalog: &Catalog,
    instance: &Instance,
    settings: &Settings,
    wrong: Option<&Wrong>,
) -> views::Preferences {
    let said = wrong.map(ToString::to_string).unwrap_or_default();
    let about_model = matches!(wrong, Some(Wrong::NoModel(_)));
    let about_allowed = matches!(wrong, Some(Wrong::NothingToEnforce));
    let of = |yes: bool| if yes { said.clone() } else { String::new() };
    let policy = &settings.policy;
    views::Preferences {
        shell: member.shell(
            "preferences",
            "Preferences",
            "Which providers answer your calls, in which order, and which model a call gets that names none.",
        ),
        may_change: member.may(Permission::ManageSettings),
        allowed: providers(catalog, &policy.allowed),
        allowed_error: of(about_allowed),
        enforced: policy.enforced,
        ignored: providers(catalog, &policy.ignored),
        ignored_error: of(wrong.is_some() && !about_model && !about_allowed),
        sorts: sorts(policy.sort, instance.sort.unwrap_or_default()),
        default_model: Field { value: settings.default_model.clone().unwrap_or_default(), error: of(about_model) },
        instance_model: instance.model.clone().unwrap_or_default(),
        models: catalog.open_models().map(|listed| listed.model.slug.to_string()).collect(),
        outlook: shown(catalog, instance, settings),
    }
}

/// Every provider that can be called, and those that were chosen and cannot be at the moment.
fn providers(catalog: &Catalog, chosen: &[String]) -> Vec<Choice> {
    let is_chosen = |slug: &str| chosen.iter().any(|one| one == slug);
    let listed =
        catalog.providers().iter().filter(|listed| listed.is_open() || is_chosen(listed.provider.slug.as_str()));
    let mut choices: Vec<Choice> = listed
        .map(|listed| {
            let slug = listed.provider.slug.as_str();
            let note = if listed.is_open() { "" } else { "no key on this server" };
            Choice::new(slug, &listed.provider.name, note, is_chosen(slug))
        })
        .collect();
    let gone = chosen.iter().filter(|slug| catalog.provider(slug).is_none());
    choices.extend(gone.map(|slug| Choice::new(slug, slug, "no longer in the catalog", true)));
    choices
}

fn sorts(chosen: Option<Sort>, instance: Sort) -> Vec<Choice> {
    let notes = [
        (Sort::Balanced, "Balanced", "Mostly the cheapest, by chance"),
        (Sort::Price, "Price", "Always the cheapest first"),
        (Sort::Throughput, "Throughput", "Most tokens a second, measured here"),
        (Sort::Latency, "Latency", "Shortest wait for the first token, measured here"),
    ];
    let chosen = chosen.unwrap_or(instance);
    notes.map(|(sort, label, note)| Choice::new(sort.as_str(), label, note, sort == chosen)).to_vec()
}

/// What would become of a call to the default model, or to the one that examples name.
fn shown(catalog: &Catalog, instance: &Instance, settings: &Settings) -> views::WhatWouldHappen {
    let example = || catalog.example().map(|listed| listed.model.slug.to_string());
    let chosen = settings.default_model.clone().or_else(|| instance.model.clone());
    let is_default = chosen.is_some();
    let Some(model) = chosen.or_else(example) else { return views::WhatWouldHappen::default() };
    let policy = Policy { sort: settings.policy.sort.or(instance.sort), ..settings.policy.clone() };
    let (models, body) = ([model.clone()], Map::new());
    let preferences = Preferences::default();
    let asked =
        Asked { models: &models, preferences: &preferences, policy: &policy, body: &body, has_cap: false, last: None };
    let seen = outlook(catalog, &asked, &instance.health, Instant::now());
    let known = seen.is_some();
    let seen = seen.unwrap_or_default();
    views::WhatWouldHappen {
        model,
        is_default,
        known,
        sentence: sentence(&seen),
        next: seen.next.iter().map(next).collect(),
        left_out: seen.left_out.iter().map(|LeftOut { provider, why }| (provider.clone(), why.in_words())).collect(),
    }
}

fn sentence(seen: &Outlook) -> String {
    match seen.next.as_slice() {
        [] => "Nobody may answer it: the call would be refused.".to_owned(),
        [only] => format!("{} answers it. There is nobody to fall back on.", only.provider),
        [first, ..] if seen.drawn => {
            format!("{} is asked first in {} of the calls.", first.provider, percent(first.first_of_1000))
        }
        [first, second, ..] => format!("{} is asked first, and {} if it fails.", first.provider, second.provider),
    }
}

fn next(next: &Next) -> (String, String) {
    let note = match (next.failed, next.first_of_1000) {
        (true, _) => "failed a moment ago, so it is asked last".to_owned(),
        (false, 0) => "asked if the others fail".to_owned(),
        (false, share) => format!("first in {} of the calls", percent(share)),
    };
    (next.provider.clone(), note)
}

fn percent(of_1000: u64) -> String {
    match of_1000 {
        0..10 => "less than 1%".to_owned(),
        more => format!("{}%", (more + 5) / 10),
    }
}
