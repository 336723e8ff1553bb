//! Making and changing a preset.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::{acting, find};
use crate::base::ids::PresetId;
use crate::base::money::thousands;
use crate::catalog::{Catalog, Shelf};
use crate::orgs::{KeyUser, Member, Permission, SettingsEditor};
use crate::presets::form::{Draft, seen};
use crate::presets::{
    Flaw, PARAMETERS, Preset, PresetError, Status, Version, Writer, create, revise, set_status, store,
};
use crate::routing::Sort;
use crate::web::snippets::{Example, KEY_PLACEHOLDER};
use crate::web::views::presets as views;
use crate::web::views::{Choice, Field};
use crate::web::{App, EmptyForm, Fields, LONG_FORM, PageError, Protected, flash, html, see_other, unprocessable};

const LIST: &str = "/settings/presets";

#[derive(Deserialize)]
pub struct NewQuery {
    /// A preset to begin with.
    #[serde(default)]
    from: String,
}

/// `GET /settings/presets/new`
///
/// # Errors
/// `NotFound` for a preset to copy that is not this organization's.
pub async fn new_form(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    member: SettingsEditor,
    query: web::Query<NewQuery>,
) -> Result<HttpResponse, PageError> {
    let (mut draft, mut flaws) = (Draft::default(), None);
    if !query.from.is_empty() {
        let mut conn = member.tenant(&app).await?;
        let preset = find(&mut conn, &member, &query.from).await?;
        let version = store::version(&mut conn, preset.org, preset.id, preset.version).await?;
        let version = version.ok_or(PageError::NotFound)?;
        draft = Draft::of(&preset, &version);
        flaws = unread(version);
        draft.name = format!("{} copy", draft.name).chars().take(80).collect();
        (draft.slug, draft.base, draft.seen) = (String::new(), None, String::new());
    }
    html(&view(&member, &app, &shelf.current(), &PresetId::fresh().to_string(), None, &draft, flaws.as_deref()))
}

/// What of a version could not be read, if anything.
fn unread(version: Version) -> Option<Vec<Flaw>> {
    let told = "This version cannot be read as a whole, so calls with it are refused. What could be read stands below: \
                complete it and save.";
    version.unread.map(|unread| std::iter::once(Flaw::new("", told)).chain(unread.flaws).collect())
}

/// `POST /settings/presets/draft`: the editor again, with a list rearranged or an entry added, and what is wrong or worth
/// knowing. Nothing is saved.
///
/// # Errors
/// `NotFound` for what is not this organization's.
pub async fn draft(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    member: SettingsEditor,
    Protected(form): Protected<Vec<(String, String)>, LONG_FORM>,
) -> Result<HttpResponse, PageError> {
    let fields = Fields::from(form);
    let mut draft = Draft::read(&fields);
    draft.rearrange(fields.one("do"));
    let preset = match draft.base {
        Some(_) => Some(find(&mut *member.tenant(&app).await?, &member, fields.one("id")).await?),
        None => None,
    };
    html(&view(&member, &app, &shelf.current(), fields.one("id"), preset.as_ref(), &draft, None))
}

/// `POST /settings/presets`
///
/// # Errors
/// Database errors; mistakes are shown beside their field.
pub async fn make(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    member: SettingsEditor,
    Protected(form): Protected<Vec<(String, String)>, LONG_FORM>,
) -> Result<HttpResponse, PageError> {
    let fields = Fields::from(form);
    let id: PresetId = fields.one("id").parse().map_err(|_| PageError::Invalid("The form is damaged.".into()))?;
    let draft = Draft::read(&fields);
    let again = |flaws: Vec<Flaw>| {
        unprocessable(&view(&member, &app, &shelf.current(), &id.to_string(), None, &draft, Some(&flaws)))
    };
    let (content, slug) = match (draft.content(), draft.slug()) {
        (Ok(content), Ok(slug)) => (content, slug),
        (content, slug) => {
            let flaws = content.err().into_iter().flatten().chain(slug.err());
            return again(flaws.collect());
        }
    };
    let mut tx = member.tenant(&app).await?;
    let acting = acting(&mut tx, &member).await?;
    let entry = |action| acting.entry(action);
    let writer = Writer { org: acting.org, author: Some(acting.person.id), entry: &entry };
    match create(&mut tx, &writer, id, &slug, &content).await {
        Ok(()) => tx.commit().await?,
        // The same form again: it is there, if it is theirs.
        Err(PresetError::Again) => {
            drop(tx);
            find(&mut *member.tenant(&app).await?, &member, fields.one("id")).await?;
        }
        Err(PresetError::Flaws(flaws)) => return again(flaws),
        Err(error @ PresetError::SlugTaken) => return again(vec![Flaw::new("slug", error.to_string())]),
        Err(error) => return Err(told(error)),
    }
    let mut response = see_other(&format!("{LIST}/{id}"));
    flash::set(&mut response, &app, true, &format!("“{}” can be called now.", content.name.as_str()));
    Ok(response)
}

/// `GET /settings/presets/{preset}`
///
/// # Errors
/// `NotFound` for what is not this organization's.
pub async fn show(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    member: KeyUser,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let mut conn = member.tenant(&app).await?;
    let preset = find(&mut conn, &member, &id).await?;
    let version = store::version(&mut conn, preset.org, preset.id, preset.version).await?;
    drop(conn);
    let version = version.ok_or(PageError::NotFound)?;
    let draft = Draft::of(&preset, &version);
    let flaws = unread(version);
    html(&view(&member, &app, &shelf.current(), &id, Some(&preset), &draft, flaws.as_deref()))
}

/// `POST /settings/presets/{preset}`: another version, if anything differs.
///
/// # Errors
/// `NotFound` for what is not this organization's; mistakes are shown beside their field.
pub async fn save(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    member: SettingsEditor,
    id: web::Path<String>,
    Protected(form): Protected<Vec<(String, String)>, LONG_FORM>,
) -> Result<HttpResponse, PageError> {
    let mut tx = member.tenant(&app).await?;
    let preset = find(&mut tx, &member, &id).await?;
    let mut draft = Draft::read(&Fields::from(form));
    let again = |draft: &Draft, flaws: Vec<Flaw>| {
        unprocessable(&view(&member, &app, &shelf.current(), &id, Some(&preset), draft, Some(&flaws)))
    };
    let content = match draft.content() {
        Ok(content) => content,
        Err(flaws) => return again(&draft, flaws),
    };
    let acting = acting(&mut tx, &member).await?;
    let entry = |action| acting.entry(action);
    let writer = Writer { org: acting.org, author: Some(acting.person.id), entry: &entry };
    let version = match revise(&mut tx, &writer, &preset, Some(draft.opened()), &content).await {
        Ok(version) => version,
        Err(PresetError::Flaws(flaws)) => return again(&draft, flaws),
        Err(PresetError::Overtaken(current)) => {
            let now = find(&mut tx, &member, &id).await?;
            let text = if draft.base == Some(current) {
                format!(
                    "This preset was changed while you wrote: it is called “{}” now. Nothing of yours is lost: save again \
                     to put yours in the place of it.",
                    now.name
                )
            } else {
                format!(
                    "Version {current} was saved while you wrote. Nothing of yours is lost: save again to make it the next \
                     one."
                )
            };
            (draft.base, draft.seen) = (Some(current), seen(&now));
            return again(&draft, vec![Flaw::new("", text)]);
        }
        Err(error) => return Err(told(error)),
    };
    tx.commit().await?;
    let mut response = see_other(&format!("{LIST}/{id}"));
    let text = if version == preset.version {
        "Saved.".to_owned()
    } else {
        format!("Version {version} is saved. The next call gets it.")
    };
    flash::set(&mut response, &app, true, &text);
    Ok(response)
}

/// Archives a preset; the answer leads to the list, which says so. What it does to keys, a page above this one knows.
///
/// # Errors
/// `NotFound` for what is not this organization's.
pub async fn archive(app: &App, member: &SettingsEditor, id: &str) -> Result<HttpResponse, PageError> {
    let said = "is archived. Calls that name it are refused until you take it back.";
    change(app, member, id, Status::Archived, said).await
}

/// `POST /settings/presets/{preset}/restore`
///
/// # Errors
/// `NotFound` for what is not this organization's.
pub async fn restore(
    app: web::Data<App>,
    member: SettingsEditor,
    id: web::Path<String>,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    change(&app, &member, &id, Status::Active, "is in use again.").await
}

async fn change(
    app: &App,
    member: &SettingsEditor,
    id: &str,
    status: Status,
    said: &str,
) -> Result<HttpResponse, PageError> {
    let mut tx = member.tenant(app).await?;
    let preset = find(&mut tx, member, id).await?;
    let acting = acting(&mut tx, member).await?;
    let entry = |action| acting.entry(action);
    let writer = Writer { org: acting.org, author: Some(acting.person.id), entry: &entry };
    set_status(&mut tx, &writer, &preset, status).await.map_err(told)?;
    tx.commit().await?;
    let mut response = see_other(LIST);
    flash::set(&mut response, app, true, &format!("“{}” {said}", preset.name));
    Ok(response)
}

pub(super) fn told(error: PresetError) -> PageError {
    match error {
        PresetError::Org(error) => error.into(),
        PresetError::Database(error) => error.into(),
        PresetError::NotFound => PageError::NotFound,
        told => PageError::Invalid(told.to_string()),
    }
}

/// `flaws` are those of a form that was not saved; without them the draft is only looked at.
fn view(
    member: &Member,
    app: &App,
    catalog: &Catalog,
    id: &str,
    preset: Option<&Preset>,
    draft: &Draft,
    flaws: Option<&[Flaw]>,
) -> views::Editor {
    let content = draft.content();
    let found: Vec<Flaw> = match flaws {
        Some(flaws) => flaws.to_vec(),
        // A new preset that nobody has begun is not wrong yet.
        None if preset.is_none() && draft.name.is_empty() => Vec::new(),
        None => content.as_ref().err().cloned().unwrap_or_default(),
    };
    let error = |field: &str| {
        let of_field = found.iter().filter(|flaw| flaws.is_some() && flaw.field == field);
        of_field.map(spoken).collect::<Vec<_>>().join(" ")
    };
    let field = |name: &str, value: &str| Field { value: value.to_owned(), error: error(name) };
    let title = preset.map_or("Create a preset", |preset| preset.name.as_str());
    let slug = preset.map_or_else(|| draft.slug.clone(), |preset| preset.slug.clone());
    let suggested = draft.slug().map(|slug| slug.to_string()).unwrap_or_default();
    let reference = format!("@preset/{}", if slug.is_empty() { suggested.as_str() } else { slug.as_str() });
    let list = |name: &str| draft.lists.get(name).cloned().unwrap_or_default();
    let base_url = app.url("/api/v1");
    views::Editor {
        shell: member.shell("presets", title, if preset.is_none() { "Its name is what programs call." } else { "" }),
        id: id.to_owned(),
        exists: preset.is_some(),
        archived: preset.is_some_and(|preset| preset.status == Status::Archived),
        may_change: member.may(Permission::ManageSettings),
        version: preset.map(|preset| preset.version).unwrap_or_default(),
        base: draft.base.map(|base| base.to_string()).unwrap_or_default(),
        seen: draft.seen.clone(),
        name: field("name", &draft.name),
        slug: Field { value: draft.slug.clone(), error: error("slug") },
        suggested,
        description: field("description", &draft.description),
        system_prompt: field("system_prompt", &draft.system_prompt),
        models: views::Sortable {
            name: "models".into(),
            entries: draft.models.iter().map(|model| (model.clone(), price_note(catalog, model))).collect(),
            error: error("models"),
        },
        order: views::Sortable {
            name: "order".into(),
            entries: list("order").into_iter().map(|slug| (slug.clone(), provider_name(catalog, &slug))).collect(),
            error: String::new(),
        },
        only: providers(catalog, &list("only")),
        ignore: providers(catalog, &list("ignore")),
        provider_error: error("provider"),
        conditions: conditions(draft),
        parameters: PARAMETERS
            .iter()
            .map(|parameter| views::ParameterField {
                name: parameter.name,
                label: parameter.label,
                hint: if parameter.whole && parameter.max > 1_000_000 {
                    "A whole number".to_owned()
                } else {
                    format!("{} to {}", parameter.min, thousands(&parameter.max.to_string()))
                },
                field: field(parameter.name, draft.parameters.get(parameter.name).map_or("", String::as_str)),
            })
            .collect(),
        max_cost: field("max_cost", &draft.max_cost),
        more: Field {
            value: draft.more.clone(),
            error: [error("more"), error("parameters"), error("max_completion_tokens")].concat(),
        },
        all_models: catalog.open_models().map(|listed| listed.model.slug.to_string()).collect(),
        all_providers: providers(catalog, &[]),
        problems: found.iter().map(spoken).collect(),
        remarks: content.map(|content| Draft::remarks(&content, catalog)).unwrap_or_default(),
        snippets: preset
            .map(|_| Example { base_url: &base_url, key: KEY_PLACEHOLDER, model: &reference }.languages_and_programs()),
        reference,
    }
}

/// A flaw as a sentence that names its field.
fn spoken(flaw: &Flaw) -> String {
    let label = match flaw.field.as_str() {
        "" | "provider" => return sentence(&flaw.problem),
        "more" => "The field for more parameters",
        "max_cost" => "The price cap",
        "models" => "Models:",
        "name" => "The name",
        "slug" => "The slug",
        "description" => "The description",
        "system_prompt" => "The system prompt",
        "parameters" => "The parameters",
        name => PARAMETERS.iter().find(|parameter| parameter.name == name).map_or(name, |parameter| parameter.label),
    };
    format!("{label} {}", sentence(&flaw.problem))
}

fn sentence(text: &str) -> String {
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

fn price_note(catalog: &Catalog, model: &str) -> String {
    let listed = catalog.model(model.rsplit_once(':').map_or(model, |(base, _)| base));
    let Some(price) = listed.and_then(|listed| listed.lead_offer()).map(|offer| offer.endpoint.price) else {
        return "not in the catalog".to_owned();
    };
    let dollars = |unit: crate::catalog::UnitPrice| crate::base::Usd::new(unit.per_million()).display();
    format!("from {} in, {} out per million tokens", dollars(price.prompt), dollars(price.completion))
}

fn provider_name(catalog: &Catalog, slug: &str) -> String {
    catalog.provider(slug).map_or_else(|| "not in the catalog".to_owned(), |listed| listed.provider.name.clone())
}

fn providers(catalog: &Catalog, chosen: &[String]) -> Vec<Choice> {
    let is_chosen = |slug: &str| chosen.iter().any(|one| one == slug);
    let listed =
        catalog.providers().iter().filter(|listed| listed.is_open() || is_chosen(listed.provider.slug.as_str()));
    let mut choices: Vec<Choice> = listed
        .map(|listed| {
            let slug = listed.provider.slug.as_str();
            Choice::new(slug, &listed.provider.name, "", is_chosen(slug))
        })
        .collect();
    let others = chosen.iter().filter(|slug| catalog.provider(slug).is_none());
    choices.extend(others.map(|slug| Choice::new(slug, slug, "", true)));
    choices
}

fn conditions(draft: &Draft) -> Vec<views::Condition> {
    let chosen = |name: &str| draft.conditions.get(name).cloned().unwrap_or_default();
    let condition = |name: &'static str, label: &'static str, hint: &'static str, choices: &[(&str, &str)]| {
        let now = chosen(name);
        let choices = std::iter::once(&("", "As the settings say")).chain(choices);
        views::Condition {
            name,
            label,
            hint,
            choices: choices.map(|(value, label)| Choice::new(value, label, "", *value == now)).collect(),
        }
    };
    let sorts = Sort::ALL.map(|sort| {
        let label = match sort {
            Sort::Balanced => "Balanced",
            Sort::Price => "Price",
            Sort::Throughput => "Throughput",
            Sort::Latency => "Latency",
        };
        (sort.as_str(), label)
    });
    vec![
        condition("sort", "Sort", "Who is asked first among those that are not in the order.", &sorts),
        condition(
            "allow_fallbacks",
            "Fall back on others",
            "No: exactly one provider is tried.",
            &[("yes", "Yes"), ("no", "No")],
        ),
        condition(
            "data_collection",
            "Training on inputs",
            "Deny: nobody is asked who may train on what they are sent.",
            &[("allow", "Allow"), ("deny", "Deny")],
        ),
        condition(
            "require_parameters",
            "Require parameters",
            "Yes: who does not know a parameter is not asked. Else it is asked without it.",
            &[("yes", "Yes"), ("no", "No")],
        ),
    ]
}
