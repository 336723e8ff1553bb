//! Short stories about what somebody can see.

mod auto_topup;
mod catalog;
mod clients;
mod contract;
mod crashes;
mod disconnects;
mod email_change;
mod language;
mod leaving;
mod limits;
mod low_balance;
mod mail;
mod metered_call;
mod nodes;
mod picture;
mod production;
mod settlement;
mod shutdown;
mod sign_up;
mod stripe;
mod teams;
mod top_up;
mod upstream_faults;
