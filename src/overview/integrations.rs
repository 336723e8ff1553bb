//! `/settings/integrations`: accounts at providers that the organization has itself.

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::{HttpResponse, web};
use sqlx::PgConnection;

use crate::accounts::Recent;
use crate::activity::{self, Group, Slice, Span};
use crate::base::ids::{KeyId, OrgId, PersonId};
use crate::base::{Usd, Viewer};
use crate::catalog::{Catalog, ListedModel, ListedProvider, Modality, Model, Offer, Shelf, Task};
use crate::integrations::{self, ConnectError, MAX_LIMITS, PlainProviderKey, ProviderKey, Tried, Turn, Wish, try_key};
use crate::keys::{self, Listing};
use crate::orgs::{self, KeyUser, Member, Permission, SettingsEditor};
use crate::outgoing::HttpClient;
use crate::presets::Terms;
use crate::routing::{Mode, origin_of};
use crate::web::present::{self, amount, when};
use crate::web::views::own as views;
use crate::web::views::{Badge, Choice, Field};
use crate::web::{App, EmptyForm, Fields, PageError, Protected, flash, html, see_other, unprocessable};

const HERE: &str = "/settings/integrations";
const LIMIT: i64 = 200;
const WORKS: &str = "The key works";

/// `GET /settings/integrations`
///
/// # Errors
/// Database errors only.
pub async fn index(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    terms: web::Data<Terms>,
    member: KeyUser,
) -> Result<HttpResponse, PageError> {
    let mut conn = member.tenant(&app).await?;
    let keys = integrations::list(&mut conn, member.org_id()).await?;
    let used = integrations::used_this_month(&mut conn, member.org_id()).await?;
    let billed = billed_this_month(&mut conn, &app, &member).await?;
    drop(conn);
    let catalog = shelf.current();
    let card = |listed: &ListedProvider| {
        let slug = listed.provider.slug.as_str();
        let own = keys.iter().find(|key| key.provider == slug);
        let models =
            catalog.models().iter().filter(|model| model.offers.iter().any(|offer| is_at(offer, slug))).count();
        views::Card {
            slug: slug.to_owned(),
            name: listed.provider.name.clone(),
            host: host_of(listed),
            models: if models == 1 { "1 model".to_owned() } else { format!("{models} models") },
            own: own.map(|key| own_card(key, listed)),
            billed: billed.get(slug).copied().map(amount),
            otherwise: if listed.is_open() {
                "Calls go to the operator’s account and are paid with credits.".to_owned()
            } else {
                "The operator has no account there, so its models need a key of your own.".to_owned()
            },
        }
    };
    let mut cards: Vec<views::Card> =
        catalog.providers().iter().filter(|listed| takes_keys(listed)).map(|listed| card(listed)).collect();
    // What is connected first; the others stay as they stand in the catalog.
    cards.sort_by_key(|card| card.own.is_none());
    html(&views::Integrations {
        shell: member.shell(
            "integrations",
            "Integrations",
            "Bring your own keys: calls then run on your accounts at these providers.",
        ),
        may_change: member.may(Permission::ManageSettings),
        fee: if terms.fee.rate.is_zero() { String::new() } else { present::percent(terms.fee.rate) },
        allowance: amount(terms.fee.allowance),
        used: amount(used.min(terms.fee.allowance)),
        cards,
    })
}

/// What each provider takes itself for the calls of this month (UTC), of those whose calls the member sees.
async fn billed_this_month(
    conn: &mut PgConnection,
    app: &App,
    member: &Member,
) -> Result<HashMap<String, Usd>, sqlx::Error> {
    let now = app.clock.now();
    let span = Span { from: activity::start_of_month(now, chrono_tz::UTC), to: now };
    let slice = Slice { member: member.calls_of(), ..Slice::default() };
    let sums = activity::spent_by(conn, member.org_id(), span, &slice, Group::Provider).await?;
    let billed = sums.into_iter().map(|(provider, totals)| (provider, totals.upstream_cost));
    Ok(billed.filter(|(_, billed)| !billed.is_zero()).collect())
}

/// `GET /settings/integrations/{provider}`
///
/// # Errors
/// `NotFound` for a provider that takes no keys.
pub async fn show(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    _recent: Recent,
    member: SettingsEditor,
    slug: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let catalog = shelf.current();
    let listed = provider(&catalog, &slug)?;
    let mut conn = member.tenant(&app).await?;
    let own = integrations::find(&mut conn, member.org_id(), &slug).await?;
    let wish = own.as_ref().map_or_else(Wish::default, wish_of);
    html(&view(&app, &mut conn, &member, &catalog, listed, own.as_ref(), &wish).await?)
}

/// `POST /settings/integrations/{provider}`
///
/// # Errors
/// Database errors; mistakes are shown beside their field.
pub async fn save(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    terms: web::Data<Terms>,
    _recent: Recent,
    member: SettingsEditor,
    slug: web::Path<String>,
    Protected(form): Protected<Vec<(String, String)>>,
) -> Result<HttpResponse, PageError> {
    let catalog = shelf.current();
    let listed = provider(&catalog, &slug)?;
    let fields = Fields::from(form);
    let mut tx = member.tenant(&app).await?;
    let pasted = fields.one("api_key");
    let (key, mut key_error) = match PlainProviderKey::parse(pasted) {
        Ok(key) => (Some(key), String::new()),
        Err(_) if pasted.trim().is_empty() => (None, String::new()),
        Err(wrong) => (None, wrong.to_string()),
    };
    let before = integrations::find(&mut tx, member.org_id(), &slug).await?.as_ref().map(wish_of);
    let wish = read(&mut tx, member.org_id(), listed, &catalog, &fields, key, before.as_ref()).await?;
    let mut error = String::new();
    if key_error.is_empty() {
        match integrations::connect(&mut tx, &member.acting(), &terms.vault, listed, wish.clone()).await {
            Ok(()) => {
                tx.commit().await?;
                let mut response = see_other(&format!("{HERE}/{}", listed.provider.slug.as_str()));
                flash::set(&mut response, &app, true, "Saved. The next call uses it. Test the key to be sure of it.");
                return Ok(response);
            }
            Err(wrong @ (ConnectError::NoKey | ConnectError::Moved)) => key_error = wrong.to_string(),
            Err(wrong @ (ConnectError::NoAddress | ConnectError::Name | ConnectError::TooMany)) => {
                error = wrong.to_string();
            }
            Err(ConnectError::Org(error)) => return Err(error.into()),
            Err(ConnectError::Vault(error)) => return Err(PageError::Internal(error.into())),
            Err(ConnectError::Database(error)) => return Err(error.into()),
        }
    }
    let own = integrations::find(&mut tx, member.org_id(), &slug).await?;
    let page = view(&app, &mut tx, &member, &catalog, listed, own.as_ref(), &wish).await?;
    // What was pasted is not sent back, right or wrong.
    unprocessable(&views::Integration { api_key: Field::wrong("", key_error), error, ..page })
}

/// `POST /settings/integrations/{provider}/test`
///
/// # Errors
/// `NotFound` where no key is stored, and database errors; a provider that does not answer well is told on the page.
pub async fn test(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    terms: web::Data<Terms>,
    http: web::Data<HttpClient>,
    (_recent, member): (Recent, SettingsEditor),
    slug: web::Path<String>,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let catalog = shelf.current();
    let listed = provider(&catalog, &slug)?;
    let org = member.org_id();
    let mut tx = member.tenant(&app).await?;
    let own = integrations::find(&mut tx, org, &slug).await?.ok_or(PageError::NotFound)?;
    let told = |good: bool, text: &str| {
        let mut response = see_other(&format!("{HERE}/{}", listed.provider.slug.as_str()));
        flash::set(&mut response, &app, good, text);
        Ok(response)
    };
    if integrations::begin_test(&mut tx, org, &slug).await? == Turn::Later {
        return told(false, "This key was tested a moment ago. Wait five seconds.");
    }
    let opened = integrations::open_one(&mut tx, &terms.vault, org, &slug).await;
    tx.commit().await?;
    // From here on no transaction is open while the provider is asked.
    let tried = match (opened, offer_for(&catalog, &slug, &own)) {
        (Ok(Some((origin, key))), Some(offer)) => try_key(&http, offer, &origin, &key).await,
        (Ok(_), None) => Tried::Failed("The catalog has no model at this provider that the key is for.".to_owned()),
        (Ok(None), _) => return Err(PageError::NotFound),
        (Err(error), _) => {
            tracing::error!(%org, provider = slug.as_str(), %error, "a key for a provider cannot be opened");
            Tried::Failed("The stored key cannot be opened. Paste it again, or ask the operator.".to_owned())
        }
    };
    let (good, text) = match tried {
        Tried::Works => (true, format!("{WORKS}.")),
        Tried::Accepted(note) => (true, note),
        Tried::Failed(why) => (false, why),
    };
    let mut tx = member.tenant(&app).await?;
    integrations::note_test(&mut tx, org, &slug, if good { "" } else { &text }).await?;
    tx.commit().await?;
    told(good, &text)
}

/// `POST /settings/integrations/{provider}/disconnect`
///
/// # Errors
/// Database errors only.
pub async fn disconnect(
    app: web::Data<App>,
    _recent: Recent,
    member: SettingsEditor,
    slug: web::Path<String>,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let mut tx = member.tenant(&app).await?;
    let was = integrations::disconnect(&mut tx, &member.acting(), &slug).await?;
    tx.commit().await?;
    let mut response = see_other(HERE);
    let text = if was { "The key is deleted. The next call does without it." } else { "No key was stored there." };
    flash::set(&mut response, &app, was, text);
    Ok(response)
}

fn provider<'a>(catalog: &'a Catalog, slug: &str) -> Result<&'a ListedProvider, PageError> {
    let listed = catalog.provider(slug).filter(|listed| takes_keys(listed));
    listed.map(|listed| &**listed).ok_or(PageError::NotFound)
}

fn takes_keys(listed: &ListedProvider) -> bool {
    integrations::origin_for(listed).is_some()
}

fn host_of(listed: &ListedProvider) -> String {
    listed.provider.base_url.as_deref().and_then(origin_of).unwrap_or_default()
}

fn is_at(offer: &Offer, slug: &str) -> bool {
    offer.provider.provider.slug.as_str() == slug
}

/// The cheapest model that the key is for.
fn offer_for<'a>(catalog: &'a Catalog, slug: &str, own: &ProviderKey) -> Option<&'a Offer> {
    let may = |model: &str| own.models.as_ref().is_none_or(|models| models.iter().any(|one| one == model));
    cheapest(catalog.models().iter().filter(|listed| may(listed.model.slug.as_str())), slug)
}

/// Of those that answer a greeting with a text.
fn cheapest<'a>(models: impl Iterator<Item = &'a Arc<ListedModel>>, slug: &str) -> Option<&'a Offer> {
    let answers = |model: &Model| model.task() == Task::Answer && model.output_modalities.contains(&Modality::Text);
    let models = models.filter(|listed| answers(&listed.model));
    let offers = models.flat_map(|listed| listed.offers.iter()).filter(|offer| is_at(offer, slug));
    offers.min_by_key(|offer| offer.endpoint.price.prompt.amount() + offer.endpoint.price.completion.amount())
}

fn own_card(key: &ProviderKey, listed: &ListedProvider) -> views::OwnCard {
    let state = if host_of(listed) != key.origin {
        Badge::new("bad", "triangle-alert", "Address changed")
    } else {
        match key.test_result.as_deref() {
            None => Badge::new("accent", "key-round", "Connected"),
            Some("") => Badge::new("good", "circle-check", "Works"),
            Some(_) => Badge::new("warn", "triangle-alert", "Test failed"),
        }
    };
    let counted = |count: usize, what: &str| match count {
        0 => None,
        1 => Some(format!("1 {what}")),
        more => Some(format!("{more} {what}s")),
    };
    let limits = [
        counted(key.models.as_ref().map_or(0, Vec::len), "model"),
        counted(key.keys.as_ref().map_or(0, Vec::len), "key"),
        counted(key.members.as_ref().map_or(0, Vec::len), "member"),
    ];
    views::OwnCard {
        name: key.name.clone(),
        label: key.label.clone(),
        state,
        mode: modes(key.mode).into_iter().find(|mode| mode.selected).map(|mode| mode.label).unwrap_or_default(),
        limits: limits.into_iter().flatten().collect::<Vec<_>>().join(", "),
    }
}

fn modes(chosen: Mode) -> Vec<Choice> {
    let choice = |mode: Mode| {
        let (label, note) = match mode {
            Mode::First => ("Try first", "Then the operator’s account, with your credits"),
            Mode::Fallback => ("Only as fallback", "When every other provider failed"),
            Mode::Only => ("Never use credits", "For this provider your key or nothing"),
        };
        Choice::new(mode.as_str(), label, note, mode == chosen)
    };
    Mode::ALL.map(choice).to_vec()
}

fn wish_of(key: &ProviderKey) -> Wish {
    Wish {
        key: None,
        name: key.name.clone(),
        mode: key.mode,
        models: key.models.clone().unwrap_or_default(),
        keys: key.keys.clone().unwrap_or_default(),
        members: key.members.clone().unwrap_or_default(),
    }
}

/// What the form says, of what there is, or stands in a limit already: ids of others are passed over, as if they had not
/// been sent.
async fn read(
    conn: &mut PgConnection,
    org: OrgId,
    listed: &ListedProvider,
    catalog: &Catalog,
    fields: &Fields,
    key: Option<PlainProviderKey>,
    before: Option<&Wish>,
) -> Result<Wish, sqlx::Error> {
    let known = models_of(catalog, listed);
    let nothing = Wish::default();
    let before = before.unwrap_or(&nothing);
    let keys: Vec<KeyId> = fields.all("key").iter().take(MAX_LIMITS).filter_map(|id| id.parse().ok()).collect();
    let live = keys::live(conn, org, None, &keys).await?;
    let members = orgs::members(conn, org).await?;
    let is_member = |id: &PersonId| members.iter().any(|(member, _)| member == id);
    Ok(Wish {
        key,
        name: fields.one("name").trim().to_owned(),
        mode: Mode::parse(fields.one("mode")).unwrap_or_default(),
        models: fields
            .all("models")
            .into_iter()
            .filter(|model| known.contains(model) || before.models.contains(model))
            .collect(),
        keys: keys.into_iter().filter(|key| live.contains_key(key) || before.keys.contains(key)).collect(),
        members: fields
            .all("member")
            .iter()
            .filter_map(|id| id.parse().ok())
            .filter(|id| is_member(id) || before.members.contains(id))
            .collect(),
    })
}

fn models_of(catalog: &Catalog, listed: &ListedProvider) -> Vec<String> {
    let slug = listed.provider.slug.as_str();
    let here = catalog.models().iter().filter(|model| model.offers.iter().any(|offer| is_at(offer, slug)));
    let mut models: Vec<String> = here.map(|model| model.model.slug.to_string()).collect();
    models.sort();
    models
}

/// What can be chosen, with its name, and what stands in a limit although it is not offered any more: a limit that is not
/// shown would be lost by saving, and none means all.
fn with_stored<I: PartialEq + Clone>(
    mut offered: Vec<(I, String)>,
    stored: &[I],
    name: impl Fn(&I) -> String,
) -> Vec<(I, String)> {
    let missing = stored.iter().filter(|id| offered.iter().all(|(one, _)| one != *id));
    let missing: Vec<_> = missing.map(|id| (id.clone(), name(id))).collect();
    offered.extend(missing);
    offered
}

async fn view(
    app: &App,
    conn: &mut PgConnection,
    member: &Member,
    catalog: &Catalog,
    listed: &ListedProvider,
    own: Option<&ProviderKey>,
    wish: &Wish,
) -> Result<views::Integration, PageError> {
    let org = member.org_id();
    let models = models_of(catalog, listed).into_iter().map(|model| (model.clone(), model)).collect();
    let models = with_stored(models, &wish.models, String::clone);
    let keys = keys::list(conn, org, &Listing::default(), LIMIT).await?;
    let names = keys::live(conn, org, None, &wish.keys).await?;
    let keys = with_stored(keys.into_iter().map(|key| (key.id, key.name)).collect(), &wish.keys, |id| {
        names.get(id).cloned().unwrap_or_else(|| "A key that is deleted".to_owned())
    });
    let members = with_stored(orgs::members(conn, org).await?, &wish.members, |_| "Somebody who has left".to_owned());
    let tested = own.and_then(|own| own.test_result.as_deref()).map(|why| if why.is_empty() { WORKS } else { why });
    let viewer: Viewer = member.person().viewer();
    let at = own.and_then(|own| own.tested_at).map(|at| when(at, app.clock.now(), viewer));
    let is_team = member.org.is_team();
    Ok(views::Integration {
        shell: member.shell("integrations", &listed.provider.name, "Your own account at this provider."),
        may_change: true,
        slug: listed.provider.slug.as_str().to_owned(),
        provider: listed.provider.name.clone(),
        host: own.map_or_else(|| host_of(listed), |own| own.origin.clone()),
        own: own.map(|own| own_card(own, listed)),
        tested: tested.unwrap_or_default().to_owned(),
        tested_at: at,
        api_key: Field::default(),
        name: Field::of(wish.name.clone()),
        modes: modes(wish.mode),
        models: models.iter().map(|(model, name)| Choice::new(model, name, "", wish.models.contains(model))).collect(),
        keys: keys.iter().map(|(id, name)| Choice::new(&id.to_string(), name, "", wish.keys.contains(id))).collect(),
        members: members
            .iter()
            .filter(|_| is_team)
            .map(|(person, name)| Choice::new(&person.to_string(), name, "", wish.members.contains(person)))
            .collect(),
        error: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::tests::{listed, offer};

    #[test]
    fn a_key_is_tested_with_a_model_that_answers() {
        let made = |slug: &str, price: &str, says: Modality| {
            let one = listed(slug, vec![offer(slug, "here", price, price), offer(slug, "elsewhere", "0.01", "0.01")]);
            let model = Model { output_modalities: vec![says], ..one.model.clone() };
            Arc::new(ListedModel { model, offers: one.offers.clone() })
        };
        let models = [
            made("a/vectors", "0.02", Modality::Embeddings),
            made("a/ranks", "0.03", Modality::Rerank),
            made("a/pictures", "0.04", Modality::Image),
            made("a/large", "4", Modality::Text),
            made("a/small", "1", Modality::Text),
        ];
        let found = cheapest(models.iter(), "here").map(|offer| offer.endpoint.model.as_str());
        assert_eq!(found, Some("a/small"));
        assert!(cheapest(models[..3].iter(), "here").is_none());
    }
}
