//! Every query of the console. It reads what other domains keep; what it writes is its own.

mod adjustments;
mod confirmations;
mod house;
mod orgs;
mod prices;
mod rows;
mod rules;

pub use adjustments::*;
pub use confirmations::*;
pub use house::*;
pub use orgs::*;
pub use prices::*;
pub use rows::*;
pub use rules::*;
