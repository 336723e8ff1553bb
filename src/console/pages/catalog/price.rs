//! A change of a price: what it would have cost, and a new version.

use actix_web::{HttpResponse, web};

use super::change::{ChangeForm, Place, endpoint_address, input, posted};
use super::endpoints::named;
use super::{DAYS, lately, note, price_address};
use crate::catalog::{self, CatalogFile, EndpointKey, Price};
use crate::console::catalog_change::{self, Ask, Problems, Refusal, Typed};
use crate::console::extract::{Acting, Staff};
use crate::console::margin::Charged;
use crate::console::pages::what_if::figures;
use crate::console::pages::{form, page_with, reason_field};
use crate::console::store::NamedEndpoint;
use crate::console::what_if::Compared;
use crate::web::views::blocks::{Block, Code, Filters};
use crate::web::{App, PageError, Protected};

/// Its form is confirmed at once: what would change is seen before, in the address.
fn place(one: &NamedEndpoint, key: EndpointKey) -> Place {
    let here = endpoint_address(one.id);
    Place {
        ask: Ask::Price(key),
        title: format!("Price of {}", one.model),
        about: format!(
            "At {} as {}, version {}. In dollars: for a million tokens, a call, an image. Left empty, cache and sound \
             cost as other tokens, calls and images nothing.",
            one.provider, one.upstream_model, one.version
        ),
        action: price_address(one.id),
        after: here.clone(),
        back: (here, format!("{} at {}", one.model, one.provider)),
        links: Vec::new(),
        above: Vec::new(),
        form_title: "Change the price",
        note: "A price is never edited: this adds a version.",
    }
}

/// `GET /admin/catalog/endpoints/{endpoint}/price`: the price, and with new ones in the address what they would have cost.
///
/// # Errors
/// `NotFound` for an unknown endpoint; database errors.
pub async fn show(
    app: web::Data<App>,
    staff: Staff,
    id: web::Path<String>,
    query: web::Query<Typed>,
) -> Result<HttpResponse, PageError> {
    let (one, key) = named(&app, &id).await?;
    let mut conn = app.db.acquire().await?;
    let now = catalog::export(&mut conn).await?;
    let place = place(&one, key);
    let basis = place.ask.basis(&now).ok_or(PageError::NotFound)?;
    let mut typed = place.ask.typed_now(&now).ok_or(PageError::NotFound)?;
    // What the address does not name stays.
    for (name, value) in query.iter() {
        if let Some(kept) = typed.get_mut(name) {
            kept.clone_from(value);
        }
    }
    let review = catalog_change::review(&mut conn, &now, &place.ask, &typed).await;
    drop(conn);
    let mut wrong = Problems::new();
    let mut after = Vec::new();
    match review {
        Ok(review) => {
            after.extend(preview(&app, &one, &now, &place.ask, &typed).await?);
            after.push(Block::Code(Code {
                id: "changes",
                title: "What will change".into(),
                note: String::new(),
                text: review.lines.join("\n"),
            }));
            // An auditor works it out, and changes nothing.
            let mut apply = form(&staff, "apply", place.action.as_str(), "Make it the price", "Add a version");
            apply.note =
                "Calls that begin within a second of it are billed by it. Earlier ones keep the price that they \
                          were pinned to."
                    .into();
            apply.hidden.extend(place.ask.own(&typed));
            apply.hidden.extend([("basis", basis), ("shown", review.shown)]);
            apply.fields = vec![reason_field()];
            after.extend(staff.is_operator().then_some(Block::Form(apply)));
        }
        Err(Refusal::Nothing) => after.extend(preview(&app, &one, &now, &place.ask, &typed).await?),
        Err(Refusal::Wrong(problems)) => wrong = problems,
        Err(Refusal::Database(error)) => return Err(error.into()),
        Err(refusal) => after.push(note("bad", "circle-x", refusal.to_string())),
    }
    let own = place.ask.fields().into_iter().flat_map(|(_, fields)| fields);
    let filters = Filters {
        action: place.action.clone(),
        fields: own.map(|field| input(field, &now, &typed, &wrong).hint("")).collect(),
        is_on: false,
        button: "See what it would change",
    };
    let mut blocks = vec![Block::Filters(filters)];
    blocks.extend(after);
    let back = Some((place.back.0.as_str(), place.back.1.as_str()));
    page_with(staff.shell("catalog", &place.title, &place.about), back, Vec::new(), blocks)
}

/// What the last days would have cost customers by other prices, and the difference.
async fn preview(
    app: &App,
    one: &NamedEndpoint,
    now: &CatalogFile,
    ask: &Ask,
    typed: &Typed,
) -> Result<Vec<Block>, PageError> {
    let then = match ask.draft(now, typed) {
        Ok(draft) => draft.file.endpoints.first().map(|one| one.price).unwrap_or_default(),
        Err(_) => return Ok(Vec::new()),
    };
    let today = now.endpoints.iter().find(|known| Ask::Price(known.key()) == *ask).map(|known| known.price);
    let today = today.unwrap_or_default();
    let charged =
        |price: &Price| Charged { prompt: price.prompt, completion: price.completion, cache_read: price.cache_read };
    let mut compared = Compared::default();
    for used in lately(app).await?.iter().filter(|used| used.model == one.model && used.provider == one.provider) {
        compared.add(used, &charged(&today), &charged(&then));
    }
    Ok(vec![Block::Figures(figures(format!("The last {DAYS} days by these prices"), &compared, None))])
}

/// `POST /admin/catalog/endpoints/{endpoint}/price`
///
/// # Errors
/// `NotFound` for an unknown endpoint; see [`posted`].
pub async fn add(
    app: web::Data<App>,
    staff: Acting,
    id: web::Path<String>,
    Protected(form): Protected<ChangeForm>,
) -> Result<HttpResponse, PageError> {
    let (one, key) = named(&app, &id).await?;
    posted(&app, &staff, place(&one, key), form).await
}
