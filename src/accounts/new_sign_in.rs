//! What a sign-in from a new place leaves behind for those above, who know the organizations of a person.

use serde::{Deserialize, Serialize};

use crate::base::ids::{PersonId, SessionId};

/// The job that tells the organizations of a person. `hooks` carries it out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewSignIn {
    pub person: PersonId,
    pub session: SessionId,
    /// Such as `Firefox on Linux`.
    pub browser: String,
}
