//! From where somebody acts.

/// The network address and the browser or program of a request. Both are what a client claims, cut to a bounded length.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Origin {
    pub ip: String,
    pub user_agent: String,
}

impl Origin {
    /// A command on the server, or a job: from nowhere in the network.
    #[must_use]
    pub fn here() -> Origin {
        Origin::default()
    }
}
