//! An endpoint: what holds there and what it costs, and changing, adding and retiring one.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::change::{ChangeForm, Place, endpoint_address, facts, model_address, opened, posted};
use super::{HERE, price_address};
use crate::catalog::{self, EndpointKey, ModelSlug, ProviderSlug};
use crate::console::catalog_change::{Ask, Typed};
use crate::console::extract::{Acting, Operator, Staff};
use crate::console::store::{self, NamedEndpoint};
use crate::web::views::blocks::{ActionLink, Block};
use crate::web::{App, PageError, Protected};

/// The endpoint that an address names, retired or not.
///
/// # Errors
/// `NotFound` for an unknown one; database errors.
pub async fn named(app: &App, id: &str) -> Result<(NamedEndpoint, EndpointKey), PageError> {
    let id = uuid::Uuid::try_parse(id).map_err(|_| PageError::NotFound)?;
    let one = store::endpoint_named(&mut *app.db.acquire().await?, id).await?.ok_or(PageError::NotFound)?;
    let key = EndpointKey {
        model: ModelSlug::try_from(one.model.clone()).map_err(|error| PageError::Internal(error.into()))?,
        provider: ProviderSlug::try_from(one.provider.clone()).map_err(|error| PageError::Internal(error.into()))?,
        upstream_model: one.upstream_model.clone(),
    };
    Ok((one, key))
}

fn place(one: &NamedEndpoint, key: EndpointKey) -> Place {
    let here = endpoint_address(one.id);
    Place {
        ask: Ask::Endpoint(key),
        title: format!("{} at {}", one.model, one.provider),
        about: format!("Called {} there.", one.upstream_model),
        action: here.clone(),
        after: here,
        back: (model_address(&one.model), one.model.clone()),
        links: Vec::new(),
        above: Vec::new(),
        form_title: "Change the endpoint",
        note: "Calls are held to these limits.",
    }
}

fn retirement(one: &NamedEndpoint, key: EndpointKey) -> Place {
    let here = endpoint_address(one.id);
    Place {
        ask: Ask::RetireEndpoint(key.clone()),
        title: format!("Retire {} at {}", one.model, one.provider),
        about: "To take it away for a while only, switch it off on its page.".into(),
        action: format!("{here}/retire"),
        after: model_address(&one.model),
        back: (here, format!("{} at {}", one.model, one.provider)),
        ..place(one, key)
    }
}

fn addition(typed: &Typed) -> Place {
    let model = typed.get("model").and_then(|text| ModelSlug::try_from(text.trim().to_owned()).ok());
    let (after, name) = match &model {
        Some(slug) => (model_address(slug.as_str()), slug.to_string()),
        None => (HERE.to_owned(), "Catalog".to_owned()),
    };
    Place {
        ask: Ask::NewEndpoint,
        title: "Add an endpoint".into(),
        about: "A model at one more provider.".into(),
        action: format!("{HERE}/endpoints"),
        after: after.clone(),
        back: (after, name),
        links: Vec::new(),
        above: Vec::new(),
        form_title: "The endpoint",
        note: "One that was retired is brought back.",
    }
}

/// `GET /admin/catalog/endpoints/{endpoint}`
///
/// # Errors
/// `NotFound` for one that is not in use; database errors.
pub async fn show(app: web::Data<App>, staff: Staff, id: web::Path<String>) -> Result<HttpResponse, PageError> {
    let (one, key) = named(&app, &id).await?;
    let now = catalog::export(&mut *app.db.acquire().await?).await?;
    let mut place = place(&one, key.clone());
    let typed = place.ask.typed_now(&now).ok_or(PageError::NotFound)?;
    let price = Ask::Price(key);
    let costs = price.typed_now(&now).unwrap_or_default();
    if let Block::Facts(mut price) = facts(&price, &costs) {
        price.id = "price";
        price.title = format!("Price, version {}", one.version);
        place.above.push(Block::Facts(price));
    }
    if staff.is_operator() {
        let here = endpoint_address(one.id);
        place.links.push(ActionLink::of("Retire", format!("{here}/retire"), "archive"));
        place.links.push(ActionLink::of("Change the price", price_address(one.id), "receipt"));
    } else {
        place.above.push(facts(&place.ask, &typed));
    }
    opened(&app, &staff, place, &now, typed).await
}

/// `POST /admin/catalog/endpoints/{endpoint}`
///
/// # Errors
/// `NotFound` for an unknown one; see [`posted`].
pub async fn edit(
    app: web::Data<App>,
    staff: Acting,
    id: web::Path<String>,
    Protected(form): Protected<ChangeForm>,
) -> Result<HttpResponse, PageError> {
    let (one, key) = named(&app, &id).await?;
    posted(&app, &staff, place(&one, key), form).await
}

/// `GET /admin/catalog/endpoints/{endpoint}/retire`
///
/// # Errors
/// `NotFound` for one that is not in use; database errors.
pub async fn retire_form(
    app: web::Data<App>,
    staff: Operator,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let (one, key) = named(&app, &id).await?;
    let now = catalog::export(&mut *app.db.acquire().await?).await?;
    opened(&app, &staff, retirement(&one, key), &now, Typed::new()).await
}

/// `POST /admin/catalog/endpoints/{endpoint}/retire`
///
/// # Errors
/// `NotFound` for an unknown one; see [`posted`].
pub async fn retire(
    app: web::Data<App>,
    staff: Acting,
    id: web::Path<String>,
    Protected(form): Protected<ChangeForm>,
) -> Result<HttpResponse, PageError> {
    let (one, key) = named(&app, &id).await?;
    posted(&app, &staff, retirement(&one, key), form).await
}

#[derive(Default, Deserialize)]
pub struct NewQuery {
    #[serde(default)]
    model: String,
}

/// `GET /admin/catalog/endpoints/new?model=`: with the limits of the model, to begin with.
///
/// # Errors
/// `NotFound` for an unknown model; database errors.
pub async fn new_form(
    app: web::Data<App>,
    staff: Operator,
    query: web::Query<NewQuery>,
) -> Result<HttpResponse, PageError> {
    let now = catalog::export(&mut *app.db.acquire().await?).await?;
    let mut typed = Typed::from([("enabled".to_owned(), "yes".to_owned())]);
    if !query.model.is_empty() {
        let slug = ModelSlug::try_from(query.model.clone()).map_err(|_| PageError::NotFound)?;
        let mut known = Ask::Model(slug).typed_now(&now).ok_or(PageError::NotFound)?;
        for name in ["context_length", "max_output", "supported_parameters"] {
            typed.insert(name.to_owned(), known.remove(name).unwrap_or_default());
        }
        typed.insert("model".to_owned(), query.model.clone());
    }
    opened(&app, &staff, addition(&typed), &now, typed).await
}

/// `POST /admin/catalog/endpoints`
///
/// # Errors
/// See [`posted`].
pub async fn create(
    app: web::Data<App>,
    staff: Acting,
    Protected(form): Protected<ChangeForm>,
) -> Result<HttpResponse, PageError> {
    posted(&app, &staff, addition(&form.typed), form).await
}
