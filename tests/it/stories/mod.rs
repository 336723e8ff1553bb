//! Short stories about what somebody can see.

mod catalog;
mod limits;
mod metered_call;
mod sign_up;
mod top_up;
