//! Fields of forms and what forms do, in the words of their pages.

use crate::base::Usd;

/// Fields whose name says less than their label does.
const LABELS: [(&str, &str); 12] = [
    ("email", "E-mail"),
    ("lasts", "Open for"),
    ("day", "Each day"),
    ("week", "Each week"),
    ("month", "Each month"),
    ("total", "In all"),
    ("below", "When credits fall below"),
    ("cap_day", "At most in a day"),
    ("cap_month", "At most in a month"),
    ("may_manage", "May manage keys"),
    ("may_call", "May call models"),
    ("typed", "To confirm"),
];
/// Fields that hold dollars.
const DOLLARS: [&str; 9] = ["day", "week", "month", "total", "below", "credits", "cap_day", "cap_month", "amount"];
/// Fields that hold one of our own words.
const CHOSEN: [&str; 3] = ["role", "method", "mode"];

/// The label of a field; its name as words where no better is known.
pub fn label(name: &str) -> String {
    LABELS.iter().find(|(known, _)| *known == name).map_or_else(|| words(name), |(_, label)| (*label).to_owned())
}

/// A value as its page says it.
pub fn value(name: &str, value: &str) -> String {
    match name {
        "lasts" if value == "1" => "1 day".to_owned(),
        "lasts" if value.parse::<u16>().is_ok() => format!("{value} days"),
        "save" if value == "1" => "Yes".to_owned(),
        _ if value == "on" => "Yes".to_owned(),
        _ if CHOSEN.contains(&name) => words(value),
        // Dates are in fields of the same names.
        _ if DOLLARS.contains(&name) && !value.starts_with('$') && Usd::parse(value).is_ok() => format!("${value}"),
        _ => value.to_owned(),
    }
}

/// What the button of a form says that goes to this path.
pub fn deed(action: &str) -> &'static str {
    let parts: Vec<&str> = action.split('/').skip(1).collect();
    match parts.as_slice() {
        ["settings", "members", "invitations"] => "Send invitation",
        ["settings", "members", _, "role"] => "Save role",
        ["settings", "members", _, "cap"] => "Save cap",
        ["settings", "members", _, "transfer"] => "Transfer ownership",
        ["settings", "organization", "delete"] => "Delete in seven days",
        ["settings", "provisioning"] => "Create provisioning key",
        ["settings", "email"] => "Send the link",
        ["settings", "delete"] => "Delete my account",
        ["credits", "auto"] => "Save the rule",
        ["credits", "topups"] => "Go on to the payment page",
        ["credits", "methods"] => "Go on to the payment processor",
        _ => "Send it now",
    }
}

fn words(name: &str) -> String {
    let mut words = name.replace('_', " ");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_told_in_the_words_of_its_page() {
        for (name, sent, told) in [
            ("email", "bob@example.com", ("E-mail", "bob@example.com")),
            ("role", "member", ("Role", "Member")),
            ("lasts", "7", ("Open for", "7 days")),
            ("month", "12.50", ("Each month", "$12.50")),
            ("month", "2026-11", ("Each month", "2026-11")),
            ("method", "card", ("Method", "Card")),
            ("may_call", "on", ("May call models", "Yes")),
            ("some_thing", "1", ("Some thing", "1")),
        ] {
            assert_eq!((label(name).as_str(), value(name, sent).as_str()), told, "{name}");
        }
        assert_eq!(deed("/settings/members/usr_1/role"), "Save role");
        assert_eq!(deed("/admin/codes"), "Send it now");
    }
}
