//! What the filters offer: what was called in the shown time.

use std::collections::HashMap;

use sqlx::PgConnection;

use super::asked::{Asked, COLUMNS};
use super::field_label;
use crate::activity::{self, FINISHES, STATUSES, Span, View};
use crate::base::Usd;
use crate::base::ids::{KeyId, OrgId, PersonId};
use crate::keys;
use crate::overview::call_rows::{KeyNames, name_of, status_badge};
use crate::web::views::activity as views;
use crate::web::views::{Chip, Choice, Field};

/// Zones that are offered beside the person's own; any other may stand in the address.
const ZONES: [&str; 12] = [
    "UTC",
    "America/Los_Angeles",
    "America/New_York",
    "America/Sao_Paulo",
    "Europe/London",
    "Europe/Berlin",
    "Africa/Lagos",
    "Asia/Dubai",
    "Asia/Kolkata",
    "Asia/Shanghai",
    "Asia/Tokyo",
    "Australia/Sydney",
];

/// Values that occur, and names of those that have one.
pub struct Choices {
    models: Vec<String>,
    providers: Vec<String>,
    apps: Vec<String>,
    keys: Vec<(KeyId, String)>,
    members: Vec<(PersonId, String)>,
}

impl Choices {
    /// Of one member's calls where `own` says so.
    ///
    /// # Errors
    /// Database errors only.
    pub async fn load(
        conn: &mut PgConnection,
        org: OrgId,
        asked: &Asked,
        span: Span,
        own: Option<PersonId>,
    ) -> Result<Choices, sqlx::Error> {
        let seen = activity::seen(conn, org, span, own).await?;
        let filter = &asked.filter;
        let values = |mut values: Vec<String>, chosen: Option<&String>| {
            values.extend(chosen.cloned());
            values.sort_unstable();
            values.dedup();
            values
        };
        let (models, providers) =
            (values(seen.models, filter.model.as_ref()), values(seen.providers, filter.provider.as_ref()));
        let apps = values(seen.apps, filter.app.as_ref());
        let (mut keys, mut members) = (seen.keys, seen.members);
        keys.extend(filter.key);
        members.extend(filter.member);
        let mut keys: Vec<_> = keys::labels(conn, org, own, &keys).await?.into_iter().collect();
        keys.sort_by_cached_key(|(id, name)| (name.to_lowercase(), *id));
        let mut members: Vec<_> = match own {
            Some(_) => Vec::new(),
            None => keys::makers(conn, org, &members).await?.into_iter().collect(),
        };
        members.sort_by_cached_key(|(id, name)| (name.to_lowercase(), *id));
        Ok(Choices { models, providers, apps, keys, members })
    }

    pub fn key_names(&self) -> KeyNames {
        self.keys.iter().cloned().collect()
    }

    pub fn members(&self) -> HashMap<PersonId, String> {
        self.members.iter().cloned().collect()
    }

    pub fn fields(&self, asked: &Asked) -> views::Filters {
        let filter = &asked.filter;
        let named = |all: &str, values: &[String], chosen: Option<&String>| {
            let first = Choice::new("", all, "", chosen.is_none());
            let one = |value: &String| Choice::new(value, value, "", chosen == Some(value));
            std::iter::once(first).chain(values.iter().map(one)).collect::<Vec<_>>()
        };
        let listed = |all: &str, values: Vec<(String, &String)>, chosen: Option<String>| {
            let first = Choice::new("", all, "", chosen.is_none());
            let one = |(id, name): (String, &String)| Choice::new(&id, name, "", chosen.as_ref() == Some(&id));
            std::iter::once(first).chain(values.into_iter().map(one)).collect::<Vec<_>>()
        };
        let keys = self.keys.iter().map(|(id, name)| (id.to_string(), name)).collect();
        let members = self.members.iter().map(|(id, name)| (id.to_string(), name)).collect();
        let amount = |value: Option<Usd>| value.map(Usd::exact).unwrap_or_default();
        views::Filters {
            models: named("All models", &self.models, filter.model.as_ref()),
            providers: named("All providers", &self.providers, filter.provider.as_ref()),
            apps: named("All apps", &self.apps, filter.app.as_ref()),
            keys: listed("All keys", keys, filter.key.map(|key| key.to_string())),
            members: listed("Everybody", members, filter.member.map(|member| member.to_string())),
            statuses: statuses(asked),
            finishes: finishes(asked),
            accounts: accounts(asked),
            asked: Field::of(filter.asked.clone().unwrap_or_default()),
            min: Field::of(amount(filter.min)),
            max: Field::of(amount(filter.max)),
            id: Field::of(filter.id.map(|id| id.to_string()).unwrap_or_default()),
            more: filter.asked.is_some()
                || filter.min.is_some()
                || filter.max.is_some()
                || filter.finish.is_some()
                || filter.own.is_some()
                || filter.id.is_some()
                || filter.app.is_some()
                || filter.provider.is_some(),
        }
    }
}

fn statuses(asked: &Asked) -> Vec<Choice> {
    let all = Choice::new("", "Any status", "", asked.filter.status.is_none());
    let label = |status: &str| status_badge(status, false).text;
    let one = |status: &'static str| Choice::new(status, &label(status), "", asked.filter.status == Some(status));
    std::iter::once(all).chain(STATUSES.map(one)).collect()
}

fn finishes(asked: &Asked) -> Vec<Choice> {
    let all = Choice::new("", "Any finish", "", asked.filter.finish.is_none());
    let one = |finish: &'static str| Choice::new(finish, finish, "", asked.filter.finish == Some(finish));
    std::iter::once(all).chain(FINISHES.map(one)).collect()
}

/// What a filter on whose account calls ran is called.
const fn account(own: bool) -> &'static str {
    if own { "Your own" } else { "The operator’s" }
}

fn accounts(asked: &Asked) -> Vec<Choice> {
    let own = asked.filter.own;
    vec![
        Choice::new("", "Any account", "", own.is_none()),
        Choice::new("yes", account(true), "", own == Some(true)),
        Choice::new("no", account(false), "", own == Some(false)),
    ]
}

pub fn columns(asked: &Asked, own: Option<PersonId>) -> Vec<Choice> {
    let offered = COLUMNS.iter().filter(|(column, _)| *column != "member" || own.is_none());
    offered.map(|(column, label)| Choice::new(column, label, "", asked.has(column))).collect()
}

/// The person's own zone first.
pub fn zones(asked: &Asked, own: &str) -> Vec<Choice> {
    let chosen = asked.zone.map(|zone| zone.name());
    let mut zones = vec![Choice::new("", &format!("{own} (yours)"), "", chosen.is_none())];
    let named = ZONES.into_iter().chain(chosen.filter(|zone| !ZONES.contains(zone)));
    zones.extend(
        named
            .filter(|zone| *zone != own || chosen == Some(zone))
            .map(|zone| Choice::new(zone, zone, "", chosen == Some(zone))),
    );
    zones
}

pub fn chips(asked: &Asked, keys: &KeyNames, members: &HashMap<PersonId, String>) -> Vec<Chip> {
    let shown = |field: &str, value: String| match field {
        "key" => value.parse().map_or(value, |key: KeyId| name_of(keys, key)),
        "member" => {
            let name = value.parse().ok().and_then(|person: PersonId| members.get(&person));
            name.cloned().unwrap_or_else(|| "somebody else".to_owned())
        }
        "status" => status_badge(&value, false).text,
        "own" => account(value == "yes").to_owned(),
        "min" | "max" => Usd::parse(&value).map_or_else(|_| value.clone(), Usd::display_exact),
        _ => value,
    };
    let pairs = asked.filter.pairs().into_iter();
    pairs
        .map(|(field, value)| Chip {
            label: field_label(field).to_owned(),
            value: shown(field, value),
            remove_href: asked.without(field),
        })
        .collect()
}

pub fn saved(views: &[View], asked: &Asked) -> Vec<views::SavedView> {
    let here = asked.query();
    let one = |view: &View| views::SavedView {
        id: view.id.to_string(),
        name: view.name.clone(),
        href: format!("/activity?{}", view.query),
        current: view.query == here,
    };
    views.iter().map(one).collect()
}
