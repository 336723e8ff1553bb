//! Every query about keys, organization first; only authentication looks a key up by its digest.

mod alarms;
mod authenticate;
mod chat;
mod claims;
mod issued;
mod limits;
mod list;
mod names;
mod pace;
mod read;
mod write;

pub use alarms::{FoundAlarm, alarm_facts, alarms_of, insert_alarm, lock_alarm, mark_alarm_used};
pub use authenticate::{Found, find_by_digest};
pub use chat::{FoundChat, chat_key, insert_chat_key};
pub use claims::{Claim, FoundClaim, claim_of, delete_claim, find_claim, mark_claimed, put_claim, set_secret};
pub use issued::{
    IssuedQuery, delete_issued, find_ever, find_issued, hold, issued, issued_counts, issued_page, provisioning,
};
pub use limits::{end_mark, forget_told, insert_told, near_limits, next_mark, whose_cap, whose_limit};
pub use list::list;
pub use names::{callable, labels, live, makers};
pub use pace::{Asked, Begun, begin_calls, prepare, turn_back};
pub use read::{count, count_bound, count_up_to, counts, find, has_more_than, hold_makers, lock, lock_all};
pub use write::{disable_all_of, erase_all, insert, mark_deleted, replace_secret, set_disabled, set_maker, update};
