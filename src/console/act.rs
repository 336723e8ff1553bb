//! Something that an operator does: once, with a reason, and written down.

use serde_json::{Value, json};
use sqlx::{Postgres, Transaction};

use super::extract::Acting;
use super::store;
use crate::accounts::Person;
use crate::accounts::operator::{self, StaffRole};
use crate::audit::{self, Action, Actor, Chain, Entry, Target};
use crate::base::Origin;
use crate::base::ids::{ActId, OrgId};
use crate::web::{App, PageError};

/// Letters of a reason.
pub const REASON: std::ops::RangeInclusive<u16> = 3..=300;

/// What is about to be done, in its transaction. Dropping it undoes everything.
pub struct Act {
    pub tx: Transaction<'static, Postgres>,
    pub person: Person,
    pub reason: String,
    origin: Origin,
}

/// Reads why something is done.
///
/// # Errors
/// What is wrong with one that says nothing, or too much.
pub fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    let fits = u16::try_from(text.chars().count()).is_ok_and(|letters| REASON.contains(&letters));
    if !fits || text.chars().any(char::is_control) {
        return Err(format!(
            "Write a reason of {} to {} characters on one line. It stands in the log for good. Nothing was done.",
            REASON.start(),
            REASON.end(),
        ));
    }
    Ok(text.to_owned())
}

/// Begins what a form asks for. `None` when the same form was carried out before. Whoever acts is looked at again, and stays
/// an operator until the end; their acts come one after another.
///
/// # Errors
/// `Forbidden` when the role was taken away meanwhile; `Invalid` for a damaged form or a bad reason; database errors.
pub async fn begin(
    app: &App,
    staff: &Acting,
    form: &str,
    why: &str,
    what: &'static str,
) -> Result<Option<Act>, PageError> {
    let id: ActId = form.parse().map_err(|_| PageError::Invalid("The form is damaged. Open its page again.".into()))?;
    let reason = reason(why).map_err(PageError::Invalid)?;
    let mut tx = app.db.begin().await?;
    // Before the own row: of two who change each other, the second waits here and not for the row that the first has.
    operator::lock_claim(&mut tx).await?;
    let person = staff.person().clone();
    if operator::hold_role(&mut tx, person.id).await? != Some(StaffRole::Operator) {
        return Err(PageError::Forbidden("You are no operator any more. Nothing was done."));
    }
    if !store::insert_act(&mut tx, id, person.id, what).await? {
        return Ok(None);
    }
    Ok(Some(Act { tx, person, reason, origin: staff.origin.clone() }))
}

impl Act {
    /// The beginning of an entry in the log of the house.
    #[must_use]
    pub fn entry(&self, action: Action) -> Entry {
        Entry::new(Chain::House, Actor::Person(self.person.id), action, &self.origin).named(&self.person.name)
    }

    /// Writes it down: for the organization without the operator's name, then for the house with it. Comes last.
    ///
    /// # Errors
    /// Database errors only.
    pub async fn note(
        &mut self,
        org: Option<OrgId>,
        action: Action,
        target: Target,
        (before, after): (Value, Value),
    ) -> Result<(), sqlx::Error> {
        let with_reason = |value: Value| match value {
            Value::Object(mut fields) => {
                fields.insert("reason".into(), json!(self.reason));
                Value::Object(fields)
            }
            Value::Null => json!({ "reason": self.reason }),
            other => json!({ "value": other, "reason": self.reason }),
        };
        let after = with_reason(after);
        if let Some(org) = org {
            let entry = Entry::new(Chain::Org(org), Actor::Operator, action, &Origin::here());
            let entry = entry.on(target.clone()).change(before.clone(), after.clone());
            audit::record(&mut self.tx, entry).await?;
        }
        let mut after = after;
        if let Some(org) = org {
            after["organization"] = json!(org);
        }
        let entry = self.entry(action).on(target).change(before, after);
        audit::record(&mut self.tx, entry).await
    }

    /// # Errors
    /// Database errors only.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        self.tx.commit().await
    }
}
