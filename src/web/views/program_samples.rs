//! Samples of the pages about programs: provisioning keys, and connecting an app.

use super::common::{Badge, Choice, Fact, Field};
use super::samples::{Sample, meter, push, rounded, shell, when};
use super::{connect, keys, provisioning};

pub(super) fn push_all(theme: &str, out: &mut Vec<Sample>) -> askama::Result<()> {
    let shell_of = |title: &str, text: &str| shell(theme, "provisioning", title, text);
    let row = |name: &str, issued: &str, state: Badge| provisioning::Row {
        href: "/settings/provisioning/key_01".into(),
        activity_href: "/activity?key=key_01".into(),
        name: name.into(),
        masked: "sk-fb-v1-ab12…wxyz".into(),
        may: "manage keys".into(),
        issued: issued.into(),
        meter: Some(meter("$1.24", "$10.00", 12, "Starts again 1 Dec, 00:00 UTC")),
        used: rounded("$18.22", "$18.220411000000"),
        last_used: Some(when("2 min ago")),
        expires: None,
        state,
        maker: "Ada Martin".into(),
    };
    let (active, disabled) = (|| Badge::new("good", "check", "Active"), || Badge::new("", "ban", "Disabled"));
    let index = provisioning::Index {
        shell: shell_of("Provisioning keys", "What programs show to make and stop keys."),
        keys: vec![row("Workshop", "24", active()), row("Sign-up bot", "1", disabled())],
        ..Default::default()
    };
    push(out, "provisioning", &index)?;
    let empty = provisioning::Index { shell: shell_of("Provisioning keys", ""), ..Default::default() };
    push(out, "provisioning_empty", &empty)?;
    let fields = keys::KeyFields {
        name: Field::of("Workshop"),
        day: Field::wrong("ten", "This is not an amount of dollars; write it like 12.50."),
        expiries: vec![Choice::new("90d", "In 90 days", "", true)],
        zone: "Europe/Berlin".into(),
        networks: Field::wrong("300.1.1.1", "“300.1.1.1” is not an address or a network."),
        byok: true,
        advanced: true,
        ..Default::default()
    };
    let new = provisioning::New {
        shell: shell_of("Create a provisioning key", "For a program that makes keys for others."),
        form_id: "key_01".into(),
        powers_error: "Tick at least one of the two. No key was made.".into(),
        fields: fields.clone(),
        ..Default::default()
    };
    push(out, "provisioning_new", &new)?;
    let edit = provisioning::Edit {
        shell: shell_of("Edit “Workshop”", ""),
        href: "/settings/provisioning/key_01".into(),
        seen: "1".into(),
        fields,
    };
    push(out, "provisioning_edit", &edit)?;
    let rotate = keys::Rotate {
        shell: shell_of("Rotate “Workshop”", ""),
        href: "/settings/provisioning/key_01".into(),
        seen: "1".into(),
        masked: "sk-fb-v1-ab12…wxyz".into(),
        last_used: Some(when("2 min ago")),
        warning: "Whoever made this key is no owner or admin any more.".into(),
        graces: vec![Choice::new("24", "A day", "", true)],
    };
    push(out, "provisioning_rotate", &rotate)?;
    let issued = provisioning::Issued {
        shell: shell_of("Your new provisioning key", "Copy it now: it is not shown again."),
        key: "sk-fb-v1-SAMPLE00000000000000000000000000000000000000000000000000000000wxyz".into(),
        name: "Workshop".into(),
        limit: "$1.00 each day, $20.00 each month".into(),
        expires: "24 Feb 2027, 14:03:07 UTC".into(),
        old_until: "The old key works until 23 Nov 2026, 14:03 UTC.".into(),
        href: "/settings/provisioning/key_01".into(),
        base_url: "https://ai.northwind.example/api/v1".into(),
    };
    push(out, "provisioning_issued", &issued)?;
    let fact = |label: &str, value: &str, mono: bool| Fact { label: label.into(), value: value.into(), mono };
    let show = provisioning::Show {
        shell: shell_of("Workshop", "What it may do, and what the keys that it issued have spent."),
        row: row("Workshop", "2", active()),
        orphan: true,
        facts: vec![fact("Key", "sk-fb-v1-ab12…wxyz", true), fact("It may", "manage keys", false)],
        limits: vec![("each day", meter("$0.24", "$1.00", 24, "")), ("each month", meter("$18.22", "$20.00", 91, ""))],
        enabled: true,
        issued: vec![row("Noor", "", active()), row("Jo", "", disabled())],
        ..Default::default()
    };
    push(out, "provisioning_show", &show)?;
    let unused = provisioning::Show { issued: Vec::new(), limits: Vec::new(), enabled: false, ..show };
    push(out, "provisioning_unused", &unused)?;
    let delete = provisioning::ConfirmDelete {
        shell: shell_of("Delete “Workshop”", ""),
        href: "/settings/provisioning/key_01".into(),
        name: "Workshop".into(),
        masked: "sk-fb-v1-ab12…wxyz".into(),
        issued: 24,
        used: rounded("$18.22", "$18.220411000000"),
        enabled: true,
    };
    push(out, "provisioning_delete", &delete)?;
    connecting(theme, out)
}

fn connecting(theme: &str, out: &mut Vec<Sample>) -> askama::Result<()> {
    let shell_of = |title: &str, text: &str| shell(theme, "keys", title, text);
    let consent = connect::Consent {
        shell: shell_of("Connect editor.example", "It gets a key of its own, up to the limit that you set here."),
        app: "editor.example".into(),
        org_name: "Northwind Studio".into(),
        callback: "https://editor.example/callback".into(),
        challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".into(),
        method: "S256".into(),
        form_id: "aut_01".into(),
        name: Field::of("editor.example"),
        limit: Field::wrong("-1", "A limit is more than nothing, such as 10 or 2.50. Leave it blank for none."),
        resets: vec![Choice::new("never", "Never", "One budget in all", true)],
        expiries: vec![Choice::new("90d", "In 90 days", "", true)],
        ..Default::default()
    };
    push(out, "connect", &consent)?;
    push(out, "connect_local", &connect::Consent { local: true, app: "localhost:3000".into(), ..consent.clone() })?;
    push(out, "connect_headless", &connect::Consent { shows_code: true, callback: String::new(), ..consent })?;
    let code = connect::Code {
        shell: shell_of("Your code", "Type or paste it into the program that asked for it."),
        code: "0123456789abcdef".repeat(4),
        minutes: 10,
    };
    push(out, "connect_code", &code)
}
