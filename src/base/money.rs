//! One amount type. A credit is a US dollar; amounts are exact decimals, never floats.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

/// Before what is shown below zero: as wide as a figure, and not taken for a hyphen.
const MINUS: &str = "\u{2212}";

/// Digits after the point that the books keep: `numeric(24,12)` in Postgres.
pub const SCALE: u32 = 12;
/// No amount in the books may reach this: twelve digits before the point.
const LIMIT: Decimal = Decimal::from_parts(3_567_587_328, 232, 0, false, 0);

/// An exact amount of US dollars with at most twelve digits after the point.
///
/// Serializes as a decimal string, so that no reader is tempted by a float.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct Usd(Decimal);

/// Why a text is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseUsdError {
    #[error("is not an amount of dollars; write it like 12.50")]
    NotANumber,
    #[error("has more than twelve digits after the point")]
    TooPrecise,
    #[error("is too large")]
    TooLarge,
}

impl Usd {
    pub const ZERO: Usd = Usd(Decimal::ZERO);

    /// Wraps an amount that already has the precision of the books.
    /// Further digits are rounded half away from zero, the one rounding rule of Farebox.
    #[must_use]
    pub fn new(amount: Decimal) -> Usd {
        if amount.scale() <= SCALE {
            return Usd(amount);
        }
        Usd(amount.round_dp_with_strategy(SCALE, RoundingStrategy::MidpointAwayFromZero))
    }

    #[must_use]
    pub fn from_cents(cents: i64) -> Usd {
        Usd(Decimal::new(cents, 2))
    }

    /// For constants.
    #[must_use]
    pub const fn from_whole(dollars: u32) -> Usd {
        Usd(Decimal::from_parts(dollars, 0, 0, false, 0))
    }

    /// For constants.
    #[must_use]
    pub const fn from_hundredths(cents: u32) -> Usd {
        Usd(Decimal::from_parts(cents, 0, 0, false, 2))
    }

    /// Reads what a person or a program wrote: `12`, `12.50`, `$12.50`, `1,200.00`. A comma only groups thousands:
    /// `12,50` is no amount, because it could be read as two very different ones.
    ///
    /// # Errors
    /// When the text is no plain decimal, has more than twelve digits after the point, or is not below a trillion.
    pub fn parse(text: &str) -> Result<Usd, ParseUsdError> {
        let text = text.trim();
        let (sign, rest) = match text.strip_prefix('-').or_else(|| text.strip_prefix(MINUS)) {
            Some(rest) => ("-", rest),
            None => ("", text),
        };
        let digits = ungrouped(rest.strip_prefix('$').unwrap_or(rest)).ok_or(ParseUsdError::NotANumber)?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        if digits.is_empty() || digits.len() > 40 || !plain {
            return Err(ParseUsdError::NotANumber);
        }
        let amount: Decimal = format!("{sign}{digits}").parse().map_err(|_| ParseUsdError::NotANumber)?;
        let amount = amount.normalize();
        if amount.scale() > SCALE {
            return Err(ParseUsdError::TooPrecise);
        }
        if amount.abs() >= LIMIT {
            return Err(ParseUsdError::TooLarge);
        }
        Ok(Usd(amount))
    }

    #[must_use]
    pub fn amount(self) -> Decimal {
        self.0
    }

    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    #[must_use]
    pub fn is_positive(self) -> bool {
        self.0 > Decimal::ZERO
    }

    #[must_use]
    pub fn is_negative(self) -> bool {
        self.0 < Decimal::ZERO
    }

    /// Rounds half away from zero to whole cents, as fees and totals are charged.
    #[must_use]
    pub fn to_cents(self) -> Usd {
        Usd(self.0.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero))
    }

    /// Whole cents of an amount that has no smaller part.
    #[must_use]
    pub fn whole_cents(self) -> Option<i64> {
        let cents = self.0.checked_mul(Decimal::ONE_HUNDRED)?;
        if !cents.fract().is_zero() {
            return None;
        }
        cents.trunc().normalize().to_string().parse().ok()
    }

    /// Every digit that matters, without trailing zeros: `0.000123`, `12.4`, `0`.
    #[must_use]
    pub fn exact(self) -> String {
        self.0.normalize().to_string()
    }

    /// What pages show: `$12.40`; amounts under a cent with as many digits as it takes to be true.
    #[must_use]
    pub fn display(self) -> String {
        let sign = if self.is_negative() { MINUS } else { "" };
        let amount = self.0.abs();
        if !amount.is_zero() && amount < Decimal::new(1, 2) {
            return format!("{sign}${}", amount.normalize());
        }
        let cents = amount.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
        let text = format!("{cents:.2}");
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, "00"));
        format!("{sign}${}.{fraction}", thousands(whole))
    }

    /// The exact amount with its sign and currency, for hover texts and details: never fewer digits than cents.
    #[must_use]
    pub fn display_exact(self) -> String {
        let sign = if self.is_negative() { MINUS } else { "" };
        let mut amount = self.0.abs().normalize();
        amount.rescale(amount.scale().max(2));
        let text = amount.to_string();
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, "00"));
        format!("{sign}${}.{fraction}", thousands(whole))
    }

    /// A JSON number with exactly these digits, for the edge where clients demand numbers.
    #[must_use]
    pub fn to_json(self) -> Box<serde_json::value::RawValue> {
        let text = self.exact();
        // A plain decimal is always a valid JSON number.
        serde_json::value::RawValue::from_string(text).unwrap_or_else(|_| serde_json::value::RawValue::NULL.to_owned())
    }
}

/// The digits without the commas between thousands; `None` where a comma stands anywhere else.
fn ungrouped(text: &str) -> Option<String> {
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    let grouped = whole.contains(',');
    let well = groups.all(|group| group.len() == 3) && (!grouped || matches!(first.len(), 1..=3));
    if !well || fraction.is_some_and(|fraction| fraction.contains(',')) {
        return None;
    }
    Some(text.replace(',', ""))
}

/// Groups digits by thousands: `1234567` becomes `1,234,567`.
#[must_use]
pub fn thousands(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.exact())
    }
}

impl fmt::Debug for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}", self.0.normalize())
    }
}

// Sums of amounts below a trillion with twelve digits cannot overflow the 96 bits of a Decimal
// before a million million of them are added up, so plain operators are safe here.
impl Add for Usd {
    type Output = Usd;
    fn add(self, other: Usd) -> Usd {
        Usd(self.0 + other.0)
    }
}

impl Sub for Usd {
    type Output = Usd;
    fn sub(self, other: Usd) -> Usd {
        Usd(self.0 - other.0)
    }
}

impl Neg for Usd {
    type Output = Usd;
    fn neg(self) -> Usd {
        Usd(-self.0)
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Usd) {
        self.0 += other.0;
    }
}

impl SubAssign for Usd {
    fn sub_assign(&mut self, other: Usd) {
        self.0 -= other.0;
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Usd>>(amounts: I) -> Usd {
        amounts.fold(Usd::ZERO, Add::add)
    }
}

impl std::str::FromStr for Usd {
    type Err = ParseUsdError;
    fn from_str(text: &str) -> Result<Usd, ParseUsdError> {
        Usd::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        assert_eq!(Usd::parse("$1,200.50").map(Usd::exact), Ok("1200.5".into()));
        assert_eq!(Usd::parse("-0.01").map(Usd::exact), Ok("-0.01".into()));
        assert_eq!(Usd::parse("0.0000000000001"), Err(ParseUsdError::TooPrecise));
        assert_eq!(Usd::parse("999999999999.999999999999").map(Usd::exact), Ok("999999999999.999999999999".into()));
        assert_eq!(Usd::parse("1000000000000"), Err(ParseUsdError::TooLarge));
        for bad in ["", "1e3", "NaN", "--1", "1.2.3", "$", ".", "０", "12,50", "2,5,0", "1234,567", ",500", "1,000.5,0"]
        {
            assert!(Usd::parse(bad).is_err(), "{bad:?} was read as an amount");
        }
    }

    #[test]
    fn shows_small_amounts_truly_and_large_ones_grouped() {
        let shown = |text: &str| Usd::parse(text).map(Usd::display).unwrap_or_default();
        assert_eq!(shown("12.4"), "$12.40");
        assert_eq!(shown("0.000123"), "$0.000123");
        assert_eq!(shown("0"), "$0.00");
        assert_eq!(shown("-1234567.891"), "−$1,234,567.89");
        assert_eq!(shown("-0.004"), "−$0.004");
    }

    #[test]
    fn the_exact_amount_keeps_every_digit_and_the_cents() {
        let exact = |text: &str| Usd::parse(text).map(Usd::display_exact).unwrap_or_default();
        assert_eq!(exact("20"), "$20.00");
        assert_eq!(exact("0"), "$0.00");
        assert_eq!(exact("1234.5"), "$1,234.50");
        assert_eq!(exact("-0.000123"), "−$0.000123");
        assert_eq!(exact("19.987654321012"), "$19.987654321012");
    }

    #[test]
    fn rounds_half_away_from_zero() {
        assert_eq!(Usd::new(Decimal::new(5, 13)).exact(), "0.000000000001");
        assert_eq!(Usd::parse("105.265").unwrap_or_default().to_cents().exact(), "105.27");
        assert_eq!(Usd::from_cents(2105).whole_cents(), Some(2105));
        assert_eq!(Usd::parse("0.001").unwrap_or_default().whole_cents(), None);
    }
}
