//! How often and how long auto top-up tries.

use chrono::TimeDelta;

use crate::base::Usd;

/// So many declines in a row switch it off.
pub const MAX_DECLINES: i32 = 3;
/// Why it is off when a payment is contested.
pub const CONTESTED: &str = "A payment was contested with its bank or reported as fraud.";
/// A failed attempt is repeated after this, if the balance is still below. Banks take quicker ones for fraud.
pub const RETRY_AFTER_SECONDS: i32 = 3_600;
/// Charges a day, whatever the caps allow and however they ended: a rule that buys little and needs much stops here, at
/// one every quarter of an hour, before banks take it for an attack.
pub const MAX_A_DAY: i64 = 96;
/// The least threshold. Below a dollar, running calls hold what is left before a payment can arrive.
pub const MIN_BELOW: Usd = Usd::from_whole(1);
/// A charge that its processor has not heard of is sent again for so long. Processors remember our numbers for a day at
/// least; after two hours the janitor gives the purchase up.
pub const SEND_AGAIN_WITHIN: TimeDelta = TimeDelta::hours(1);
/// How long a payer may take to confirm a charge that their bank asks about.
pub const CONFIRM_WITHIN: TimeDelta = TimeDelta::hours(23);
