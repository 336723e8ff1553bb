//! Names by which programs for Anthropic's API ask for models, which know no authors. Pure.

use crate::catalog::Catalog;
use crate::routing::model_of;

/// Whose models such a name means.
const AUTHOR: &str = "anthropic";
/// What Claude Code writes behind a name whose long context it wants; here a model has the context that it has.
const LONG: &str = "[1m]";
/// Digits of the day at the end of a name.
const DAY: usize = 8;

/// Puts the model that is meant instead of each name that is none here. What means no model stays as it is, and is not found.
pub(super) fn spell_out(catalog: &Catalog, models: &mut [String]) {
    for name in models {
        if model_of(catalog, name).is_none()
            && let Some(meant) = meant(catalog, name)
        {
            *name = meant;
        }
    }
}

fn meant(catalog: &Catalog, name: &str) -> Option<String> {
    let name = name.strip_suffix(LONG).unwrap_or(name);
    let name = if name.contains('/') { name.to_owned() } else { format!("{AUTHOR}/{name}") };
    let undated = undated(&name).map(str::to_owned);
    let spellings = [Some(name), undated].into_iter().flatten().flat_map(|name| [pointed(&name), Some(name)]);
    spellings.flatten().find(|name| model_of(catalog, name).is_some())
}

/// Without the day at its end.
fn undated(name: &str) -> Option<&str> {
    let (before, day) = name.rsplit_once('-')?;
    (day.len() == DAY && day.bytes().all(|digit| digit.is_ascii_digit())).then_some(before)
}

/// With a point in the version at its end, as ids have it: `claude-opus-4-8` is `claude-opus-4.8`.
fn pointed(name: &str) -> Option<String> {
    let (before, minor) = name.rsplit_once('-')?;
    let (_, major) = before.rsplit_once('-')?;
    let is_number = |part: &str| matches!(part.len(), 1 | 2) && part.bytes().all(|digit| digit.is_ascii_digit());
    (is_number(major) && is_number(minor)).then(|| format!("{before}.{minor}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_claude_code_asks_for_is_found_and_nothing_else_changes() {
        let catalog = crate::catalog::shipped(&[]);
        let spelt = |name: &str| {
            let mut models = vec![name.to_owned()];
            spell_out(&catalog, &mut models);
            models.remove(0)
        };
        for (name, id) in [
            ("claude-opus-4-8", "anthropic/claude-opus-4.8"),
            ("claude-opus-4-8[1m]", "anthropic/claude-opus-4.8"),
            ("claude-sonnet-5-5", "anthropic/claude-sonnet-5.5"),
            ("claude-opus-5", "anthropic/claude-opus-5"),
            ("claude-haiku-4-5-20251001", "anthropic/claude-haiku-4.5"),
            ("claude-haiku-4-5-20251001[1m]", "anthropic/claude-haiku-4.5"),
            ("anthropic/claude-opus-4.8[1m]", "anthropic/claude-opus-4.8"),
        ] {
            assert_eq!(spelt(name), id, "{name}");
        }
        for name in [
            "anthropic/claude-opus-4-8",
            "sandbox/echo",
            "claude-unheard-of",
            "gpt-4.1",
            "-",
            "",
            "claude-opus-4-8-2025",
        ] {
            assert_eq!(spelt(name), name);
        }
    }
}
