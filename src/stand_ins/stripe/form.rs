//! Requests as Stripe takes them: form fields whose names nest, such as `line_items[0][price_data][currency]`.

use serde_json::{Map, Value};
use url::form_urlencoded;

use super::error::Refusal;

/// More fields than any honest request has.
const MAX_FIELDS: usize = 1000;
/// How deep names may nest; the deepest of Stripe's that we need has five parts.
const MAX_DEPTH: usize = 8;
/// Metadata as Stripe limits it.
const MAX_METADATA: usize = 50;
const MAX_METADATA_NAME: usize = 40;
const MAX_METADATA_VALUE: usize = 500;

/// The parameters of a request, or a nested part of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Form {
    fields: Map<String, Value>,
    /// The name of this part in the request; empty for the whole.
    path: String,
}

impl Form {
    /// Reads an encoded body or query.
    pub fn decode(text: &[u8]) -> Result<Form, Refusal> {
        let mut fields = Map::new();
        for (count, (name, value)) in form_urlencoded::parse(text).enumerate() {
            if count >= MAX_FIELDS {
                return Err(Refusal::invalid(format!("Send at most {MAX_FIELDS} parameters.")));
            }
            let parts = parts(&name).ok_or_else(|| unreadable(&name))?;
            place(&mut fields, &parts, value.into_owned()).ok_or_else(|| unreadable(&name))?;
        }
        Ok(Form { fields, path: String::new() })
    }

    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The full name of a field of this part.
    pub fn name(&self, field: &str) -> String {
        if self.path.is_empty() { field.to_owned() } else { format!("{}[{field}]", self.path) }
    }

    /// Refuses every field that is not in the list: what we do not model must not be asked for.
    pub fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        let unknown = self.fields.keys().find(|field| !known.contains(&field.as_str()) && *field != "expand");
        unknown.map_or(Ok(()), |field| {
            let name = self.name(field);
            let message = format!("Received unknown parameter: {name} (or one that this stand-in does not model)");
            Err(Refusal::invalid(message).code("parameter_unknown").param(&name))
        })
    }

    /// A field's text; an empty one counts as not sent.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    pub fn required(&self, field: &str) -> Result<&str, Refusal> {
        self.text(field).ok_or_else(|| Refusal::missing_parameter(&self.name(field)))
    }

    /// A whole number: cents, seconds or a count.
    pub fn number(&self, field: &str) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.text(field) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            Refusal::invalid(format!("Invalid integer: {text}"))
                .code("parameter_invalid_integer")
                .param(&self.name(field))
        })
    }

    pub fn flag(&self, field: &str) -> Result<Option<bool>, Refusal> {
        match self.text(field) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(Refusal::invalid(format!("Invalid boolean: {other}")).param(&self.name(field))),
        }
    }

    /// One of a few words.
    pub fn choice<'a>(&'a self, field: &str, words: &[&str]) -> Result<Option<&'a str>, Refusal> {
        let Some(text) = self.text(field) else { return Ok(None) };
        if words.contains(&text) {
            return Ok(Some(text));
        }
        let message = format!("Invalid {}: must be one of {}", self.name(field), words.join(", "));
        Err(Refusal::invalid(message).param(&self.name(field)))
    }

    pub fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    /// A nested part; empty if it was not sent.
    pub fn part(&self, field: &str) -> Form {
        let fields = match self.fields.get(field) {
            Some(Value::Object(fields)) => fields.clone(),
            _ => Map::new(),
        };
        Form { fields, path: self.name(field) }
    }

    /// The names of the nested parts.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(String::as_str)
    }

    /// The parts of a list, in order.
    pub fn parts(&self, field: &str) -> Vec<Form> {
        let list = self.part(field);
        list.fields.keys().map(|index| list.part(index)).collect()
    }

    /// A list of texts.
    pub fn texts(&self, field: &str) -> Vec<String> {
        let list = self.part(field);
        list.fields.values().filter_map(|value| value.as_str().map(str::to_owned)).collect()
    }

    /// The part as it is told in an answer: numbers and booleans as such.
    pub fn as_told(&self) -> Value {
        told(&Value::Object(self.fields.clone()))
    }

    /// What the sender wants to have remembered, if anything was said about it.
    pub fn metadata(&self) -> Result<Option<Map<String, Value>>, Refusal> {
        if !self.has("metadata") {
            return Ok(None);
        }
        let fields = self.part("metadata").fields;
        let fits = fields.len() <= MAX_METADATA
            && fields.iter().all(|(name, value)| {
                let text = value.as_str().map(|text| text.chars().count());
                name.chars().count() <= MAX_METADATA_NAME && text.is_some_and(|length| length <= MAX_METADATA_VALUE)
            });
        let limits = format!(
            "Metadata may have {MAX_METADATA} texts with names of {MAX_METADATA_NAME} and values of {MAX_METADATA_VALUE} characters."
        );
        if fits { Ok(Some(fields)) } else { Err(Refusal::invalid(limits).param(&self.name("metadata"))) }
    }
}

fn unreadable(name: &str) -> Refusal {
    Refusal::invalid(format!("The name {name} cannot be read: write nested ones as a[b][0][c].")).param(name)
}

/// `a[b][0]` as its parts; nothing if the brackets do not fit.
fn parts(name: &str) -> Option<Vec<&str>> {
    let (first, mut rest) = name.find('[').map_or((name, ""), |at| name.split_at(at));
    let mut parts = vec![first];
    while !rest.is_empty() {
        let (part, after) = rest.strip_prefix('[')?.split_once(']')?;
        parts.push(part);
        rest = after;
    }
    (!first.is_empty() && parts.len() <= MAX_DEPTH).then_some(parts)
}

/// Puts a value where its name says. Lists are kept as maps from their index; `a[]` takes the next one.
fn place(fields: &mut Map<String, Value>, parts: &[&str], value: String) -> Option<()> {
    let (first, rest) = parts.split_first()?;
    let field = if first.is_empty() { fields.len().to_string() } else { (*first).to_owned() };
    if rest.is_empty() {
        let taken = matches!(fields.insert(field, Value::String(value)), Some(Value::Object(_)));
        return (!taken).then_some(());
    }
    let Value::Object(inner) = fields.entry(field).or_insert_with(|| Value::Object(Map::new())) else { return None };
    place(inner, rest, value)
}

fn told(value: &Value) -> Value {
    match value {
        Value::Object(fields) if !fields.is_empty() && fields.keys().all(|name| name.parse::<usize>().is_ok()) => {
            fields.values().map(told).collect()
        }
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), told(value))).collect())
        }
        Value::String(text) => match text.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            other => other.parse::<i64>().map_or_else(|_| value.clone(), Value::from),
        },
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn form(text: &str) -> Form {
        Form::decode(text.as_bytes()).expect("a form")
    }

    #[test]
    fn names_nest() {
        let form = form(
            "mode=payment&line_items[0][price_data][unit_amount]=500&line_items%5B0%5D%5Bquantity%5D=2&expand[]=a&expand[]=b",
        );
        assert_eq!(form.text("mode"), Some("payment"));
        let items = form.parts("line_items");
        assert_eq!(items.len(), 1);
        assert_eq!(items[0].part("price_data").number("unit_amount"), Ok(Some(500)));
        assert_eq!(items[0].name("quantity"), "line_items[0][quantity]");
        assert_eq!(form.texts("expand"), ["a", "b"]);
        assert_eq!(form.part("line_items").as_told(), json!([{ "price_data": { "unit_amount": 500 }, "quantity": 2 }]));
    }

    #[test]
    fn broken_names_are_refused() {
        for text in ["a[b=1", "a]b[=1", "[a]=1", "a=1&a[b]=2", "a[b]=1&a=2", "a[1][2][3][4][5][6][7][8]=1"] {
            assert!(Form::decode(text.as_bytes()).is_err(), "{text}");
        }
        let many = "a=1&".repeat(MAX_FIELDS + 1);
        assert!(Form::decode(many.as_bytes()).is_err(), "too many");
    }

    #[test]
    fn what_is_not_modelled_is_refused_by_its_full_name() {
        let form = form("payment_intent_data[transfer_group]=x");
        let refusal = form.part("payment_intent_data").only(&["metadata"]).expect_err("refused");
        assert_eq!(refusal.reason(), "parameter_unknown");
        assert_eq!(refusal.body()["error"]["param"], "payment_intent_data[transfer_group]");
    }

    #[test]
    fn an_empty_number_is_none_and_a_wrong_one_is_refused() {
        assert_eq!(form("amount=").number("amount"), Ok(None));
        assert_eq!(form("amount=1.5").number("amount").map_err(|refusal| refusal.status()), Err(400));
    }
}
