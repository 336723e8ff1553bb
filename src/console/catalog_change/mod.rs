//! A change of the catalog that an operator asks for by a form. It becomes a part of a catalog file, and what `farebox catalog
//! apply` does with a file is done with it: the same rules, the same words, the same writes.
//!
//! Always true:
//! - A form says what it was made from. What somebody else did meanwhile to the same part of the catalog is told, and
//!   nothing is written over it.
//! - What is applied is what was shown, line by line, or nothing is.

mod draft;
mod fields;

use serde_json::Value;
use sqlx::PgConnection;

use crate::base::Digest;
use crate::catalog::{self, ApplyError, CatalogFile, Change, DiffError, EndpointKey, ModelSlug, ProviderSlug};

pub use fields::{Field, Kind, Problems, Typed};

/// What a form asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ask {
    Provider(ProviderSlug),
    Model(ModelSlug),
    /// Everything but the price.
    Endpoint(EndpointKey),
    Price(EndpointKey),
    /// With its first endpoint.
    NewModel,
    NewEndpoint,
    /// With its endpoints.
    RetireModel(ModelSlug),
    RetireEndpoint(EndpointKey),
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("This is not in the catalog any more. Nothing was changed.")]
    Gone,
    #[error("Somebody else has changed this meanwhile. Nothing was changed.")]
    Changed,
    #[error("This is in the catalog already; change it on its page. Nothing was changed.")]
    There,
    #[error("It is like that already. Nothing was changed.")]
    Nothing,
    /// By field.
    #[error("Some of it cannot be taken. Nothing was changed.")]
    Wrong(Problems),
    #[error("The catalog does not take this: {0}. Nothing was changed.")]
    Unfit(String),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<ApplyError> for Refusal {
    fn from(error: ApplyError) -> Refusal {
        match error {
            ApplyError::Database(error) => error.into(),
            ApplyError::Unfit(DiffError::Flawed { flaw, .. }) => {
                Refusal::Wrong(Problems::from([(flaw.field, flaw.problem.to_owned())]))
            }
            ApplyError::Unfit(other) => Refusal::Unfit(other.to_string()),
        }
    }
}

/// What would change, and its mark.
#[derive(Clone, Debug)]
pub struct Reviewed {
    pub lines: Vec<String>,
    pub shown: String,
}

impl Reviewed {
    fn of(changes: Vec<Change>) -> Reviewed {
        let lines: Vec<String> = changes.into_iter().map(|change| change.line).collect();
        Reviewed { shown: Digest::of(lines.join("\n")).to_hex(), lines }
    }
}

/// What was changed.
pub struct Done {
    pub before: Value,
    /// With the lines.
    pub after: Value,
}

/// What would change if it were applied to the catalog as it is `now`, whatever the form was made from.
///
/// # Errors
/// See [`Refusal`].
pub async fn review(conn: &mut PgConnection, now: &CatalogFile, ask: &Ask, typed: &Typed) -> Result<Reviewed, Refusal> {
    let draft = ask.draft(now, typed)?;
    let reviewed = Reviewed::of(catalog::preview(conn, &draft.file, draft.missing).await?);
    if reviewed.lines.is_empty() { Err(Refusal::Nothing) } else { Ok(reviewed) }
}

/// Does it, if everything is still as it was when the form was made and its lines were shown. After an error the
/// transaction must be given up.
///
/// # Errors
/// See [`Refusal`].
pub async fn carry_out(
    conn: &mut PgConnection,
    ask: &Ask,
    typed: &Typed,
    (basis, shown): (&str, &str),
) -> Result<Done, Refusal> {
    let now = catalog::hold(conn).await?;
    ask.is_made_from(&now, basis)?;
    let draft = ask.draft(&now, typed)?;
    let reviewed = Reviewed::of(catalog::apply(conn, &draft.file, draft.missing).await?);
    if reviewed.lines.is_empty() {
        return Err(Refusal::Nothing);
    }
    if reviewed.shown != shown {
        return Err(Refusal::Changed);
    }
    let mut after = draft.after;
    after["changes"] = Value::from(reviewed.lines);
    Ok(Done { before: draft.before, after })
}

impl Ask {
    /// # Errors
    /// `Gone` for what is not there, `Changed` for what is different.
    pub fn is_made_from(&self, now: &CatalogFile, basis: &str) -> Result<(), Refusal> {
        let current = self.basis(now).ok_or(Refusal::Gone)?;
        if current == basis { Ok(()) } else { Err(Refusal::Changed) }
    }

    /// Whether something is typed for it.
    #[must_use]
    pub fn has_fields(&self) -> bool {
        !matches!(self, Ask::RetireModel(_) | Ask::RetireEndpoint(_))
    }

    /// Its fields, in groups with a heading where they need one.
    #[must_use]
    pub fn fields(&self) -> Vec<(&'static str, &'static [Field])> {
        match self {
            Ask::Provider(_) => vec![("", fields::PROVIDER)],
            Ask::Model(_) => vec![("", fields::MODEL)],
            Ask::Endpoint(_) => vec![("", fields::ENDPOINT), ("", fields::OWN)],
            Ask::Price(_) => vec![("", fields::PRICE)],
            Ask::NewModel => vec![
                ("", fields::NEW_MODEL),
                ("", fields::MODEL),
                ("Its first endpoint, with the limits and parameters of the model", fields::PLACE),
                ("", fields::OWN),
                ("What it costs, in dollars", fields::PRICE),
            ],
            Ask::NewEndpoint => vec![
                ("", fields::OF_MODEL),
                ("", fields::PLACE),
                ("", fields::ENDPOINT),
                ("", fields::OWN),
                ("What it costs, in dollars", fields::PRICE),
            ],
            Ask::RetireModel(_) | Ask::RetireEndpoint(_) => Vec::new(),
        }
    }

    /// What was typed into its fields, and nothing else that came with it.
    #[must_use]
    pub fn own(&self, typed: &Typed) -> Vec<(&'static str, String)> {
        let all = self.fields().into_iter().flat_map(|(_, fields)| fields);
        all.filter_map(|field| Some((field.name, typed.get(field.name)?.clone()))).collect()
    }

    /// What the log says was changed: its kind, and its name.
    #[must_use]
    pub fn target(&self, typed: &Typed) -> (&'static str, String) {
        let typed = |name: &str| typed.get(name).map_or("", |text| text.trim()).to_owned();
        match self {
            Ask::Provider(slug) => ("provider", slug.to_string()),
            Ask::Model(slug) | Ask::RetireModel(slug) => ("model", slug.to_string()),
            Ask::Endpoint(key) | Ask::Price(key) | Ask::RetireEndpoint(key) => ("endpoint", key.to_string()),
            Ask::NewModel => ("model", typed("id")),
            Ask::NewEndpoint => {
                ("endpoint", format!("{} at {} as {}", typed("model"), typed("provider"), typed("upstream_model")))
            }
        }
    }
}
