//! What a client asks of Anthropic's API that is not in it for good: the header `anthropic-beta`. Pure.

/// Those that are passed on, by their names without a date. They change what a request may say and not what it costs: a longer
/// context, a faster mode and whatever runs at the provider have prices that are not in the catalog.
const PASSED: [&str; 10] = [
    "advanced-tool-use",
    "effort",
    "fine-grained-tool-streaming",
    "interleaved-thinking",
    "per-turn-control",
    "structured-outputs",
    "thinking-binding-controls",
    "thinking-token-count",
    "tool-search",
    "tool-search-tool",
];
/// How the names begin of those that are about what a conversation may have in its middle.
const MIDDLE: &str = "mid-conversation-";
/// Characters of a name that is passed on.
const MAX_NAME: usize = 64;
/// How many are passed on; Claude Code sends some ten, most of them of the list above.
const MAX: usize = 16;

/// Those of the header's values that are passed on, as one value; empty for none.
pub(in crate::gateway) fn passed<'a>(values: impl Iterator<Item = &'a str>) -> String {
    let names = values.flat_map(|value| value.split(',')).map(str::trim);
    let mut passed: Vec<&str> = Vec::new();
    let is_passed = |name: &&str| PASSED.contains(&undated(name)) || is_about_the_middle(name);
    for name in names.filter(is_passed) {
        if passed.len() < MAX && !passed.contains(&name) {
            passed.push(name);
        }
    }
    passed.join(",")
}

fn is_about_the_middle(name: &str) -> bool {
    let is_plain = |byte: u8| byte == b'-' || byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.starts_with(MIDDLE) && name.len() <= MAX_NAME && name.bytes().all(is_plain)
}

/// A name without the day at its end, `-2025-11-20`.
fn undated(name: &str) -> &str {
    let is_day = |day: &str| {
        day.len() == 11
            && day.bytes().enumerate().all(|(at, byte)| match at {
                0 | 5 | 8 => byte == b'-',
                _ => byte.is_ascii_digit(),
            })
    };
    let at = name.len().saturating_sub(11);
    name.split_at_checked(at).filter(|(_, day)| is_day(day)).map_or(name, |(before, _)| before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn betas_pass_that_cost_nothing() {
        let long = format!("mid-conversation-{}", "x".repeat(MAX_NAME));
        let values = [
            "mid-conversation-system-2026-04-07,mid-conversation-\u{e9},mid-conversation-a b",
            long.as_str(),
            "claude-code-20250219,interleaved-thinking-2025-05-14, effort-2025-11-24",
            "context-1m-2025-08-07,fast-mode-2026-02-01,effort-2025-11-24,mcp-client-2025-11-20,files-api-2025-04-14",
            "tool-search-tool,per-turn-control-2026-07-01,effort-2025-11-24x,effort-2025-11,é-2025-11-24,context-management-2025-06-27",
        ];
        assert_eq!(
            passed(values.into_iter()),
            "mid-conversation-system-2026-04-07,interleaved-thinking-2025-05-14,effort-2025-11-24,tool-search-tool,per-turn-control-2026-07-01"
        );
        assert_eq!(passed(["", ","].into_iter()), "");
        let many: Vec<String> = (10..40).map(|day| format!("effort-2025-11-{day}")).collect();
        assert_eq!(passed([many.join(",").as_str()].into_iter()).split(',').count(), MAX);
    }
}
