//! Every query about organizations, organization first.

mod invitations;
mod members;
mod orgs;
mod staff;

pub use invitations::*;
pub use members::*;
pub use orgs::*;
pub use staff::*;
