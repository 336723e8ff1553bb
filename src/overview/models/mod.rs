//! Models, their prices, and how they did here.

pub mod compare;
pub mod default_model;
mod filter;
mod viewer;
mod words;

use std::sync::Arc;

use actix_web::http::header::HeaderName;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::TimeDelta;

use self::filter::{Day, Filter, PAGE};
use self::viewer::{Opened, Viewer};
pub(super) use self::words::dollars;
use self::words::{Seen, figures, input_price, is_sandbox, longest, per_million, tokens, words};
use crate::activity;
use crate::catalog::{Catalog, ListedModel, Offer, Shelf};
use crate::orgs::Permission;
use crate::presets::pages::preferences::Instance;
use crate::routing::{Candidate, Policy, who_may};
use crate::web::snippets::{Example, KEY_PLACEHOLDER};
use crate::web::views::Pager;
use crate::web::views::catalog as views;
use crate::web::{App, Fields, PageError, html};

/// Over this time and a day speed is shown, and what was answered.
const MONTH: TimeDelta = TimeDelta::days(30);
/// The clean address of what a script fetched with every field of the form.
const REPLACE_URL: HeaderName = HeaderName::from_static("hx-replace-url");

const TITLE: &str = "Models";
const DESCRIPTION: &str = "What can be called here, what it costs, and how fast it is.";

/// `GET /models`: what can be called on the operator's account, or on one of the organization's own.
///
/// # Errors
/// Database errors only.
pub async fn index(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    instance: web::Data<Instance>,
    viewer: Viewer,
    request: HttpRequest,
    query: web::Query<Vec<(String, String)>>,
) -> Result<HttpResponse, PageError> {
    let (catalog, filter) = (shelf.current(), Filter::read(&Fields::from(query.into_inner())));
    let Opened { mut tx, policy, default } = viewer.open(&app, &instance).await?;
    let day = activity::measured(&mut tx, app.clock.now() - activity::DAY, None).await?;
    drop(tx);
    let reached: Vec<_> = catalog.models().iter().filter(|listed| is_reached(listed, &policy)).collect();
    let mut found: Vec<_> = reached.iter().copied().filter(|listed| filter.lets_through(listed, &policy)).collect();
    filter.sort(&mut found, &day, &policy);
    let all = reached.len();
    let page = filter.page.min(found.len().saturating_sub(1) / PAGE);
    let shown: Vec<_> = found.iter().skip(page * PAGE).take(PAGE).copied().collect();
    let compared: Vec<_> = filter.compared.iter().filter_map(|id| catalog.model(id)).collect();
    let hidden = compared.iter().filter(|one| !shown.iter().any(|listed| Arc::ptr_eq(listed, one)));
    let address = filter.address(page);
    let list = views::List {
        providers: filter.providers(&catalog, &policy),
        modalities: filter.modalities(),
        prices: filter.prices(),
        contexts: filter.contexts(),
        sorts: filter.sorts(),
        count: match found.len() {
            1 => "1 model.".to_owned(),
            count => format!("{count} models."),
        },
        empty_reason: if all == 0 {
            "No model can be called yet: the operator has to store the key of a provider first.".to_owned()
        } else {
            format!("None of the {all} models fits this search and these filters.")
        },
        compared_elsewhere: hidden.map(|listed| listed.model.slug.to_string()).collect(),
        compared: compared.iter().map(|listed| listed.model.name.clone()).collect(),
        may_compare_more: compared.len() < filter::MAX_COMPARED,
        clear_href: filter.without_compared().address(page),
        models: shown.iter().map(|listed| row(listed, &policy, &day, &compared, default.as_deref())).collect(),
        pager: pager(&filter, page, found.len()),
        search: filter.search,
    };
    let mut response = match viewer.member() {
        Some(member) => html(&views::Index { shell: member.shell("models", TITLE, DESCRIPTION), list })?,
        None => viewer.as_guest(&app, &request, (TITLE, DESCRIPTION), None, views::Body::List(Box::new(list)))?,
    };
    if request.headers().contains_key("hx-request")
        && let Ok(address) = address.parse()
    {
        response.headers_mut().insert(REPLACE_URL, address);
    }
    Ok(response)
}

fn pager(filter: &Filter, page: usize, found: usize) -> Pager {
    let more = (page + 1) * PAGE < found;
    let (first, last) = (page * PAGE + 1, ((page + 1) * PAGE).min(found));
    Pager {
        older_href: more.then(|| filter.address(page + 1)),
        newest_href: (page > 0).then(|| filter.address(0)),
        note: format!("{first} to {last} of {found}"),
        by_name: true,
    }
}

fn row(
    listed: &Arc<ListedModel>,
    policy: &Policy,
    day: &Day,
    compared: &[&Arc<ListedModel>],
    default: Option<&str>,
) -> views::ModelRow {
    let (model, who, shown) = (&listed.model, who_may(listed, policy), shown_offers(listed, policy));
    let lead = listed.lead_offer().map(|offer| &offer.endpoint.price);
    let mut providers: Vec<&str> = shown.iter().map(|offer| offer.provider.provider.name.as_str()).collect();
    providers.dedup();
    views::ModelRow {
        href: format!("/models/{}", model.slug),
        name: model.name.clone(),
        id: model.slug.to_string(),
        input: lead.map(input_price).unwrap_or_default(),
        output: lead.map(|price| per_million(price.completion)).unwrap_or_default(),
        cached: lead.and_then(|price| price.cache_read).map(per_million),
        context: tokens(model.context_length),
        takes: words(&model.input_modalities),
        providers: providers.join(", "),
        speed: fastest(&shown, day).speed,
        compared: compared.iter().any(|one| one.model.slug == model.slug),
        default: default == Some(model.slug.as_str()),
        sandbox: is_sandbox(listed),
        byok: is_byok(&who),
        barred: who.is_empty(),
    }
}

/// Whether somebody runs it for the organization, whatever its settings say.
fn is_reached(listed: &Arc<ListedModel>, policy: &Policy) -> bool {
    listed.is_open() || is_byok(&reached_by_own(listed, policy))
}

/// Whether a key of the organization's own would be used.
fn is_byok(who: &[Candidate]) -> bool {
    who.iter().any(|one| one.own().is_some())
}

/// Who could answer if the settings barred nobody.
fn reached_by_own(listed: &Arc<ListedModel>, policy: &Policy) -> Vec<Candidate> {
    if policy.own.usable.is_empty() {
        return Vec::new();
    }
    who_may(listed, &Policy { own: policy.own.clone(), ..Policy::default() })
}

/// The offers that are shown: those of the operator's accounts, and of the organization's own.
fn shown_offers<'a>(listed: &'a Arc<ListedModel>, policy: &Policy) -> Vec<&'a Offer> {
    let own: Vec<usize> =
        reached_by_own(listed, policy).iter().filter(|one| one.own().is_some()).map(Candidate::place).collect();
    let offers = listed.offers.iter().enumerate();
    offers.filter(|(place, offer)| offer.provider.is_open() || own.contains(place)).map(|(_, offer)| offer).collect()
}

/// What was measured of the fastest provider; of any where no speed was.
fn fastest(shown: &[&Offer], day: &Day) -> Seen {
    let measured = shown.iter().filter_map(|offer| day.get(&offer.id));
    Seen::of(measured.max_by_key(|measured| measured.speed().tokens_per_1000s))
}

/// `GET /models/{author}/{name}`
///
/// # Errors
/// `NotFound` for a model that is not in use.
pub async fn show(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    instance: web::Data<Instance>,
    viewer: Viewer,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, PageError> {
    let catalog = shelf.current();
    let listed = find(&catalog, &path)?;
    let model = &listed.model;
    let (base_url, id) = (app.url("/api/v1"), model.slug.as_str());
    let now = app.clock.now();
    let Opened { mut tx, policy, default } = viewer.open(&app, &instance).await?;
    let (shown, who) = (shown_offers(listed, &policy), who_may(listed, &policy));
    let offers: Vec<_> = shown.iter().map(|offer| offer.id).collect();
    let day = activity::measured(&mut tx, now - activity::DAY, Some(&offers)).await?;
    let month = activity::measured(&mut tx, now - MONTH, Some(&offers)).await?;
    drop(tx);
    let about = views::About {
        id: id.to_owned(),
        is_default: default.as_deref() == Some(id),
        barred: who.is_empty() && !shown.is_empty(),
        sandbox: is_sandbox(listed),
        figures: figures(listed),
        measured: !month.is_empty(),
        providers: shown.iter().map(|offer| provider_row(offer, &who, &day, &month)).collect(),
        parameters: parameters(&shown),
        snippets: Example { base_url: &base_url, key: KEY_PLACEHOLDER, model: id }.languages(),
    };
    let text = (model.name.as_str(), model.description.as_str());
    let Some(member) = viewer.member() else {
        return viewer.as_guest(&app, &request, text, Some("/models".into()), views::Body::About(Box::new(about)));
    };
    html(&views::Show {
        shell: member.shell("models", text.0, text.1),
        may_set_default: member.may(Permission::ManageSettings),
        may_chat: member.may(Permission::UseKeys) && !who.is_empty(),
        about,
    })
}

fn find<'a>(catalog: &'a Catalog, path: &(String, String)) -> Result<&'a Arc<ListedModel>, PageError> {
    catalog.model(&format!("{}/{}", path.0, path.1)).ok_or(PageError::NotFound)
}

fn provider_row(offer: &Offer, who: &[Candidate], day: &Day, month: &Day) -> views::ProviderRow {
    let (endpoint, provider) = (&offer.endpoint, &offer.provider.provider);
    let (today, lately) = (Seen::of(day.get(&offer.id)), Seen::of(month.get(&offer.id)));
    let mine = |one: &&Candidate| one.offer().id == offer.id;
    let mut notes = Vec::new();
    notes.extend(who.iter().filter(mine).any(|one| one.own().is_some()).then(|| "your own key".to_owned()));
    notes.extend((!who.iter().any(|one| mine(&one))).then(|| "not asked, by your settings".to_owned()));
    notes.extend(endpoint.quantization.clone());
    notes.extend(provider.trains_on_inputs.then(|| "may train on inputs".to_owned()));
    notes.extend(provider.retains_logs.then(|| "keeps inputs".to_owned()));
    views::ProviderRow {
        name: provider.name.clone(),
        notes,
        input: input_price(&endpoint.price),
        output: per_million(endpoint.price.completion),
        cached: endpoint.price.cache_read.map(per_million),
        context: tokens(endpoint.context_length),
        max_output: longest(endpoint.max_output),
        speed: today.speed,
        first_token: today.first_token,
        uptime: today.uptime,
        tries: today.tries,
        uptime_month: lately.uptime,
        tries_month: lately.tries,
    }
}

/// Every parameter that a provider knows, and who knows it where that is not everybody.
fn parameters(offers: &[&Offer]) -> Vec<(String, String)> {
    let mut names: Vec<&String> = offers.iter().flat_map(|offer| &offer.endpoint.supported_parameters).collect();
    names.sort();
    names.dedup();
    let who = |name: &String| {
        let know = |offer: &&&Offer| offer.endpoint.supported_parameters.contains(name);
        let mut known: Vec<&str> =
            offers.iter().filter(know).map(|offer| offer.provider.provider.name.as_str()).collect();
        if known.len() == offers.len() {
            return String::new();
        }
        known.dedup();
        format!("{} only", known.join(", "))
    };
    names.into_iter().map(|name| (name.clone(), who(name))).collect()
}
