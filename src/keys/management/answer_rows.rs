//! Sums as rows of an answer.

use std::cmp::Ordering;
use std::collections::HashMap;

use chrono::SecondsFormat;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use sqlx::PgConnection;
use uuid::Uuid;

use super::activity::workspace_of;
use super::analytics::{Asked, Column, Direction};
use super::metrics::{METRICS, number};
use super::store;
use crate::activity::{Analyzed, AnalyzedRow, Dimension};
use crate::base::ids::{KeyId, OrgId, PersonId};
use crate::web::api::{ApiError, answered};

/// A row: names and values in their order.
pub struct Row(Vec<(String, Box<RawValue>)>);

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// The rows in the order that was asked for, within their limits, and whether there are more.
///
/// # Errors
/// 503 while the database is away.
pub async fn rows(
    conn: &mut PgConnection,
    org: OrgId,
    asked: &Asked,
    analyzed: Analyzed,
) -> Result<(Vec<Row>, bool), ApiError> {
    let Analyzed { rows: mut found, truncated } = analyzed;
    sort(&mut found, asked);
    let all = found.len();
    if let (Some(most), false) = (asked.group_limit, asked.columns.is_empty()) {
        let mut seen: HashMap<Vec<String>, usize> = HashMap::new();
        found.retain(|row| {
            let count = seen.entry(row.values.clone()).or_default();
            *count += 1;
            *count <= most
        });
    }
    found.truncate(asked.most());
    let truncated = truncated || found.len() < all;
    let hashes = hashes(conn, org, asked, &found).await?;
    Ok((found.iter().map(|row| one(row, org, asked, &hashes)).collect(), truncated))
}

/// The hash and the name of each key that rows are about.
async fn hashes(
    conn: &mut PgConnection,
    org: OrgId,
    asked: &Asked,
    rows: &[AnalyzedRow],
) -> Result<HashMap<Uuid, (String, String)>, ApiError> {
    let Some(at) = place(asked, Dimension::Key) else { return Ok(HashMap::new()) };
    let mut ids: Vec<Uuid> = rows.iter().filter_map(|row| Uuid::try_parse(row.values.get(at)?).ok()).collect();
    ids.sort_unstable();
    ids.dedup();
    answered(store::hashes(conn, org, &ids)).await
}

/// Where a dimension stands among those that were summed by.
fn place(asked: &Asked, dimension: Dimension) -> Option<usize> {
    let sums = asked.columns.iter().filter(|(_, column)| *column != Column::Workspace);
    sums.into_iter().position(|(_, column)| *column == Column::Sums(dimension))
}

fn one(row: &AnalyzedRow, org: OrgId, asked: &Asked, hashes: &HashMap<Uuid, (String, String)>) -> Row {
    let mut fields = Vec::new();
    let text = |value: &str| to_raw_value(value).unwrap_or_default();
    if let (Some(granularity), Some(at)) = (asked.granularity, row.at) {
        let at = at.to_rfc3339_opts(SecondsFormat::Millis, true);
        fields.push((format!("date__{}", granularity.as_str()), text(&at)));
    }
    let mut values = row.values.iter().map(String::as_str);
    for (name, column) in &asked.columns {
        let name = (*name).to_owned();
        match column {
            Column::Workspace => fields.push((name, text(&workspace_of(org)))),
            Column::Sums(Dimension::Key) => {
                let id = values.next().and_then(|value| Uuid::try_parse(value).ok()).unwrap_or_default();
                let unknown = (KeyId(id).to_string(), String::new());
                let (hash, label) = hashes.get(&id).unwrap_or(&unknown);
                fields.extend([(name, text(hash)), ("api_key_name".to_owned(), text(label))]);
            }
            Column::Sums(Dimension::Member) => {
                let id = values.next().and_then(|value| Uuid::try_parse(value).ok()).unwrap_or_default();
                let person = (!id.is_nil()).then(|| PersonId(id).to_string());
                fields.push((name, to_raw_value(&person).unwrap_or_default()));
            }
            Column::Sums(_) => {
                let value = values.next().filter(|value| !value.is_empty());
                fields.push((name, to_raw_value(&value).unwrap_or_default()));
            }
        }
    }
    fields.extend(asked.metrics.iter().map(|metric| (metric.name.to_owned(), number((metric.value)(row)))));
    Row(fields)
}

fn sort(rows: &mut [AnalyzedRow], asked: &Asked) {
    let Some(order) = &asked.order_by else { return };
    let field = order.field.as_str();
    let columns = asked.columns.iter().filter(|(_, column)| *column != Column::Workspace);
    let column = columns.into_iter().position(|(name, _)| *name == field);
    let metric = METRICS.iter().find(|metric| metric.name == field);
    let compare = |a: &AnalyzedRow, b: &AnalyzedRow| match (metric, column) {
        (Some(metric), _) => (metric.value)(a).cmp(&(metric.value)(b)),
        (None, Some(at)) => a.values.get(at).cmp(&b.values.get(at)),
        (None, None) if field == "date" => a.at.cmp(&b.at),
        (None, None) => Ordering::Equal,
    };
    // Stable, so that rows that are equal in this stay in the order of their time.
    rows.sort_by(|a, b| if order.direction == Direction::Asc { compare(a, b) } else { compare(b, a) });
}
