//! What an organization has set.

use rust_decimal::Decimal;

use crate::routing::Privacy;

/// Texts are kept for a year at most.
pub const MAX_KEEP_DAYS: u16 = 365;
/// Days over which texts that were not kept are told.
pub(super) const DAYS_SHOWN: i32 = 30;

/// The default forbids nobody and keeps nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Providers that may train on inputs may answer, for models that cost something.
    pub paid_training: bool,
    /// The same for free ones, and publishing too.
    pub free_training: bool,
    /// Only providers that keep nothing.
    pub zero_retention: bool,
    /// The texts of calls are kept here, for a discount.
    pub log_texts: bool,
    pub keep_days: u16,
    /// Farebox sets none either way.
    pub analytics_cookies: bool,
    /// Keys that people made for themselves may ask for the balance. Those that were handed on never may.
    pub keys_see_balance: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            paid_training: true,
            free_training: true,
            zero_retention: false,
            log_texts: false,
            keep_days: 30,
            analytics_cookies: false,
            keys_see_balance: true,
        }
    }
}

/// What the operator gives to those whose texts are kept: a part of one, taken off everything that they are charged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Discount(pub Decimal);

/// Keeping texts, where it is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Log {
    pub keep_days: u16,
    /// The part of what would be charged that is not: 0.01 is one percent.
    pub discount: Decimal,
}

impl Settings {
    /// What routing has to keep to.
    #[must_use]
    pub fn privacy(&self) -> Privacy {
        Privacy {
            no_paid_training: !self.paid_training,
            no_free_training: !self.free_training,
            zero_retention: self.zero_retention,
        }
    }

    /// What calls do with their texts, for this discount.
    #[must_use]
    pub fn log(&self, discount: Decimal) -> Option<Log> {
        self.log_texts.then_some(Log { keep_days: self.keep_days, discount })
    }
}
