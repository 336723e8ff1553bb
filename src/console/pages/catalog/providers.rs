//! A provider: what it does with what it is sent, whether it is called, and changing that.

use std::collections::HashMap;

use actix_web::{HttpResponse, web};

use super::HERE;
use super::change::{ChangeForm, Place, facts, opened, posted};
use crate::catalog::{self, CatalogFile, ProviderSlug};
use crate::console::catalog_change::Ask;
use crate::console::extract::{Acting, Staff};
use crate::web::views::Badge;
use crate::web::views::blocks::{Block, Cell, Column, Facts, Table};
use crate::web::{App, PageError, Protected};

fn address(slug: &str) -> String {
    format!("{HERE}/providers/{slug}")
}

fn place(path: &str) -> Result<Place, PageError> {
    let slug = ProviderSlug::try_from(path.to_owned()).map_err(|_| PageError::NotFound)?;
    let here = address(slug.as_str());
    Ok(Place {
        title: format!("Provider {slug}"),
        ask: Ask::Provider(slug),
        about: "What it does with what it is sent, and whether it is called.".into(),
        action: here.clone(),
        after: here,
        back: (HERE.to_owned(), "Catalog".to_owned()),
        links: Vec::new(),
        above: Vec::new(),
        form_title: "Change the provider",
        note: "Organizations that refuse training or storing rely on this.",
    })
}

/// Every provider in use.
pub fn table(now: &CatalogFile) -> Table {
    let mut places: HashMap<&ProviderSlug, usize> = HashMap::new();
    for endpoint in &now.endpoints {
        *places.entry(&endpoint.provider).or_default() += 1;
    }
    let rows = now.providers.iter().map(|one| {
        let word = |yes: bool| if yes { "yes" } else { "no" };
        vec![
            Cell::link(one.name.as_str(), address(one.slug.as_str())).under(one.slug.as_str()),
            Cell::badge(if one.enabled {
                Badge::new("good", "circle-check", "Offered")
            } else {
                Badge::new("warn", "ban", "Off")
            }),
            Cell::text(word(one.trains_on_inputs)),
            Cell::text(word(one.retains_logs)),
            Cell::text(places.get(&one.slug).copied().unwrap_or_default().to_string()),
        ]
    });
    Table {
        id: "providers",
        title: "Providers".into(),
        columns: vec![
            Column::of("Provider"),
            Column::of("State"),
            Column::of("May train"),
            Column::of("Keeps texts"),
            Column::right("Endpoints"),
        ],
        rows: rows.collect(),
        empty: "No providers".into(),
        empty_note: "The catalog file names them.".into(),
        ..Table::default()
    }
}

/// `GET /admin/catalog/providers/{provider}`
///
/// # Errors
/// `NotFound` for one that is not in use; database errors.
pub async fn show(app: web::Data<App>, staff: Staff, path: web::Path<String>) -> Result<HttpResponse, PageError> {
    let mut place = place(&path)?;
    let now = catalog::export(&mut *app.db.acquire().await?).await?;
    let typed = place.ask.typed_now(&now).ok_or(PageError::NotFound)?;
    let known = now.providers.iter().find(|one| one.slug.as_str() == path.as_str()).ok_or(PageError::NotFound)?;
    place.above.push(Block::Facts(Facts::of(
        "server",
        "",
        vec![
            ("Protocol", Cell::text(known.kind.as_str())),
            ("Address", Cell::text(known.base_url.as_deref().unwrap_or("built in"))),
            ("Variable of its key", Cell::text(known.key_env.as_deref().unwrap_or("needs no key"))),
            (
                "Changed by",
                Cell::text("farebox catalog apply").under(
                    "Only on the server: whoever could change the address here could send the stored key anywhere.",
                ),
            ),
        ],
    )));
    if !staff.is_operator() {
        place.above.push(facts(&place.ask, &typed));
    }
    opened(&app, &staff, place, &now, typed).await
}

/// `POST /admin/catalog/providers/{provider}`
///
/// # Errors
/// See [`posted`].
pub async fn edit(
    app: web::Data<App>,
    staff: Acting,
    path: web::Path<String>,
    Protected(form): Protected<ChangeForm>,
) -> Result<HttpResponse, PageError> {
    posted(&app, &staff, place(&path)?, form).await
}
