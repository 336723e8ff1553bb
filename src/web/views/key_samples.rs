//! Pages of keys, filled.

use super::common::{Amount, Badge, Choice, Fact, Field, Link, Meter, Pager, Snippets, When};
use super::samples::{Sample, public, push, shell, usd};
use super::{holders, keys};

fn meter(used: &str, limit: &str, percent: u8, note: &str) -> Meter {
    let label = "Part of the limit used".into();
    Meter { used: usd(used), limit: usd(limit), percent, note: note.into(), label }
}

fn when(text: &str) -> When {
    When {
        text: text.into(),
        exact: "22 Nov 2026, 14:03:07 UTC".into(),
        iso: "2026-11-22T14:03:07Z".into(),
        relative: false,
    }
}

fn choices(all: &[(&str, &str)]) -> Vec<Choice> {
    all.iter().enumerate().map(|(at, (value, label))| Choice::new(value, label, "", at == 0)).collect()
}

fn fields() -> keys::KeyFields {
    keys::KeyFields {
        name: Field::of("Blog plugin"),
        total: Field::wrong("ten", "Write an amount in dollars, such as 10 or 2.50. No key was made."),
        day: Field::of("1"),
        month: Field::of("20"),
        expiries: choices(&[("never", "Never"), ("30d", "In 30 days"), ("on", "On a day")]),
        zone: "Europe/Berlin".into(),
        models: Field::of("openai/gpt-5-mini\nmistral/small"),
        networks: Field::wrong("300.1.1.1", "“300.1.1.1” is not an address or a network. No key was made."),
        per_minute: Field::of("60"),
        byok: true,
        advanced: true,
        ..keys::KeyFields::default()
    }
}

fn links() -> Vec<Choice> {
    choices(&[("1d", "A day"), ("7d", "7 days"), ("30d", "30 days")])
}

fn bars() -> Vec<keys::LimitBar> {
    let bar = |title: &str, meter: Meter| keys::LimitBar { title: title.into(), meter };
    vec![
        bar("Each day", meter("$0.61", "$1.00", 61, "Starts again Mon 23 Nov, 00:00 UTC")),
        bar("Each month", meter("$18.22", "$20.00", 91, "Starts again Tue 1 Dec, 00:00 UTC")),
    ]
}

fn facts() -> Vec<Fact> {
    let fact = |label: &str, value: &str, mono: bool| Fact { label: label.into(), value: value.into(), mono };
    vec![
        fact("Key", "sk-fb-v1-ab12…wxyz", true),
        fact("Expires", "Never", false),
        fact("Models", "openai/gpt-5-mini, mistral/small", false),
        fact("From addresses", "203.0.113.0/24, 2001:db8::/32", false),
        fact("Calls", "60 a minute", false),
        fact("Last used", "2 min ago", false),
    ]
}

/// Every page of keys in one theme.
pub(super) fn all(theme: &str, snippets: &dyn Fn(&str) -> Snippets, out: &mut Vec<Sample>) -> askama::Result<()> {
    lists(theme, out)?;
    let shell_of = |title: &str, text: &str| shell(theme, "keys", title, text);
    let new = keys::New {
        shell: shell_of("Create a key", "A key for one program, with limits of its own."),
        form_id: "key_01".into(),
        fields: fields(),
        links: Vec::new(),
    };
    push(out, "key_new", &new)?;
    let give = keys::New {
        shell: shell_of("Give a key", "A link that shows a new key once, to somebody without an account."),
        links: links(),
        ..new
    };
    push(out, "key_give", &give)?;
    let edit = keys::Edit {
        shell: shell_of("Edit “Blog plugin”", ""),
        id: "key_01".into(),
        seen: "1".into(),
        fields: fields(),
    };
    push(out, "key_edit", &edit)?;
    let key = "sk-fb-v1-SAMPLE000000000000000000000000000000000000000000000000000000wxyz";
    let issued = keys::Issued {
        shell: shell_of("Your new key", "Copy it now: it is not shown again."),
        key: key.into(),
        name: "Blog plugin".into(),
        limits: vec!["$1.00 each day".into(), "$20.00 each month".into()],
        expires: "Never".into(),
        old_until: "The old key works until 23 Nov 2026, 14:03 UTC.".into(),
        done_href: "/keys/key_01".into(),
        base_url: "https://ai.northwind.example/api/v1".into(),
        snippets: snippets(key),
    };
    push(out, "key_issued", &issued)?;
    let given = keys::Given {
        shell: shell_of("The link to the key", "It works once. Copy it now: it is not shown again."),
        link: "https://ai.northwind.example/claim?token=SAMPLE0000000000000000000000000000000000000000000000000000"
            .into(),
        name: "For Noor".into(),
        limits: vec!["$1.00 each day".into()],
        until: "29 Nov 2026, 14:03 UTC".into(),
        key_href: "/keys/key_01".into(),
    };
    push(out, "key_given", &given)?;
    let show = keys::Show {
        shell: shell_of("Blog plugin", ""),
        id: "key_01".into(),
        masked: "sk-fb-v1-ab12…wxyz".into(),
        state: Badge::new("good", "check", "Active"),
        enabled: true,
        activity_href: "/activity?key=key_01".into(),
        limits: bars(),
        today: usd("$0.61"),
        week: usd("$4.10"),
        month: usd("$18.22"),
        total: usd("$61.90"),
        own: Some(keys::OwnSpent { today: usd("$0"), week: usd("$1.20"), month: usd("$6.31"), total: usd("$9.04") }),
        facts: facts(),
        claim: None,
        base_url: "https://ai.northwind.example/api/v1".into(),
        snippets: snippets("YOUR_KEY"),
        links: links(),
    };
    push(out, "key_show", &show)?;
    let claim = keys::ClaimState { open: true, text: "Its link works once, until 29 Nov 2026, 14:03 UTC.".into() };
    push(out, "key_unclaimed", &keys::Show { claim: Some(claim), limits: Vec::new(), ..show })?;
    changes(theme, out)?;
    strangers(theme, snippets, out)
}

fn lists(theme: &str, out: &mut Vec<Sample>) -> askama::Result<()> {
    let active = || Badge::new("good", "check", "Active");
    let row = |name: &str, meter: Option<Meter>, state: Badge, enabled: bool| keys::KeyRow {
        id: format!("key_{}", name.len()),
        name: name.into(),
        masked: "sk-fb-v1-ab12…wxyz".into(),
        href: "/keys/key_01".into(),
        activity_href: "/activity?key=key_01".into(),
        meter,
        used: Amount::new("$18.22", "$18.220411000000"),
        own: (!enabled).then(|| usd("$9.04")),
        last_used: enabled.then(|| when("2 min ago")),
        idle: !enabled,
        maker: "Ada Martin".into(),
        state,
        enabled,
        ..keys::KeyRow::default()
    };
    let about = "What programs show to spend your credits. Each key stops at its own limits.";
    let index = keys::Index {
        shell: shell(theme, "keys", "Keys", about),
        keys: vec![
            keys::KeyRow {
                more_limits: "and another limit".into(),
                ..row(
                    "Blog plugin",
                    Some(meter("$1.24", "$10.00", 12, "Starts again 1 Dec, 00:00 UTC")),
                    active(),
                    true,
                )
            },
            row("Nightly batch", Some(meter("$4.61", "$5.00", 92, "Starts again Monday, 00:00 UTC")), active(), true),
            row("Laptop", None, active(), true),
            keys::KeyRow {
                masked: String::new(),
                unclaimed: true,
                ..row("Demo for Noor", Some(meter("$0", "$2.00", 0, "")), Badge::new("", "ticket", "Not claimed"), true)
            },
            row("Old importer", Some(meter("$0.08", "$20.00", 0, "")), Badge::new("", "ban", "Disabled"), false),
        ],
        any_keys: true,
        shows: choices(&[("", "All keys"), ("idle", "Idle for 90 days")]),
        sorts: choices(&[("", "Newest first"), ("name", "By name")]),
        pager: Pager { note: "5 keys".into(), ..Pager::default() },
        may_stop_all: true,
        ..keys::Index::default()
    };
    push(out, "keys", &index)?;
    let none = keys::Index { keys: Vec::new(), search: "robot".into(), filtered: true, ..index };
    push(out, "keys_none", &none)?;
    push(out, "keys_empty", &keys::Index { shell: shell(theme, "keys", "Keys", about), ..Default::default() })
}

fn changes(theme: &str, out: &mut Vec<Sample>) -> askama::Result<()> {
    let shell_of = |title: &str| shell(theme, "keys", title, "");
    let rotate = keys::Rotate {
        shell: shell_of("Rotate “Blog plugin”"),
        href: "/keys/key_01".into(),
        seen: "1".into(),
        masked: "sk-fb-v1-ab12…wxyz".into(),
        last_used: Some(when("2 min ago")),
        warning: "The key before this one still works until 23 Nov 2026, 14:03 UTC.".into(),
        graces: choices(&[("24", "A day"), ("0", "Not at all")]),
    };
    push(out, "key_rotate", &rotate)?;
    let delete = keys::ConfirmDelete {
        shell: shell_of("Delete “Blog plugin”"),
        id: "key_01".into(),
        name: "Blog plugin".into(),
        masked: "sk-fb-v1-ab12…wxyz".into(),
        used: Amount::new("$18.22", "$18.220411000000"),
        last_used: Some(when("2 min ago")),
        enabled: true,
    };
    push(out, "key_delete", &delete)?;
    let link = |id: &str, name: &str| Link { href: id.into(), label: name.into(), current: false };
    let several = keys::Several {
        shell: shell_of("Delete 2 keys"),
        keys: vec![link("key_01", "Blog plugin"), link("key_02", "Laptop")],
        delete: true,
        ..keys::Several::default()
    };
    push(out, "keys_delete", &several)?;
    push(out, "keys_limits", &keys::Several { shell: shell_of("Set limits"), delete: false, ..several })?;
    let stop = keys::Stop { shell: shell_of("Stop all keys"), keys: "12 keys".into(), stopped: None };
    push(out, "keys_stop", &stop)?;
    let stopped = Some("All keys were stopped on 22 Nov 2026, 14:03 UTC.".into());
    push(out, "keys_stopped", &keys::Stop { shell: shell_of("All keys are stopped"), stopped, ..stop })
}

fn strangers(theme: &str, snippets: &dyn Fn(&str) -> Snippets, out: &mut Vec<Sample>) -> askama::Result<()> {
    let claim = holders::Claim {
        page: public(theme, "A key for you"),
        token: "SAMPLE".into(),
        org_name: "Northwind Studio".into(),
        maker: "Ada Martin".into(),
        name: "For Noor".into(),
        limits: vec!["$1.00 each day".into(), "$20.00 each month".into()],
        expires: "Never".into(),
        until: "29 Nov 2026, 14:03 UTC".into(),
    };
    push(out, "claim", &claim)?;
    let key = "sk-fb-v1-SAMPLE000000000000000000000000000000000000000000000000000000wxyz";
    let claimed = holders::Claimed {
        page: public(theme, "Your key"),
        key: key.into(),
        org_name: "Northwind Studio".into(),
        name: "For Noor".into(),
        limits: vec!["$1.00 each day".into()],
        expires: "Never".into(),
        base_url: "https://ai.northwind.example/api/v1".into(),
        snippets: snippets(key),
    };
    push(out, "claimed", &claimed)?;
    let over = holders::LinkOver {
        page: public(theme, "This link was used"),
        text: "Its key was shown on 22 Nov 2026, 14:03 UTC, once.".into(),
        href: "/key".into(),
        label: "Look up a key that you have".into(),
    };
    push(out, "link_over", &over)?;
    let open = holders::Open {
        page: public(theme, "Look up a key"),
        key: Field::wrong("", "There is no such key. Check that you pasted all of it."),
    };
    push(out, "holder_open", &open)?;
    let call = holders::HeldCall {
        time: when("2 min ago"),
        model: "openai/gpt-5-mini".into(),
        app: "LobeChat".into(),
        tokens_in: "1,204".into(),
        tokens_out: "310".into(),
        cost: usd("$0.000123"),
        status: Badge::new("good", "circle-check", "Success"),
    };
    let held = holders::Holder {
        page: public(theme, "For Noor"),
        name: "For Noor".into(),
        masked: "sk-fb-v1-ab12…wxyz".into(),
        org_name: "Northwind Studio".into(),
        state: Badge::new("good", "check", "Active"),
        refused: "All keys of the organization are stopped at the moment. Calls are refused.".into(),
        limits: bars(),
        today: usd("$0.61"),
        week: usd("$4.10"),
        month: usd("$18.22"),
        total: usd("$61.90"),
        calls_note: "2 calls".into(),
        facts: facts(),
        calls: vec![call.clone(), call],
        pager: Pager::default(),
        base_url: "https://ai.northwind.example/api/v1".into(),
        snippets: snippets("YOUR_KEY"),
    };
    push(out, "holder", &held)?;
    let alarm = holders::Alarm {
        page: public(theme, "Stop a key"),
        token: "SAMPLE".into(),
        key_name: "Nightly batch".into(),
        masked: "sk-fb-v1-ab12…wxyz".into(),
        org_name: "Northwind Studio".into(),
        hour: "22 Nov 2026, 14:00 UTC".into(),
        spent: usd("$61.20"),
        usual: usd("$1.10"),
        disabled: false,
    };
    push(out, "alarm", &alarm)
}
