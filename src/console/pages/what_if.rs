//! The figures of what calls would have cost by other prices.

use crate::base::Usd;
use crate::console::margin::whole;
use crate::console::what_if::{Compared, LEFT_OUT};
use crate::web::present::amount;
use crate::web::views::blocks::{Figure, Figures};

/// Both sides, their difference, and what providers charge for the same tokens where a list says so.
#[must_use]
pub fn figures(title: String, compared: &Compared, charged: Option<Usd>) -> Figures {
    let mut figures = vec![
        Figure::amount("By today’s prices", amount(compared.now), ""),
        Figure::amount("By these prices", amount(compared.then), ""),
        Figure::amount("Difference", amount(compared.difference()), ""),
    ];
    if let Some(charged) = charged {
        figures.push(Figure::amount("Providers charge", amount(charged), ""));
        figures.push(Figure::amount("Margin by these prices", amount(compared.then - charged), ""));
    }
    figures.push(Figure::amount("Really paid", amount(compared.paid), "").note("with everything, in neither side"));
    let counted = format!(
        "Over {} tokens in, {} of them cached, and {} out.",
        whole(compared.prompt_tokens),
        whole(compared.cached_tokens),
        whole(compared.completion_tokens)
    );
    Figures { id: "preview", title, figures, note: format!("{counted} {LEFT_OUT}") }
}
