//! Why an endpoint is not asked.

/// The first condition that leaves an endpoint out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Why {
    /// The operator has no key for the provider.
    NoKey,
    /// The organization ignores the provider.
    Ignored,
    /// The organization allows others only.
    NotAllowed,
    /// The call or its preset names others only.
    NotNamed,
    /// The call or its preset ignores the provider.
    Refused,
    /// It may train on what it is sent.
    Trains,
    /// It keeps what it is sent.
    Retains,
    Quantization,
    Price,
    /// It does not know these parameters.
    Parameters(Vec<String>),
    NotFree,
    /// The organization lets nobody answer that may train on inputs; whether by the switch for free models.
    NoTraining {
        free: bool,
    },
    /// The organization lets nobody answer that keeps what it is sent.
    NoRetention,
    /// The organization uses its own account there alone, and its key does not reach this call.
    OwnAlone,
    /// Others know tools, it does not.
    NoTools,
    /// Exactly the named ones may be tried, and it is none of them.
    NoFallback,
}

impl Why {
    /// The end of a sentence that begins with the provider.
    #[must_use]
    pub fn in_words(&self) -> String {
        match self {
            Why::NoKey => "no key is set up for it on this server".into(),
            Why::Ignored => "it is on your list of ignored providers".into(),
            Why::NotAllowed => "it is not on your list of allowed providers".into(),
            Why::NotNamed => "only others are named".into(),
            Why::Refused => "it is to be ignored".into(),
            Why::Trains => "it may train on what it is sent".into(),
            Why::Retains => "it keeps what it is sent".into(),
            Why::Quantization => "its quantization is not among those wanted".into(),
            Why::Price => "it costs more than the highest price wanted".into(),
            Why::Parameters(names) => format!("it does not know {}", names.join(", ")),
            Why::NotFree => "it is not free".into(),
            Why::NoTraining { free: false } => {
                "it may train on what it is sent, which your privacy settings forbid for paid models".into()
            }
            Why::NoTraining { free: true } => {
                "it may train on or publish what it is sent, which your privacy settings forbid for free models".into()
            }
            Why::NoRetention => {
                "it keeps what it is sent, and your privacy settings allow zero data retention only".into()
            }
            Why::OwnAlone => "only your own key may be used there, and it is not for this call".into(),
            Why::NoTools => "it cannot call tools".into(),
            Why::NoFallback => "only the named providers may be tried".into(),
        }
    }
}
