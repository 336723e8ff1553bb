//! What a document says, from top to bottom.

use chrono::{DateTime, Utc};

/// A document of one page, or of several where it is long.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// What readers show as the name of the document.
    pub title: String,
    /// When the document came to be; part of its bytes.
    pub made_at: DateTime<Utc>,
    pub blocks: Vec<Block>,
}

/// A part of a document.
#[derive(Clone, Debug)]
pub enum Block {
    /// The largest words of the document.
    Heading(String),
    /// Addresses beside each other, two at most.
    Parties(Vec<Party>),
    /// Names and values, each name before its value.
    Facts(Vec<(String, String)>),
    /// Lines of what and how much, between rules.
    Table(Vec<Row>),
    /// A paragraph in small letters.
    Note(String),
}

/// Somebody with an address.
#[derive(Clone, Debug, Default)]
pub struct Party {
    pub label: String,
    pub lines: Vec<String>,
}

/// A line of a table.
#[derive(Clone, Debug, Default)]
pub struct Row {
    pub what: String,
    pub how_much: String,
    /// A sum: in bold letters, below a rule.
    pub is_sum: bool,
}

impl Sheet {
    /// Every text of the document.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let title = std::iter::once(self.title.as_str());
        title.chain(self.blocks.iter().flat_map(Block::texts))
    }
}

impl Block {
    fn texts(&self) -> Vec<&str> {
        match self {
            Block::Heading(text) | Block::Note(text) => vec![text],
            Block::Parties(parties) => parties.iter().flat_map(Party::texts).collect(),
            Block::Facts(facts) => facts.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]).collect(),
            Block::Table(rows) => rows.iter().flat_map(|row| [row.what.as_str(), row.how_much.as_str()]).collect(),
        }
    }
}

impl Party {
    fn texts(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.label).chain(&self.lines).map(String::as_str)
    }
}
