//! Samples of the pages of codes, billing details and receipts.

use super::samples::{Sample, push, shell};
use super::{Field, codes};

pub fn push_all(theme: &str, out: &mut Vec<Sample>) -> askama::Result<()> {
    let redeem = codes::Redeem {
        shell: shell(theme, "credits", "Redeem a code", "Its credits go to Northwind Studio."),
        form_id: "rdm_01".into(),
        code: Field::default(),
    };
    push(out, "redeem", &redeem)?;
    let typo = "There is a typing mistake in this code. Compare it with where you have it from.";
    let code = Field::wrong("FARE-8K2D-0000-0000-0000-0000", typo);
    push(out, "redeem_typo", &codes::Redeem { code, ..redeem })
}
