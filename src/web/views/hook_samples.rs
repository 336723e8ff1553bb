//! Pages of notifications and webhooks with plausible content.

use super::hooks as views;
use super::notices;
use super::samples::{Sample, public, push, shell, when};
use super::{Badge, Choice, Field, Pager};

pub(super) fn push_all(theme: &str, out: &mut Vec<Sample>) -> askama::Result<()> {
    push(out, "notifications", &form(theme))?;
    let theirs = notices::Form {
        whose: "Grace Hopper".into(),
        always: Vec::new(),
        may_people: false,
        may_webhooks: false,
        may_change: false,
        action: "/settings/notifications/usr_1".into(),
        ..form(theme)
    };
    push(out, "notifications_of", &theirs)?;
    let none = notices::Form { topics: Vec::new(), ..form(theme) };
    push(out, "notifications_none", &none)?;
    push(out, "notifications_people", &people(theme))?;
    let nobody = notices::People { rows: Vec::new(), search: Field::of("zzz"), ..people(theme) };
    push(out, "notifications_nobody", &nobody)?;
    let off = notices::Off {
        page: public(theme, "Stop these mails"),
        token: "SAMPLE".into(),
        label: "Refunds and disputes".into(),
        note: "A payment went back or could not, its bank contests it, or has decided.".into(),
        org_name: "Northwind Studio".into(),
        email: "a…@northwind.example".into(),
    };
    push(out, "notifications_off", &off)?;
    push(out, "webhooks", &index(theme))?;
    push(out, "webhooks_empty", &views::Index { rows: Vec::new(), full: false, ..index(theme) })?;
    push(out, "webhook_new", &hook_form(theme, "whk_1"))?;
    let wrong = views::Form {
        url: Field::wrong("http://10.0.0.1/", "This address is not taken: only https addresses are called."),
        events_error: "Choose at least one event, or all of them.".into(),
        error: "An organization has 10 addresses at most. Delete one first.".into(),
        ..hook_form(theme, "")
    };
    push(out, "webhook_wrong", &wrong)?;
    push(out, "webhook_secret", &secret(theme))?;
    push(out, "webhook", &show(theme))?;
    let off = views::Show {
        on: false,
        state: Badge::new("bad", "octagon-x", "Switched off"),
        state_note: "It took no message for five days. What waits is sent once it is switched on again.".into(),
        messages: Vec::new(),
        events: Vec::new(),
        old_until: String::new(),
        ..show(theme)
    };
    push(out, "webhook_off", &off)?;
    push(out, "webhook_message", &page(theme))?;
    push(out, "webhook_message_new", &views::MessagePage { tries: Vec::new(), ..page(theme) })?;
    let delete = views::Delete {
        shell: shell(theme, "webhooks", "Delete “Billing”", ""),
        href: "/settings/webhooks/whk_1".into(),
        url: URL.into(),
        waiting: "3".into(),
        on: true,
    };
    push(out, "webhook_delete", &delete)
}

const URL: &str = "https://hooks.northwind.example/farebox/5f0e9b7c2a4d41c0a1f3c8e6d7b2a9f4/production";

fn form(theme: &str) -> notices::Form {
    let topic = |code: &str, label: &str, own: bool| notices::Topic {
        code: code.into(),
        label: label.into(),
        note: "Credits fell below the amount of the alert; once for each time.".into(),
        choices: [
            Some(Choice::new("no", "No", "", false)),
            own.then(|| Choice::new("own", "Own", "Keys that one made, and one’s own cap", false)),
            Some(Choice::new("all", "Everybody’s", "All keys and members", true)),
        ]
        .into_iter()
        .flatten()
        .collect(),
        more: if own { String::new() } else { "Set the amount".into() },
        more_href: "/settings/balance".into(),
    };
    notices::Form {
        shell: shell(theme, "notifications", "Notifications", "Which mails you get, and which are always sent."),
        action: "/settings/notifications".into(),
        whose: String::new(),
        role: "owner".into(),
        email: "ada@northwind.example".into(),
        org: "Northwind Studio".into(),
        topics: vec![
            topic("low_balance", "Low balance", false),
            topic("limit", "Limit at 80 and 100%", true),
            topic("weekly_summary", "Weekly summary", false),
        ],
        always: vec![notices::Always {
            label: "Security of your account".into(),
            note: "A new sign-in, a new password, two-factor sign-in, passkeys.".into(),
            reason: "If it was not you, this mail is how you hear of it.".into(),
        }],
        may_people: true,
        may_webhooks: true,
        may_change: true,
    }
}

fn people(theme: &str) -> notices::People {
    let person = |name: &str, role: &str, gets: &[&str]| notices::Person {
        href: "/settings/notifications/usr_1".into(),
        name: name.into(),
        email: format!("{}@northwind.example", name.to_lowercase().replace(' ', ".")),
        role: role.into(),
        gets: gets.iter().map(|one| (*one).to_owned()).collect(),
    };
    notices::People {
        shell: shell(theme, "notifications", "Everybody’s mails", "Who gets which mail about this organization."),
        search: Field::default(),
        rows: vec![
            person(
                "Ada Martin",
                "Owner",
                &["Low balance", "Auto top-up", "Limit at 80 and 100%: own", "Weekly summary"],
            ),
            person("Maximiliane Featherstonehaugh-Cholmondeley", "Billing", &["Low balance"]),
            person("Grace Hopper", "Member", &[]),
        ],
        pager: Pager {
            older_href: Some("/settings/notifications/people?after=usr_1".into()),
            by_name: true,
            ..Pager::default()
        },
    }
}

fn index(theme: &str) -> views::Index {
    let row = |name: &str, state| views::Row {
        href: "/settings/webhooks/whk_1".into(),
        name: name.into(),
        url: URL.into(),
        events: "3 events".into(),
        waiting: "2".into(),
        dead: "0".into(),
        last_taken: Some(when("3 min ago")),
        state,
    };
    let mut never =
        row("Alarms of the night shift in the second office", Badge::new("warn", "triangle-alert", "Failing"));
    never.last_taken = None;
    views::Index {
        shell: shell(theme, "webhooks", "Webhooks", "Addresses of yours that are told what happens here."),
        rows: vec![row("Billing", Badge::new("good", "circle-check", "On")), never],
        full: true,
        most: "10".into(),
    }
}

fn hook_form(theme: &str, id: &str) -> views::Form {
    views::Form {
        shell: shell(theme, "webhooks", "Add a webhook", "An address of yours that is told what happens here."),
        action: "/settings/webhooks".into(),
        back_href: "/settings/webhooks".into(),
        id: id.into(),
        url: Field::of(URL),
        description: Field::of("Billing"),
        which: vec![
            Choice::new("all", "Everything", "Also what later versions tell", true),
            Choice::new("some", "Chosen events", "Those that are ticked below", false),
        ],
        events: vec![
            Choice::new("credits.low", "Low balance", "Credits fell below the amount of the alert.", true),
            Choice::new("member.new_sign_in", "New sign-in", "A member signed in from a new browser.", false),
        ],
        events_error: String::new(),
        error: String::new(),
    }
}

fn secret(theme: &str) -> views::Shown {
    views::Shown {
        shell: shell(theme, "webhooks", "The secret", "Copy it now: it is not shown again."),
        secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAAAAAAAAAAA=".into(),
        url: URL.into(),
        old: "The old secret signs too until 28 Nov 2026, 10:00 UTC.".into(),
        done_href: "/settings/webhooks/whk_1".into(),
    }
}

fn message(state: Badge) -> views::Message {
    views::Message {
        href: "/settings/webhooks/deliveries/dlv_1".into(),
        again_href: "/settings/webhooks/deliveries/dlv_1/again".into(),
        kind: "auto_topup.confirm".into(),
        made: when("3 min ago"),
        attempts: "4".into(),
        status: "503".into(),
        error: "It answers 503, not 2xx.".into(),
        state,
        last: Some(when("3 min ago")),
        next: Some(when("27 Nov, 10:20")),
        may_again: true,
    }
}

fn show(theme: &str) -> views::Show {
    let mut taken = message(Badge::new("good", "circle-check", "Taken"));
    (taken.status, taken.error, taken.next) = ("204".into(), String::new(), None);
    views::Show {
        shell: shell(theme, "webhooks", "Billing", "An address of yours that is told what happens here."),
        href: "/settings/webhooks/whk_1".into(),
        url: URL.into(),
        on: true,
        state: Badge::new("warn", "triangle-alert", "Failing"),
        state_note: String::new(),
        events: vec!["Low balance".into(), "New sign-in".into()],
        made: when("22 Nov, 14:03"),
        made_by: "Grace Hopper".into(),
        failing_since: Some(when("2 h ago")),
        old_until: "The secret before this one signs too until 28 Nov 2026, 10:00 UTC.".into(),
        seen: "1".into(),
        graces: vec![Choice::new("0", "Not at all", "", false), Choice::new("24", "A day", "", true)],
        messages: vec![message(Badge::new("warn", "clock", "Not taken yet")), taken],
        pager: Pager { older_href: Some("/settings/webhooks/whk_1?before=dlv_1".into()), ..Pager::default() },
    }
}

fn page(theme: &str) -> views::MessagePage {
    views::MessagePage {
        shell: shell(theme, "webhooks", "A message", "What was sent, and what was answered."),
        back_href: "/settings/webhooks/whk_1".into(),
        message: message(Badge::new("warn", "clock", "Not taken yet")),
        id: "msg_01936b2c7f3e7c0a9d1e5b8f4a2c6d90".into(),
        body: "{\n  \"id\": \"msg_01936b2c7f3e7c0a9d1e5b8f4a2c6d90\",\n  \"type\": \"credits.low\",\n  \"data\": { \"organization\": \"org_01936b2c7f3e7c0a9d1e5b8f4a2c6d90\", \"balance\": \"4.2\" }\n}".into(),
        tries: vec![
            views::Try {
                number: "2".into(),
                at: when("3 min ago"),
                took: "15000 ms".into(),
                status: "–".into(),
                error: "Nothing was answered within 15 seconds.".into(),
                excerpt: String::new(),
            },
            views::Try {
                number: "1".into(),
                at: when("5 min ago"),
                took: "120 ms".into(),
                status: "503".into(),
                error: "It answers 503, not 2xx.".into(),
                excerpt: "upstream connect error or disconnect/reset before headers. reset reason: connection_failure_and_a_very_long_word_without_any_break_in_it".into(),
            },
        ],
    }
}
