//! Short stories about what somebody can see.

mod catalog;
mod clients;
mod codes;
mod contract;
mod crashes;
mod disconnects;
mod email_change;
mod leaving;
mod limits;
mod metered_call;
mod nodes;
mod picture;
mod production;
mod receipts;
mod reconcile;
mod settlement;
mod shutdown;
mod sign_up;
mod stripe;
mod teams;
mod top_up;
mod upstream_faults;
