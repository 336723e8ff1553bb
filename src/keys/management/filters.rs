//! Which calls a question is about.

use serde::Deserialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use super::activity::workspace_of;
use super::analytics::Column;
use super::metrics::dimension;
use crate::activity::{Dimension, Picked};
use crate::base::ids::{KeyId, OrgId, PersonId};
use crate::base::secret::Digest;
use crate::keys::store;
use crate::web::api::{ApiError, answered};

const MAX_FILTERS: usize = 20;
const MAX_VALUES: usize = 100;
const MAX_VALUE: usize = 200;
/// Nobody in particular.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// One condition.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FilterBody {
    /// A dimension.
    field: String,
    operator: Operator,
    /// A value for `eq` and `neq`, a list for `in` and `not_in`. Keys are named by their hash, members by their id, models by
    /// their slug.
    value: Values,
    /// With `in` and `not_in`: whether calls without any value count.
    #[serde(default)]
    include_unset: bool,
}

#[derive(Clone, Copy, Deserialize, ToSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    Eq,
    Neq,
    In,
    NotIn,
}

#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Values {
    One(String),
    Many(Vec<String>),
}

/// What the conditions come to.
#[derive(Default)]
pub struct Found {
    pub models: Picked,
    pub providers: Picked,
    pub apps: Picked,
    pub keys: Picked,
    pub members: Picked,
    pub finishes: Picked,
    pub origins: Picked,
    /// A condition is about what only calls tell.
    pub of_calls: bool,
    /// No call can fit.
    pub nothing: bool,
    pub warnings: Vec<String>,
}

impl FilterBody {
    fn values(&self) -> Result<Vec<&str>, ApiError> {
        let wrong = |told: &str| ApiError::invalid(format!("The filter on `{}` {told}.", self.field));
        let values: Vec<&str> = match (&self.value, self.operator) {
            (Values::One(value), Operator::Eq | Operator::Neq) => vec![value],
            (Values::Many(values), Operator::In | Operator::NotIn) => values.iter().map(String::as_str).collect(),
            (Values::One(_), _) => return Err(wrong("needs a list as its value")),
            (Values::Many(_), _) => return Err(wrong("needs one value and no list")),
        };
        if values.len() > MAX_VALUES || values.iter().any(|value| value.len() > MAX_VALUE || value.contains('\0')) {
            return Err(wrong("has too many or too long values"));
        }
        Ok(values)
    }
}

/// Finds what the conditions name.
///
/// # Errors
/// 400 for a condition that cannot be, 503 while the database is away.
pub async fn resolve(conn: &mut PgConnection, org: OrgId, given: &[FilterBody]) -> Result<Found, ApiError> {
    if given.len() > MAX_FILTERS {
        return Err(ApiError::invalid(format!("`filters` are at most {MAX_FILTERS}.")));
    }
    let mut found = Found::default();
    for filter in given {
        // Dimensions are names; only these can be told to be greater.
        let (_, column) = dimension(&filter.field)?;
        let values = filter.values()?;
        let keeps = matches!(filter.operator, Operator::Eq | Operator::In);
        let Column::Sums(dimension) = column else {
            let own = values.contains(&workspace_of(org).as_str());
            found.nothing |= own != keeps;
            continue;
        };
        found.of_calls |= dimension.is_of_calls();
        let mut known = Vec::new();
        for value in values {
            match spelled(conn, org, dimension, value).await? {
                Some(value) => known.push(value),
                None => found.warnings.push(format!("{} {value:?} is not known here.", filter.field)),
            }
        }
        if matches!(filter.operator, Operator::In | Operator::NotIn) && filter.include_unset == keeps {
            known.push(if dimension == Dimension::Member { NOBODY } else { "" }.to_owned());
        }
        found.of(dimension).narrow(keeps, known);
    }
    Ok(found)
}

/// A value as the sums spell it; `None` for a key or member that there is none of.
async fn spelled(
    conn: &mut PgConnection,
    org: OrgId,
    dimension: Dimension,
    value: &str,
) -> Result<Option<String>, ApiError> {
    match dimension {
        Dimension::Key => {
            if let Ok(id) = value.parse::<KeyId>() {
                return Ok(Some(id.0.to_string()));
            }
            let Some(digest) = hex::decode(value).ok().and_then(|bytes| Digest::from_bytes(&bytes)) else {
                return Ok(None);
            };
            Ok(answered(store::find_ever(conn, org, &digest)).await?.map(|key| key.0.to_string()))
        }
        Dimension::Member => Ok(value.parse::<PersonId>().ok().map(|person| person.0.to_string())),
        Dimension::Model | Dimension::Provider | Dimension::App | Dimension::Finish | Dimension::Origin => {
            Ok(Some(value.to_owned()))
        }
    }
}

impl Found {
    fn of(&mut self, dimension: Dimension) -> &mut Picked {
        match dimension {
            Dimension::Model => &mut self.models,
            Dimension::Provider => &mut self.providers,
            Dimension::App => &mut self.apps,
            Dimension::Key => &mut self.keys,
            Dimension::Member => &mut self.members,
            Dimension::Finish => &mut self.finishes,
            Dimension::Origin => &mut self.origins,
        }
    }
}

trait Narrow {
    fn narrow(&mut self, keeps: bool, values: Vec<String>);
}

impl Narrow for Picked {
    /// Every condition must hold, so a second list takes away from the first.
    fn narrow(&mut self, keeps: bool, values: Vec<String>) {
        if !keeps {
            self.not.extend(values);
            return;
        }
        self.only = Some(match self.only.take() {
            None => values,
            Some(before) => before.into_iter().filter(|value| values.contains(value)).collect(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_narrow_and_never_widen() {
        let mut picked = Picked::default();
        picked.narrow(true, vec!["a".into(), "b".into()]);
        picked.narrow(true, vec!["b".into(), "c".into()]);
        picked.narrow(false, vec!["d".into()]);
        assert_eq!(picked, Picked { only: Some(vec!["b".into()]), not: vec!["d".into()] });
    }

    #[test]
    fn a_list_where_one_value_belongs_is_told() {
        let filter = |text: &str| serde_json::from_str::<FilterBody>(text).expect("a filter");
        assert!(filter(r#"{"field":"model","operator":"eq","value":["a"]}"#).values().is_err());
        assert!(filter(r#"{"field":"model","operator":"in","value":"a"}"#).values().is_err());
        assert_eq!(filter(r#"{"field":"model","operator":"not_in","value":["a"]}"#).values().ok(), Some(vec!["a"]));
    }
}
