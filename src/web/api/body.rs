//! Bodies that are read strictly: a field that is not known is an error that names it, so that no setting is lost by a
//! slip of the pen, and none is reached that was not meant to be.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::error::ApiError;
use crate::base::Usd;
use crate::base::money::SCALE;

/// Bodies of management requests hold a few fields.
pub const MAX_BODY: usize = 64 * 1024;
/// Longest part of an explanation that repeats what was sent.
const MAX_SAID: usize = 200;

/// A JSON body of type `T`, which refuses fields that it does not know, and the bytes that it was read from.
///
/// Handlers take a `Result` of it, and look at who calls first: a stranger is not told what is wrong with a body.
pub struct Strict<T> {
    pub value: T,
    pub bytes: Bytes,
}

impl<T: DeserializeOwned + 'static> FromRequest for Strict<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = web::Payload::from_request(request, payload);
        Box::pin(async move {
            let unread = |error| ApiError::unread(&error);
            let body = body.await.map_err(unread)?;
            let bytes = body.to_bytes_limited(MAX_BODY).await.map_err(|_| ApiError::body_too_long(MAX_BODY))?;
            let bytes = bytes.map_err(unread)?;
            let value = parse(&bytes)?;
            Ok(Strict { value, bytes })
        })
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // The reader would take a list for an object as well, its values in the order of the fields.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(ApiError::invalid("The request body is not a JSON object."));
    }
    serde_json::from_slice(bytes).map_err(|error| explain(&error))
}

fn explain(error: &serde_json::Error) -> ApiError {
    let said: String = error.to_string().chars().filter(|c| !c.is_control()).take(MAX_SAID).collect();
    ApiError::invalid(format!("The request body is not as it must be: {said}."))
}

/// For fields where `null` means something else than nothing: `Some(None)` for `null`, `None` where the field is not
/// there. Use with `default`.
///
/// # Errors
/// Those of the field's own type.
pub fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// For fields that may be left out but are never `null`. Use with `default`.
///
/// # Errors
/// Those of the field's own type.
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// An amount of dollars from zero to [`Amount::MAX`], read from the digits of a JSON number and never through a float.
/// Digits beyond those of the books are cut off, so that a limit is never more than what was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Amount(pub Usd);

impl Amount {
    /// The largest that programs may name.
    pub const MAX: u32 = 1_000_000_000;

    fn parse(text: &str) -> Option<Amount> {
        let plain = text.strip_prefix('-').unwrap_or(text).bytes().next().is_some_and(|first| first.is_ascii_digit());
        let amount = match text.find(['e', 'E']) {
            None => text.parse().ok()?,
            // Smaller than the smallest amount that there is.
            Some(at) if text.get(at + 1..).is_some_and(|rest| rest.starts_with('-')) => {
                Decimal::from_scientific(text).unwrap_or(Decimal::ZERO)
            }
            Some(_) => Decimal::from_scientific(text).ok()?,
        };
        let amount = amount.round_dp_with_strategy(SCALE, RoundingStrategy::ToZero);
        let fits = !amount.is_sign_negative() || amount.is_zero();
        (plain && fits && amount <= Decimal::from(Self::MAX)).then(|| Amount(Usd::new(amount.normalize())))
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Amount, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Amount::parse(raw.get()).ok_or_else(|| {
            let max = Amount::MAX;
            serde::de::Error::custom(format_args!("an amount of dollars must be a number from 0 to {max}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, PartialEq, Debug)]
    #[serde(deny_unknown_fields)]
    struct Example {
        #[serde(default, deserialize_with = "given")]
        limit: Option<Option<Amount>>,
    }

    fn read(text: &str) -> Result<Example, ApiError> {
        parse(text.as_bytes())
    }

    #[test]
    fn null_and_nothing_are_two_things() {
        assert_eq!(read("{}"), Ok(Example { limit: None }));
        assert_eq!(read(r#"{"limit":null}"#), Ok(Example { limit: Some(None) }));
        assert_eq!(read(r#"{"limit":2.50}"#), Ok(Example { limit: Some(Some(Amount(Usd::from_cents(250)))) }));
    }

    #[test]
    fn what_is_not_known_is_named() {
        let error = read(r#"{"limt":1}"#).expect_err("an unknown field");
        assert_eq!(error.status(), 400);
        assert!(error.message().contains("unknown field `limt`"), "{}", error.message());
        for text in ["", "[]", "null", r#"{"limit":1,"limit":2}"#, r#"{"limit":"1"}"#, r#"{"limit":true}"#] {
            assert_eq!(read(text).expect_err(text).status(), 400, "{text}");
        }
    }

    #[test]
    fn an_amount_is_read_digit_by_digit_and_never_rounded_up() {
        let read = |text: &str| Amount::parse(text).map(|amount| amount.0.exact());
        assert_eq!(read("0.1").as_deref(), Some("0.1"));
        assert_eq!(read("0.1234567890129").as_deref(), Some("0.123456789012"));
        assert_eq!(read("999999999.99999999999999").as_deref(), Some("999999999.999999999999"));
        assert_eq!(read("1e2").as_deref(), Some("100"));
        assert_eq!(read("5e-324").as_deref(), Some("0"));
        assert_eq!(read("-0.0").as_deref(), Some("0"));
        for bad in ["-1", "1000000000.1", "1e300", "\"1\"", "{}", "null", "true"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
