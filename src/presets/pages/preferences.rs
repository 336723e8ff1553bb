//! `/settings/preferences`: what every call of the organization gets, and what that does to one.

use std::time::Instant;

use actix_web::{HttpResponse, web};
use serde_json::Map;
use sqlx::PgConnection;

use crate::catalog::{Catalog, Shelf, Task};
use crate::orgs::{KeyUser, Member, Permission, SettingsEditor};
use crate::presets::save::SettingsError;
use crate::presets::settings::Wrong;
use crate::presets::{Memory, Settings};
use crate::routing::{
    Asked, Health, LeftOut, Next, Outlook, Own, Policy, Preferences, Sort, model_of, outlook, who_may,
};
use crate::web::views::presets as views;
use crate::web::views::{Choice, Field};
use crate::web::{App, Fields, PageError, Protected, flash, html, see_other, unprocessable};

const HERE: &str = "/settings/preferences";
/// Longer than any id of a model.
const MAX_MODEL: usize = 200;

/// What the pages need of the gateway: how providers did of late, what calls read of an organization, and what the operator
/// set.
#[derive(Clone)]
pub struct Instance {
    pub health: Health,
    pub memory: Memory,
    pub model: Option<String>,
    pub sort: Option<Sort>,
}

impl Instance {
    /// What a call would be routed by that somebody makes now, with a key that no own key is limited to.
    ///
    /// # Errors
    /// Database errors only.
    pub async fn policy_of(&self, conn: &mut PgConnection, member: &Member) -> Result<Policy, sqlx::Error> {
        let mut policy = self.memory.read(conn, member.org_id()).await?.policy;
        policy.own.narrow_to_member(member.person().id);
        Ok(Policy { sort: policy.sort.or(self.sort), ..policy })
    }
}

/// What a call of whoever looks is routed by: the settings of the page with privacy and own keys, of which they have none.
struct Shown {
    policy: Policy,
    default_model: Option<String>,
    /// Providers whose own key is for some keys only.
    for_some: Vec<String>,
}

impl Shown {
    /// Reads what is saved.
    async fn read(conn: &mut PgConnection, instance: &Instance, member: &Member) -> Result<Shown, sqlx::Error> {
        let found = instance.memory.read(conn, member.org_id()).await?;
        let mut policy = found.policy;
        let for_some = policy.own.usable.iter().filter(|own| own.keys.is_some());
        let for_some = for_some.map(|own| own.provider.clone()).collect();
        policy.own.narrow_to_member(member.person().id);
        Ok(Shown { policy, default_model: found.default_model, for_some })
    }

    /// With other settings, as they stand in a form.
    fn with(self, settings: Settings) -> Shown {
        let Policy { allowed, enforced, ignored, sort, .. } = settings.policy;
        let policy = Policy { allowed, enforced, ignored, sort, ..self.policy };
        Shown { policy, default_model: settings.default_model, ..self }
    }

    /// What a call would be routed by.
    fn policy(&self, instance: &Instance) -> Policy {
        Policy { sort: self.policy.sort.or(instance.sort), ..self.policy.clone() }
    }
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
    let saved = Shown::read(&mut conn, &instance, &member).await?;
    drop(conn);
    let fields = Fields::from(query.into_inner());
    let shown = if fields.one("preview").is_empty() { saved } else { saved.with(read(&fields)) };
    html(&view(&member, &shelf.current(), &instance, &shown, None))
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
        Err(SettingsError::Wrong(wrong)) => {
            let shown = Shown::read(&mut tx, &instance, &member).await?.with(settings);
            unprocessable(&view(&member, &catalog, &instance, &shown, Some(&wrong)))
        }
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
    shown: &Shown,
    wrong: Option<&Wrong>,
) -> views::Preferences {
    let (policy, routed) = (&shown.policy, shown.policy(instance));
    let said = wrong.map(ToString::to_string).unwrap_or_default();
    let about_model = matches!(wrong, Some(Wrong::NoModel(_)));
    let about_allowed = matches!(wrong, Some(Wrong::NothingToEnforce));
    let of = |yes: bool| if yes { said.clone() } else { String::new() };
    views::Preferences {
        shell: member.shell(
            "preferences",
            "Preferences",
            "Which providers answer your calls, in which order, and which model a call gets that names none.",
        ),
        may_change: member.may(Permission::ManageSettings),
        allowed: providers(catalog, &routed.own, &policy.allowed),
        allowed_error: of(about_allowed),
        enforced: policy.enforced,
        ignored: providers(catalog, &routed.own, &policy.ignored),
        ignored_error: of(wrong.is_some() && !about_model && !about_allowed),
        sorts: sorts(policy.sort, instance.sort.unwrap_or_default()),
        default_model: Field { value: shown.default_model.clone().unwrap_or_default(), error: of(about_model) },
        instance_model: instance.model.clone().unwrap_or_default(),
        models: callable(catalog, &routed.own),
        outlook: would(catalog, instance, shown, &routed),
    }
}

/// Models that somebody could answer if the settings let them.
fn callable(catalog: &Catalog, own: &Own) -> Vec<String> {
    let free = Policy { own: own.clone(), ..Policy::default() };
    let callable = catalog.models().iter().filter(|listed| !who_may(listed, &free).is_empty());
    callable.map(|listed| listed.model.slug.to_string()).collect()
}

/// Every provider that can be called, and those that were chosen and cannot be at the moment.
fn providers(catalog: &Catalog, own: &Own, chosen: &[String]) -> Vec<Choice> {
    let is_chosen = |slug: &str| chosen.iter().any(|one| one == slug);
    let is_own = |slug: &str| own.usable.iter().any(|key| key.provider == slug);
    let listed = catalog.providers().iter().filter(|listed| {
        let slug = listed.provider.slug.as_str();
        listed.is_open() || is_own(slug) || is_chosen(slug)
    });
    let mut choices: Vec<Choice> = listed
        .map(|listed| {
            let slug = listed.provider.slug.as_str();
            let note = match (is_own(slug), listed.is_open()) {
                (true, _) => "your own key",
                (false, true) => "",
                (false, false) => "no key on this server",
            };
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

/// What would become of a call to the default model, or to the one that examples name, made by whoever looks.
fn would(catalog: &Catalog, instance: &Instance, shown: &Shown, policy: &Policy) -> views::WhatWouldHappen {
    let example = || catalog.example().map(|listed| listed.model.slug.to_string());
    let chosen = shown.default_model.clone().or_else(|| instance.model.clone());
    let is_default = chosen.is_some();
    let Some(model) = chosen.or_else(example) else { return views::WhatWouldHappen::default() };
    let (models, body) = ([model.clone()], Map::new());
    let preferences = Preferences::default();
    let asked = Asked { models: &models, preferences: &preferences, policy, body: &body, has_cap: false, last: None };
    if model_of(catalog, &model).is_some_and(|listed| listed.model.task() != Task::Answer) {
        let sentence = "It writes nothing, so a call for a conversation would be refused.".to_owned();
        return views::WhatWouldHappen { model, is_default, known: true, sentence, ..Default::default() };
    }
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
        note: for_some(catalog, &shown.for_some),
    }
}

/// Why an own key may be missing.
fn for_some(catalog: &Catalog, providers: &[String]) -> String {
    let name = |slug: &String| catalog.provider(slug).map_or_else(|| slug.clone(), |found| found.provider.name.clone());
    match providers.iter().map(name).collect::<Vec<_>>().as_slice() {
        [] => String::new(),
        names => format!(
            "It is made with a key that your own key for {} is not limited to: calls of those keys may go there.",
            names.join(", ")
        ),
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
