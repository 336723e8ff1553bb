//! A model: what is known about it, where it runs, and changing, adding and retiring one.

use std::collections::HashSet;

use actix_web::{HttpResponse, web};

use super::change::{ChangeForm, Place, endpoint_address, facts, model_address, opened, posted};
use super::{HERE, both, per_million};
use crate::catalog::{self, CatalogFile, ModelSlug};
use crate::console::catalog_change::{Ask, Typed};
use crate::console::extract::{Acting, Operator, Staff};
use crate::console::store::{self, PricedEndpoint};
use crate::web::views::Badge;
use crate::web::views::blocks::{ActionLink, Block, Cell, Column, Table};
use crate::web::{App, PageError, Protected};

type Path = web::Path<(String, String)>;

fn slug(path: &Path) -> Result<ModelSlug, PageError> {
    ModelSlug::try_from(format!("{}/{}", path.0, path.1)).map_err(|_| PageError::NotFound)
}

fn place(slug: &ModelSlug) -> Place {
    let here = model_address(slug.as_str());
    Place {
        ask: Ask::Model(slug.clone()),
        title: slug.to_string(),
        about: "What is known about the model, and where it runs.".into(),
        action: here.clone(),
        after: here,
        back: (HERE.to_owned(), "Catalog".to_owned()),
        links: Vec::new(),
        above: Vec::new(),
        form_title: "Change the model",
        note: "The price is the endpoints’, and so are the limits that hold in calls.",
    }
}

fn retirement(slug: &ModelSlug) -> Place {
    let here = model_address(slug.as_str());
    Place {
        ask: Ask::RetireModel(slug.clone()),
        title: format!("Retire {slug}"),
        about: "With its endpoints. To take it away for a while only, switch it off on its page.".into(),
        action: format!("{here}/retire"),
        after: HERE.to_owned(),
        back: (here, slug.to_string()),
        ..place(slug)
    }
}

fn addition(typed: &Typed) -> Place {
    let id = typed.get("id").map(|text| text.trim().to_owned()).unwrap_or_default();
    Place {
        ask: Ask::NewModel,
        title: "Add a model".into(),
        about: "With its first endpoint, at a provider that is there.".into(),
        action: format!("{HERE}/models"),
        after: ModelSlug::try_from(id).map_or_else(|_| HERE.to_owned(), |slug| model_address(slug.as_str())),
        back: (HERE.to_owned(), "Catalog".to_owned()),
        links: Vec::new(),
        above: Vec::new(),
        form_title: "The model",
        note: "The id of a model that was retired brings it back.",
    }
}

/// `GET /admin/catalog/models/{author}/{name}`
///
/// # Errors
/// `NotFound` for one that is not in use; database errors.
pub async fn show(app: web::Data<App>, staff: Staff, path: Path) -> Result<HttpResponse, PageError> {
    let slug = slug(&path)?;
    let mut conn = app.db.acquire().await?;
    let now = catalog::export(&mut conn).await?;
    let endpoints = store::priced_endpoints(&mut conn).await?;
    drop(conn);
    let mut place = place(&slug);
    let typed = place.ask.typed_now(&now).ok_or(PageError::NotFound)?;
    place.above.push(Block::Table(endpoint_table(&slug, &now, &endpoints)));
    if staff.is_operator() {
        let here = model_address(slug.as_str());
        place.links.push(ActionLink::of("Retire", format!("{here}/retire"), "archive"));
        let new = super::super::address(&format!("{HERE}/endpoints/new"), &[("model", slug.as_str())]);
        place.links.push(ActionLink::primary("Add an endpoint", new, "plus"));
    } else {
        place.above.push(facts(&place.ask, &typed));
    }
    opened(&app, &staff, place, &now, typed).await
}

fn endpoint_table(slug: &ModelSlug, now: &CatalogFile, endpoints: &[PricedEndpoint]) -> Table {
    let switches = Switches::of(now);
    let rows = endpoints.iter().filter(|one| one.model == slug.as_str()).map(|one| {
        let known = now.endpoints.iter().find(|known| {
            known.model == *slug
                && known.provider.as_str() == one.provider
                && known.upstream_model == one.upstream_model
        });
        let tokens = known.map(|known| known.context_length.to_string()).unwrap_or_default();
        vec![
            Cell::link(one.provider.as_str(), endpoint_address(one.id)).under(one.upstream_model.clone()),
            Cell::badge(switches.badge(one)),
            Cell::text(crate::base::money::thousands(&tokens)),
            Cell::text(both(Some(one.prompt), Some(one.completion))).under(match one.cache_read {
                Some(price) => format!("{} from the cache", per_million(Some(price))),
                None => String::new(),
            }),
            Cell::text(one.version.to_string()),
        ]
    });
    Table {
        id: "endpoints",
        title: "Endpoints".into(),
        note: "Prices in dollars per million tokens, in and out.".into(),
        columns: vec![
            Column::of("Provider"),
            Column::of("State"),
            Column::right("Context"),
            Column::right("Price"),
            Column::right("Version"),
        ],
        rows: rows.collect(),
        empty: "It runs nowhere".into(),
        empty_note: "Calls of it are refused until it has an endpoint.".into(),
        ..Table::default()
    }
}

/// What is switched on.
pub struct Switches<'a> {
    models: HashSet<&'a str>,
    providers: HashSet<&'a str>,
    endpoints: HashSet<(&'a str, &'a str, &'a str)>,
}

impl<'a> Switches<'a> {
    pub fn of(now: &'a CatalogFile) -> Switches<'a> {
        let endpoints = now.endpoints.iter().filter(|one| one.enabled);
        Switches {
            models: now.models.iter().filter(|one| one.enabled).map(|one| one.slug.as_str()).collect(),
            providers: now.providers.iter().filter(|one| one.enabled).map(|one| one.slug.as_str()).collect(),
            endpoints: endpoints.map(|one| (one.model.as_str(), one.provider.as_str(), &*one.upstream_model)).collect(),
        }
    }

    /// Whether an endpoint is offered, and if not, by which switch.
    pub fn badge(&self, one: &PricedEndpoint) -> Badge {
        let model = self.models.contains(&*one.model);
        let provider = self.providers.contains(&*one.provider);
        match (model, provider, self.endpoints.contains(&(&*one.model, &*one.provider, &*one.upstream_model))) {
            (true, true, true) => Badge::new("good", "circle-check", "Offered"),
            (false, ..) => Badge::new("warn", "ban", "Model off"),
            (_, false, _) => Badge::new("warn", "ban", "Provider off"),
            (.., false) => Badge::new("warn", "ban", "Off"),
        }
    }
}

/// `POST /admin/catalog/models/{author}/{name}`
///
/// # Errors
/// See [`posted`].
pub async fn edit(
    app: web::Data<App>,
    staff: Acting,
    path: Path,
    Protected(form): Protected<ChangeForm>,
) -> Result<HttpResponse, PageError> {
    posted(&app, &staff, place(&slug(&path)?), form).await
}

/// `GET /admin/catalog/models/{author}/{name}/retire`
///
/// # Errors
/// `NotFound` for one that is not in use; database errors.
pub async fn retire_form(app: web::Data<App>, staff: Operator, path: Path) -> Result<HttpResponse, PageError> {
    let slug = slug(&path)?;
    let now = catalog::export(&mut *app.db.acquire().await?).await?;
    opened(&app, &staff, retirement(&slug), &now, Typed::new()).await
}

/// `POST /admin/catalog/models/{author}/{name}/retire`
///
/// # Errors
/// See [`posted`].
pub async fn retire(
    app: web::Data<App>,
    staff: Acting,
    path: Path,
    Protected(form): Protected<ChangeForm>,
) -> Result<HttpResponse, PageError> {
    posted(&app, &staff, retirement(&slug(&path)?), form).await
}

/// `GET /admin/catalog/models/new`
///
/// # Errors
/// Database errors only.
pub async fn new_form(app: web::Data<App>, staff: Operator) -> Result<HttpResponse, PageError> {
    let now = catalog::export(&mut *app.db.acquire().await?).await?;
    let usual = [
        ("released", app.clock.now().format("%Y-%m-%d").to_string()),
        ("enabled", "yes".to_owned()),
        ("input_modalities", "text".to_owned()),
        ("output_modalities", "text".to_owned()),
        ("tokenizer", "Other".to_owned()),
        ("supported_parameters", "max_tokens, temperature, top_p, stop".to_owned()),
    ];
    let typed: Typed = usual.map(|(name, value)| (name.to_owned(), value)).into();
    opened(&app, &staff, addition(&typed), &now, typed).await
}

/// `POST /admin/catalog/models`
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
