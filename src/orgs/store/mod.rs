//! Every query about organizations, organization first.

mod invitations;
mod members;
mod orgs;

pub use invitations::*;
pub use members::*;
pub use orgs::*;
