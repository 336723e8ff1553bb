//! Ids that are answered as whole objects, when the request says so.

use serde_json::Value;

use super::books::Books;
use super::error::Refusal;
use super::form::Form;

/// Stripe expands at most so deep.
const MAX_DEPTH: usize = 4;

/// Replaces the ids that `expand` names, such as `data.latest_charge`.
pub fn expand(books: &Books, form: &Form, mut answer: Value) -> Result<Value, Refusal> {
    for path in form.texts("expand") {
        let steps: Vec<&str> = path.split('.').collect();
        let deep = steps.len() > MAX_DEPTH + usize::from(steps[0] == "data");
        if deep || !follow(books, &mut answer, &steps) {
            let message = format!("This property cannot be expanded ({path}).");
            return Err(Refusal::invalid(message).param("expand"));
        }
    }
    Ok(answer)
}

/// False if a step names no field.
fn follow(books: &Books, value: &mut Value, steps: &[&str]) -> bool {
    if let Value::Array(items) = value {
        return items.iter_mut().all(|item| follow(books, item, steps));
    }
    if let Some(whole) = value.as_str().and_then(|id| books.get(id)) {
        *value = whole.clone();
    }
    let Some((step, rest)) = steps.split_first() else { return !value.is_string() };
    // Nothing to expand here this time, such as a payment intent that does not exist yet.
    if value.is_null() {
        return true;
    }
    value.get_mut(step).is_some_and(|inner| follow(books, inner, rest))
}
