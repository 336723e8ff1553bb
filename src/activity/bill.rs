//! What a call was charged, line by line. Whoever shows it, to its organization or to an auditor, shows these lines.

use rust_decimal::Decimal;

use super::detail::{Detail, PriceLine};
use crate::base::Usd;
use crate::catalog::CostLine;

/// A line of the bill of a call. All of them together are what the organization was charged, to the last digit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BillLine {
    Priced(CostLine),
    /// What the counts do not explain; see [`PriceLine::Other`].
    Other(Usd),
    /// What the provider bills to the organization's own account there, and nobody here is charged.
    OwnAccount(Usd),
    /// What is charged in its place: a part, `rate`, of what was `above` the allowance that is `free`.
    OwnFee {
        above: Usd,
        free: Usd,
        rate: Decimal,
        fee: Usd,
    },
    /// For letting the texts of calls be kept.
    Discount(Usd),
    /// What it cost above its hold, which the operator bears.
    Borne(Usd),
}

impl BillLine {
    /// With its sign: what is taken off is below zero.
    #[must_use]
    pub fn amount(&self) -> Usd {
        match self {
            BillLine::Priced(line) => line.amount,
            BillLine::Other(amount) => *amount,
            BillLine::OwnFee { fee, .. } => *fee,
            BillLine::OwnAccount(off) | BillLine::Discount(off) | BillLine::Borne(off) => -*off,
        }
    }
}

impl Detail {
    /// The lines of its bill, in their order; none where it cost nothing anywhere.
    #[must_use]
    pub fn bill(&self) -> Vec<BillLine> {
        let extra = &self.extra;
        let charged = self.cost + self.overrun + extra.discount;
        let mut lines: Vec<BillLine> = match &self.price {
            Some(price) => price.lines.iter().map(BillLine::of).collect(),
            None if extra.is_byok => vec![BillLine::Other(extra.upstream_cost)],
            None => vec![BillLine::Other(charged)],
        };
        lines.retain(|line| !matches!(line, BillLine::Other(amount) if amount.is_zero()));
        if extra.is_byok && !extra.upstream_cost.is_zero() {
            lines.push(BillLine::OwnAccount(extra.upstream_cost));
            lines.push(BillLine::OwnFee {
                above: extra.upstream_cost - extra.byok_free,
                free: extra.byok_free,
                rate: extra.byok_rate,
                fee: charged,
            });
        }
        if extra.discount.is_positive() {
            lines.push(BillLine::Discount(extra.discount));
        }
        if self.overrun.is_positive() {
            lines.push(BillLine::Borne(self.overrun));
        }
        lines
    }
}

impl BillLine {
    fn of(line: &PriceLine) -> BillLine {
        match line {
            PriceLine::Priced(line) => BillLine::Priced(line.clone()),
            PriceLine::Other(amount) => BillLine::Other(*amount),
        }
    }
}
