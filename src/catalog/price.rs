//! What one unit costs: a token, a call, an image. Exact decimals, parsed once.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::base::money::SCALE;

/// The shift between a price per million tokens and a price per token.
const MILLION_DIGITS: u32 = 6;

/// Identifies one version of the price of one endpoint. A usage row names the version that it was billed by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, sqlx::Type)]
#[sqlx(transparent)]
pub struct PriceVersionId(pub Uuid);

/// US dollars for one unit, from zero to one hundred, with at most twelve digits after the point.
///
/// Its text form is a plain decimal without trailing zeros, such as `0.00000125`.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(try_from = "String", into = "String")]
#[sqlx(transparent)]
pub struct UnitPrice(Decimal);

/// Why a text is not a unit price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParsePriceError {
    #[error("is not a price; write dollars as a plain decimal in quotes, like \"1.25\"")]
    NotANumber,
    #[error("has too many digits after the point: twelve are kept per unit, six per million tokens")]
    TooPrecise,
    #[error("is more than one hundred dollars a unit")]
    TooLarge,
}

impl UnitPrice {
    pub const ZERO: UnitPrice = UnitPrice(Decimal::ZERO);
    /// The most that one unit may cost. With `MAX_QUANTITY` it keeps every product exact.
    pub const MAX: UnitPrice = UnitPrice(Decimal::ONE_HUNDRED);

    /// Reads dollars per unit.
    ///
    /// # Errors
    /// When the text is not a plain non-negative decimal, too precise, or above [`UnitPrice::MAX`].
    pub fn parse(text: &str) -> Result<UnitPrice, ParsePriceError> {
        Self::from_decimal(plain_decimal(text)?)
    }

    /// Reads dollars per million tokens, the form of price lists.
    ///
    /// # Errors
    /// As for [`UnitPrice::parse`].
    pub fn parse_per_million(text: &str) -> Result<UnitPrice, ParsePriceError> {
        let amount = plain_decimal(text)?;
        // Moving the point is exact; a division might round.
        let moved = Decimal::try_from_i128_with_scale(amount.mantissa(), amount.scale() + MILLION_DIGITS)
            .map_err(|_| ParsePriceError::TooPrecise)?;
        Self::from_decimal(moved)
    }

    fn from_decimal(amount: Decimal) -> Result<UnitPrice, ParsePriceError> {
        let amount = amount.normalize();
        if amount.scale() > SCALE {
            return Err(ParsePriceError::TooPrecise);
        }
        if amount > Self::MAX.0 {
            return Err(ParsePriceError::TooLarge);
        }
        Ok(UnitPrice(amount))
    }

    /// US dollars per unit.
    #[must_use]
    pub fn amount(self) -> Decimal {
        self.0.normalize()
    }

    /// US dollars per million units.
    #[must_use]
    pub fn per_million(self) -> Decimal {
        // At most 100 x 10^6 with twelve digits after the point: far below what a Decimal holds exactly.
        (self.0 * Decimal::from(1_000_000)).normalize()
    }

    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

/// Digits with at most one inner point. No sign, exponent, separator or space.
fn plain_decimal(text: &str) -> Result<Decimal, ParsePriceError> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return Err(ParsePriceError::NotANumber);
    }
    let amount = Decimal::from_str_exact(text).map_err(|_| ParsePriceError::TooPrecise)?;
    Ok(amount.normalize())
}

impl TryFrom<String> for UnitPrice {
    type Error = ParsePriceError;
    fn try_from(text: String) -> Result<UnitPrice, ParsePriceError> {
        UnitPrice::parse(&text)
    }
}

impl From<UnitPrice> for String {
    fn from(price: UnitPrice) -> String {
        price.to_string()
    }
}

impl fmt::Display for UnitPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.normalize())
    }
}

impl fmt::Debug for UnitPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What an endpoint charges. In the catalog file the token prices are per million tokens; here they are per token.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(from = "PriceFields", into = "PriceFields")]
pub struct Price {
    /// Per token of the prompt that was neither read from nor written to a cache.
    pub prompt: UnitPrice,
    /// Per token of the answer, reasoning included.
    pub completion: UnitPrice,
    /// Per token read from the cache; absent: as `prompt`.
    pub cache_read: Option<UnitPrice>,
    /// Per token written to the cache; absent: as `prompt`.
    pub cache_write: Option<UnitPrice>,
    /// Per call; absent: nothing.
    pub request: Option<UnitPrice>,
    /// Per image in the prompt, besides its tokens; absent: nothing.
    pub image: Option<UnitPrice>,
    /// Per token of audio in the prompt; absent: as `prompt`.
    pub audio: Option<UnitPrice>,
    /// Per token of audio in the answer; absent: as `completion`.
    pub audio_output: Option<UnitPrice>,
}

impl Price {
    /// Whether nothing that a call can do costs anything.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.prompt.is_zero()
            && self.completion.is_zero()
            && [self.cache_read, self.cache_write, self.request, self.image, self.audio, self.audio_output]
                .iter()
                .flatten()
                .all(|price| price.is_zero())
    }
}

/// A price as the catalog file writes it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceFields {
    prompt: PerMillion,
    completion: PerMillion,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache_read: Option<PerMillion>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache_write: Option<PerMillion>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<UnitPrice>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image: Option<UnitPrice>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    audio: Option<PerMillion>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    audio_output: Option<PerMillion>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct PerMillion(UnitPrice);

impl TryFrom<String> for PerMillion {
    type Error = ParsePriceError;
    fn try_from(text: String) -> Result<PerMillion, ParsePriceError> {
        UnitPrice::parse_per_million(&text).map(PerMillion)
    }
}

impl From<PerMillion> for String {
    fn from(price: PerMillion) -> String {
        price.0.per_million().to_string()
    }
}

impl From<PriceFields> for Price {
    fn from(fields: PriceFields) -> Price {
        Price {
            prompt: fields.prompt.0,
            completion: fields.completion.0,
            cache_read: fields.cache_read.map(|price| price.0),
            cache_write: fields.cache_write.map(|price| price.0),
            request: fields.request,
            image: fields.image,
            audio: fields.audio.map(|price| price.0),
            audio_output: fields.audio_output.map(|price| price.0),
        }
    }
}

impl From<Price> for PriceFields {
    fn from(price: Price) -> PriceFields {
        PriceFields {
            prompt: PerMillion(price.prompt),
            completion: PerMillion(price.completion),
            cache_read: price.cache_read.map(PerMillion),
            cache_write: price.cache_write.map(PerMillion),
            request: price.request,
            image: price.image,
            audio: price.audio.map(PerMillion),
            audio_output: price.audio_output.map(PerMillion),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_per_million_becomes_exact_per_token() {
        let shown = |text: &str| UnitPrice::parse_per_million(text).map(|price| price.to_string());
        assert_eq!(shown("1.25"), Ok("0.00000125".into()));
        assert_eq!(shown("0.037"), Ok("0.000000037".into()));
        assert_eq!(shown("0.000001"), Ok("0.000000000001".into()));
        assert_eq!(shown("0"), Ok("0".into()));
        assert_eq!(shown("0.0000001"), Err(ParsePriceError::TooPrecise));
        assert_eq!(shown("100000001"), Err(ParsePriceError::TooLarge));
    }

    #[test]
    fn only_plain_decimals_are_prices() {
        for bad in ["", "-1", "+1", "1e3", "1_000", "1,5", ".5", "5.", " 1", "NaN", "0x1", "1.2.3"] {
            assert_eq!(UnitPrice::parse(bad), Err(ParsePriceError::NotANumber), "{bad:?} was read as a price");
        }
        assert_eq!(UnitPrice::parse("0.0100").map(|price| price.to_string()), Ok("0.01".into()));
    }
}
