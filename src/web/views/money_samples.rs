//! Samples of the pages of codes, billing details and receipts.

use super::samples::{Sample, push, shell, usd};
use super::{Badge, Choice, Fact, Field, billing, codes};

pub fn push_all(theme: &str, out: &mut Vec<Sample>) -> askama::Result<()> {
    let redeem = codes::Redeem {
        shell: shell(theme, "credits", "Redeem a code", "Its credits go to Northwind Studio."),
        form_id: "rdm_01".into(),
        code: Field::default(),
    };
    push(out, "redeem", &redeem)?;
    let typo = "There is a typing mistake in this code. Compare it with where you have it from.";
    let code = Field::wrong("FARE-8K2D-0000-0000-0000-0000", typo);
    push(out, "redeem_typo", &codes::Redeem { code, ..redeem })?;
    billing_pages(theme, out)
}

fn billing_pages(theme: &str, out: &mut Vec<Sample>) -> askama::Result<()> {
    let details = billing::Details {
        shell: shell(
            theme,
            "credits",
            "Billing details",
            "What stands on the receipts of Northwind Studio from now on.",
        ),
        name: Field::of("Northwind Studio GmbH"),
        address: Field::of("Speicherstraße 12\n20457 Hamburg"),
        countries: vec![Choice::new("", "Not said", "", false), Choice::new("DE", "Germany", "", true)],
        tax_id: Field::of("DE123456789"),
        email: Field::of("bills@northwind.example"),
        ..Default::default()
    };
    push(out, "billing", &details)?;
    let wrong = billing::Details {
        address: Field::wrong("", "An address has at most 6 lines of 100 characters."),
        country_error: "Choose a country of the list.".into(),
        ..details
    };
    push(out, "billing_wrong", &wrong)?;
    receipts(theme, out)
}

fn receipts(theme: &str, out: &mut Vec<Sample>) -> askama::Result<()> {
    let fact = |label: &str, value: &str, mono| Fact { label: label.into(), value: value.into(), mono };
    let item = |what: &str, amount: &str, is_sum| billing::Item { what: what.into(), amount: usd(amount), is_sum };
    let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    let receipt = billing::Receipt {
        shell: shell(theme, "credits", "Receipt", "For your records."),
        number: "R-000117".into(),
        state: Badge::new("good", "circle-check", "Paid"),
        seller: lines(&["Analytical Engines Ltd", "12 St James’s Square", "London", "Tax id GB123456789"]),
        buyer: lines(&["Northwind Studio GmbH", "Speicherstraße 12", "20457 Hamburg", "Germany", "Tax id DE123456789"]),
        facts: vec![
            fact("Receipt", "R-000117", true),
            fact("Paid on", "19 Nov 2026, 14:03 UTC", false),
            fact("Paid with", "Card", false),
            fact("Paid by", "Ada Martin", false),
            fact("Payment", "top_01890000000070008000000000000001", true),
        ],
        items: vec![
            item("Prepaid credits", "$100.00", false),
            item("Fee", "$5.50", false),
            item("Total paid, in US dollars", "$105.50", true),
            item("Refunded on 20 Nov 2026, on its way", "−$20.00", false),
            item("Left of the payment", "$85.50", true),
        ],
        note: String::new(),
        pdf_href: Some("/credits/topups/top_01/receipt.pdf".into()),
    };
    push(out, "receipt", &receipt)?;
    let note = "Sandbox payment. No money moved.".into();
    push(out, "receipt_sandbox", &billing::Receipt { note, pdf_href: None, ..receipt })
}
