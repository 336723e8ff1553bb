//! Samples of the pages about what happens by itself when credits are low.

use super::samples::{Sample, push, shell, usd, when};
use super::topup_rules::{Alert, AttemptRow, Auto, AutoEdit, Caps};
use super::{Badge, Choice, Field, Pager};

pub(super) fn push_all(theme: &str, out: &mut Vec<Sample>) -> askama::Result<()> {
    auto(theme, out)?;
    auto_edit(theme, out)?;
    alert(theme, out)
}

fn attempt(time: &str, state: Badge, reason: &str, paid: bool) -> AttemptRow {
    AttemptRow {
        time: when(time),
        credits: usd("$50.00"),
        method: "Visa ending in 4242".into(),
        state,
        reason: reason.into(),
        href: paid.then(|| "/credits/topups/top_01".into()),
    }
}

fn auto(theme: &str, out: &mut Vec<Sample>) -> askama::Result<()> {
    let on = Auto {
        shell: shell(theme, "credits", "Auto top-up", "Buys credits by itself before they are used up."),
        state: Badge::new("good", "circle-check", "On"),
        sentence: "When credits fall below $10.00, buy $50.00 with Visa ending in 4242.".into(),
        is_on: true,
        caps: Some(Caps {
            today: usd("$52.75"),
            day: usd("$200.00"),
            this_month: usd("$422.00"),
            month: usd("$1,000.00"),
        }),
        attempts: vec![
            attempt("4 min ago", Badge::new("warn", "clock", "To confirm"), "The bank asks for a confirmation.", true),
            attempt("3 h ago", Badge::new("good", "circle-check", "Paid"), "", true),
            attempt("2 days ago", Badge::new("bad", "circle-x", "Failed"), "Your card was declined.", true),
            attempt(
                "3 days ago",
                Badge::new("warn", "ban", "Not charged"),
                "The cap of $200.00 a day is reached.",
                false,
            ),
        ],
        pager: Pager { older_href: Some("/credits/auto?before=top_00".into()), ..Pager::default() },
        ..Auto::default()
    };
    push(out, "auto_topup", &on)?;
    let stopped = "It was switched off after 3 failed charges in a row. The last one: Your card was declined.";
    let off = Auto { state: Badge::new("", "ban", "Off"), stopped: stopped.into(), is_on: false, ..on.clone() };
    push(out, "auto_topup_stopped", &off)?;
    let new = Auto {
        shell: on.shell,
        state: off.state,
        missing: "There is no saved payment method yet.".into(),
        may_save_method: true,
        ..Auto::default()
    };
    push(out, "auto_topup_new", &new)
}

fn auto_edit(theme: &str, out: &mut Vec<Sample>) -> askama::Result<()> {
    let edit = AutoEdit {
        shell: shell(theme, "credits", "Set auto top-up", "When it buys, how much, with what, and how much at most."),
        below: Field::of("10.00"),
        credits: Field::of("50.00"),
        methods: vec![
            Choice::new("pay_01", "Visa ending in 4242", "expires 12/34", true),
            Choice::new("pay_02", "STRIPE TEST BANK ending in 6789", "The credits arrive in about four days.", false),
        ],
        cap_day: Field::of("200.00"),
        cap_month: Field::of("1,000.00"),
        range: "Between $5 and $25,000. The fee is added: 5.5%, at least $0.80.".into(),
        ..AutoEdit::default()
    };
    push(out, "auto_topup_edit", &edit)?;
    let wrong = AutoEdit {
        at_once: true,
        is_on: true,
        below: Field::wrong("0.50", "At least $1.00."),
        method_error: "This payment method cannot be charged here any more. Choose another one.".into(),
        cap_day: Field::wrong("20", "At least $52.75, which is what one purchase costs with its fee."),
        cap_month: Field::wrong("10", "At least as much as the cap of a day."),
        ..edit
    };
    push(out, "auto_topup_edit_wrong", &wrong)
}

fn alert(theme: &str, out: &mut Vec<Sample>) -> askama::Result<()> {
    let alert = Alert {
        shell: shell(theme, "balance", "Low-balance alert", "A mail before the credits are used up."),
        enabled: true,
        below: Field::of("5.00"),
        owners: true,
        billing: true,
        more: Field::of("billing@northwind.example"),
        is_team: true,
        balance: usd("$112.40"),
        lasts: "Lasts about 36 days at this pace".into(),
        ..Alert::default()
    };
    push(out, "balance_alert", &alert)?;
    let wrong = Alert {
        owners: false,
        billing: false,
        is_team: false,
        below: Field::wrong("0", "The amount must be above zero, in whole cents."),
        more: Field::wrong("ada", "“ada” is not an e-mail address; write it like name@example.com."),
        readers_error: "Choose at least one reader, or switch the alert off.".into(),
        lasts: String::new(),
        ..alert
    };
    push(out, "balance_alert_wrong", &wrong)
}
