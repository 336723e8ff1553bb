//! What differs between two versions of a preset. Pure.

use serde_json::Value;

use super::config::PARAMETERS;
use super::preset::Version;

/// Lines of a text that are compared one by one; longer texts are shown whole, before and after.
const MAX_LINES: usize = 1_000;

/// A field that differs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    pub label: String,
    /// Empty where it was not set.
    pub before: String,
    pub after: String,
}

/// A line of the system prompt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line<'a> {
    Same(&'a str),
    Gone(&'a str),
    New(&'a str),
}

/// The fields that differ, in the order of the editor.
#[must_use]
pub fn changes(before: &Version, after: &Version) -> Vec<Change> {
    let (old, new) = (flat(before), flat(after));
    let mut names: Vec<&String> = old.iter().map(|(name, _)| name).collect();
    names.extend(new.iter().map(|(name, _)| name).filter(|name| !old.iter().any(|(known, _)| known == *name)));
    let value = |fields: &[(String, String)], name: &str| {
        fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let changes = names.into_iter().map(|name| Change {
        label: label(name),
        before: value(&old, name),
        after: value(&new, name),
    });
    changes.filter(|change| change.before != change.after).collect()
}

fn label(name: &str) -> String {
    match name {
        "models" => "Models".into(),
        "max_cost" => "Price cap per call".into(),
        name => PARAMETERS.iter().find(|parameter| parameter.name == name).map_or_else(
            || name.replace('_', " ").replace("provider.", "Provider: "),
            |parameter| parameter.label.into(),
        ),
    }
}

/// Every field as text; conditions on providers one by one.
fn flat(version: &Version) -> Vec<(String, String)> {
    let config = &version.config;
    let mut out = Vec::new();
    if !config.models.is_empty() {
        out.push(("models".to_owned(), config.models.join(", then ")));
    }
    for (name, value) in &config.provider {
        out.push((format!("provider.{name}"), shown(value)));
    }
    for (name, value) in &config.parameters {
        out.push((name.clone(), shown(value)));
    }
    if let Some(cap) = config.max_tokens {
        out.push(("max_tokens".to_owned(), cap.to_string()));
    }
    if let Some(cost) = config.max_cost {
        out.push(("max_cost".to_owned(), cost.display_exact()));
    }
    out
}

fn shown(value: &Value) -> String {
    match value {
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

/// A text, line by line, with what is gone before what is new.
#[must_use]
pub fn lines<'a>(before: &'a str, after: &'a str) -> Vec<Line<'a>> {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    if old.len() > MAX_LINES || new.len() > MAX_LINES {
        return old.into_iter().map(Line::Gone).chain(new.into_iter().map(Line::New)).collect();
    }
    // The length of the longest common rest, from each pair of places on.
    let width = new.len() + 1;
    let mut rest = vec![0_u32; (old.len() + 1) * width];
    let at = |i: usize, j: usize| i * width + j;
    let get = |rest: &[u32], i: usize, j: usize| rest.get(at(i, j)).copied().unwrap_or(0);
    for (i, one) in old.iter().enumerate().rev() {
        for (j, other) in new.iter().enumerate().rev() {
            let longest = if one == other {
                get(&rest, i + 1, j + 1) + 1
            } else {
                get(&rest, i + 1, j).max(get(&rest, i, j + 1))
            };
            if let Some(place) = rest.get_mut(at(i, j)) {
                *place = longest;
            }
        }
    }
    let (mut i, mut j, mut out) = (0, 0, Vec::with_capacity(old.len() + new.len()));
    loop {
        match (old.get(i), new.get(j)) {
            (None, None) => return out,
            (Some(one), Some(other)) if one == other => {
                out.push(Line::Same(one));
                (i, j) = (i + 1, j + 1);
            }
            (Some(one), other) if other.is_none() || get(&rest, i + 1, j) >= get(&rest, i, j + 1) => {
                out.push(Line::Gone(one));
                i += 1;
            }
            (_, Some(other)) => {
                out.push(Line::New(other));
                j += 1;
            }
            (Some(one), None) => {
                out.push(Line::Gone(one));
                i += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::PresetId;
    use crate::presets::{Author, Config};
    use serde_json::json;

    #[test]
    fn a_text_differs_by_lines() {
        use Line::{Gone, New, Same};
        assert_eq!(lines("a\nb\nc", "a\nx\nc\nd"), [Same("a"), Gone("b"), New("x"), Same("c"), New("d")]);
        assert_eq!(lines("", "a"), [New("a")]);
        assert_eq!(lines("a\nb", ""), [Gone("a"), Gone("b")]);
        assert_eq!(lines("a", "a"), [Same("a")]);
        assert_eq!(lines("", ""), []);
    }

    #[test]
    fn only_fields_that_differ_are_shown() {
        let version = |config: Value| Version {
            id: PresetId::fresh().0,
            number: 1,
            system_prompt: String::new(),
            config: Config::parse(config.as_object().expect("an object")).expect("a config"),
            unread: None,
            author: Author::default(),
            created_at: chrono::DateTime::UNIX_EPOCH,
        };
        let before = version(json!({"model":"a/b","temperature":1,"seed":7,"provider":{"order":["x","y"]}}));
        let after = version(json!({"models":["a/b","c/d"],"temperature":1,"max_cost":"0.01",
            "provider":{"order":["y","x"],"allow_fallbacks":false}}));
        let change = |label: &str, before: &str, after: &str| Change {
            label: label.into(),
            before: before.into(),
            after: after.into(),
        };
        assert_eq!(
            changes(&before, &after),
            [
                change("Models", "a/b", "a/b, then c/d"),
                change("Provider: order", "x, y", "y, x"),
                change("Seed", "7", ""),
                change("Provider: allow fallbacks", "", "no"),
                change("Price cap per call", "", "$0.01"),
            ]
        );
    }
}
