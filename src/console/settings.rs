//! What the operator has set for the console.

use crate::base::Usd;
use crate::base::seal::Sealer;

/// Shared by every page of the console.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A grant or correction above this waits for a second operator.
    pub four_eyes_above: Usd,
    /// Seals upstream keys.
    pub sealer: Sealer,
}
