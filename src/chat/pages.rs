//! `/chat`: the page. What is said on it the browser keeps.

use actix_web::{HttpResponse, web};

use crate::base::Usd;
use crate::catalog::{Catalog, ListedModel, Modality, Offer, Price, Shelf};
use crate::keys::ChatTerms;
use crate::orgs::{KeyUser, Member};
use crate::presets::pages::preferences::Instance;
use crate::presets::{self, Listed, Status};
use crate::routing::{Candidate, Policy, who_may};
use crate::web::views::chat as views;
use crate::web::{App, PageError, html};

/// Presets to choose from, changed last first.
const MAX_PRESETS: i64 = 200;

/// `GET /chat`
///
/// # Errors
/// Database errors only.
pub async fn show(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    instance: web::Data<Instance>,
    terms: web::Data<ChatTerms>,
    member: KeyUser,
) -> Result<HttpResponse, PageError> {
    let catalog = shelf.current();
    let mut conn = member.tenant(&app).await?;
    let settings = presets::settings(&mut conn, member.org_id()).await?;
    let policy = instance.policy_of(&mut conn, &member).await?;
    let presets = presets::list(&mut conn, member.org_id(), Status::Active, 0, MAX_PRESETS).await?;
    drop(conn);
    let wanted = settings.default_model.or_else(|| instance.model.clone());
    let answered = |listed: &ListedModel, who: &[Candidate]| !who.is_empty() && talks(listed);
    let known = wanted
        .filter(|wanted| catalog.model(base(wanted)).is_some_and(|listed| answered(listed, &who_may(listed, &policy))));
    // Those that somebody may answer for this person here, as in a call.
    let mut models = Vec::new();
    let mut example = None;
    for listed in catalog.models() {
        let who = who_may(listed, &policy);
        if answered(listed, &who) {
            let is_example = catalog.example().is_some_and(|one| one.model.slug == listed.model.slug);
            if example.is_none() || is_example {
                example = Some(listed.model.slug.to_string());
            }
            models.push(model(listed, who.first().map(Candidate::offer)));
        }
    }
    let default = known.or(example).unwrap_or_default();
    models.sort_by_cached_key(|model| model.name.to_lowercase());
    html(&views::Room {
        shell: member.shell(
            "chat",
            "Chat",
            "Conversations stay in this browser. Each answer is a call that costs credits.",
        ),
        scope: scope(&member),
        org: member.org_id().to_string(),
        models,
        presets: presets.iter().filter_map(|listed| preset(listed, &catalog, &policy, &default)).collect(),
        default,
        limit: terms.daily.map(|daily| format!("Your chat stops at {} a day.", daily.display())).unwrap_or_default(),
    })
}

/// Whose conversations are shown: two people at one browser do not see each other's.
fn scope(member: &Member) -> String {
    member.person().id.to_string()
}

/// A model's id without the variant behind a colon.
fn base(model: &str) -> &str {
    model.rsplit_once(':').map_or(model, |(base, _)| base)
}

fn talks(listed: &ListedModel) -> bool {
    listed.model.input_modalities.contains(&Modality::Text) && listed.model.output_modalities.contains(&Modality::Text)
}

fn sees(listed: &ListedModel) -> bool {
    listed.model.input_modalities.contains(&Modality::Image)
}

fn model(listed: &ListedModel, lead: Option<&Offer>) -> views::Choice {
    views::Choice {
        id: listed.model.slug.to_string(),
        name: listed.model.name.clone(),
        price: lead.map(|lead| price(&lead.endpoint.price)).unwrap_or_default(),
        images: sees(listed),
    }
}

/// Such as `$0.25 in, $2.00 out`, with the price of a call as the list of models has it.
fn price(price: &Price) -> String {
    if price.is_free() {
        return "free".to_owned();
    }
    let dollars = |unit: crate::catalog::UnitPrice| Usd::new(unit.per_million()).display();
    let tokens = format!("{} in, {} out", dollars(price.prompt), dollars(price.completion));
    match price.request.filter(|request| !request.is_zero()) {
        Some(request) => format!("{tokens} + {} a call", Usd::new(request.amount()).display()),
        None => tokens,
    }
}

/// A preset with the model that it asks first, or the default one. One whose model is not there is left out.
fn preset(listed: &Listed, catalog: &Catalog, policy: &Policy, default: &str) -> Option<views::Choice> {
    let asked = listed.config.models.first().map_or(default, String::as_str);
    let model = catalog.model(base(asked)).filter(|model| !who_may(model, policy).is_empty())?;
    Some(views::Choice {
        id: format!("@preset/{}", listed.preset.slug),
        name: listed.preset.name.clone(),
        price: model.model.name.clone(),
        images: sees(model),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::UnitPrice;

    #[test]
    fn a_price_of_a_call_stands_behind_those_of_tokens() {
        let flat = Price { request: UnitPrice::parse("0.01").ok(), ..Price::default() };
        assert_eq!(price(&flat), "$0.00 in, $0.00 out + $0.01 a call");
        assert_eq!(price(&Price::default()), "free");
    }
}
