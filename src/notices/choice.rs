//! What somebody wants of a topic.

/// In the order of how much it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Choice {
    No,
    /// What concerns them: a key that they made, a rule that they set.
    Own,
    All,
}

impl Choice {
    pub const ALL: [Choice; 3] = [Choice::No, Choice::Own, Choice::All];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Choice::No => "no",
            Choice::Own => "own",
            Choice::All => "all",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Choice> {
        Choice::ALL.into_iter().find(|choice| choice.as_str() == text)
    }
}
