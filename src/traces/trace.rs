//! One trace while it is made: a root span and those below it.

use std::time::Instant;

use rand::RngExt;

use super::Context;

/// Texts are cut to so many characters; names of models are shorter.
const MAX_TEXT: usize = 200;
/// Spans of one trace; a call has at most eight attempts and a handful of others.
const MAX_SPANS: usize = 32;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpanId(pub u64);

impl SpanId {
    fn fresh() -> SpanId {
        // Zero stands for none.
        SpanId(rand::rng().random_range(1..=u64::MAX))
    }
}

/// The part that a span plays between programs; the numbers are OTLP's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Internal = 1,
    Server = 2,
    Client = 3,
}

/// What is known of a span.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    Text(String),
    Whole(i64),
    Yes(bool),
    Texts(Vec<String>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.chars().take(MAX_TEXT).collect())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::from(text.as_str())
    }
}

impl From<u64> for Value {
    fn from(count: u64) -> Value {
        Value::Whole(i64::try_from(count).unwrap_or(i64::MAX))
    }
}

impl From<u16> for Value {
    fn from(count: u16) -> Value {
        Value::Whole(i64::from(count))
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Value {
        Value::Yes(yes)
    }
}

/// One step of a call.
#[derive(Clone, Debug)]
pub struct Span {
    pub id: SpanId,
    pub parent: Option<SpanId>,
    pub name: String,
    pub kind: Kind,
    /// Nanoseconds since 1970.
    pub start: u64,
    pub end: u64,
    pub attributes: Vec<(&'static str, Value)>,
    /// What went wrong, in a word.
    pub failed: Option<&'static str>,
}

impl Span {
    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) -> &mut Span {
        self.attributes.push((name, value.into()));
        self
    }

    /// Says that it went wrong, in a word of few: never in another's words.
    pub fn fail(&mut self, word: &'static str) -> &mut Span {
        self.failed = Some(word);
        self.set("error.type", word)
    }
}

/// A trace that is being made: the span of the whole call, and its steps.
#[derive(Clone, Debug)]
pub struct Trace {
    pub id: u128,
    root: Span,
    steps: Vec<Span>,
    /// The same moment on two clocks: one that goes evenly, and that of the wall in nanoseconds.
    began: (Instant, u64),
}

impl Trace {
    /// `began` is a moment, and what the clock on the wall said at it, in nanoseconds.
    #[must_use]
    pub fn new(id: u128, parent: Option<&Context>, name: &str, began: (Instant, u64)) -> Trace {
        let root = Span {
            id: SpanId::fresh(),
            parent: parent.map(|parent| parent.span),
            name: Value::text(name),
            kind: Kind::Server,
            start: began.1,
            end: began.1,
            attributes: Vec::new(),
            failed: None,
        };
        Trace { id, root, steps: Vec::new(), began }
    }

    fn at(&self, moment: Instant) -> u64 {
        let (began, wall) = self.began;
        let nanos = |took: std::time::Duration| u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        match moment.checked_duration_since(began) {
            Some(after) => wall.saturating_add(nanos(after)),
            None => wall.saturating_sub(nanos(began.saturating_duration_since(moment))),
        }
    }

    /// The span of the whole call.
    pub fn root(&mut self) -> &mut Span {
        &mut self.root
    }

    /// Moves the root's beginning before what happened before the trace was begun.
    pub fn reach_back(&mut self, to: Instant) {
        self.root.start = self.root.start.min(self.at(to));
    }

    /// Ends the root.
    pub fn end(&mut self, at: Instant) {
        self.root.end = self.at(at);
    }

    /// A name for a span that is about to begin, for whoever is asked in it.
    #[must_use]
    pub fn next(&self) -> Context {
        Context { trace: self.id, span: SpanId::fresh(), sampled: true }
    }

    /// Every span, the root first.
    pub fn spans(&self) -> impl Iterator<Item = &Span> {
        std::iter::once(&self.root).chain(&self.steps)
    }

    /// Adds a step below the root. One beyond the limit of a trace takes the place of the last.
    pub fn step(&mut self, id: Option<SpanId>, name: &str, kind: Kind, from: Instant, to: Instant) -> &mut Span {
        let span = Span {
            id: id.unwrap_or_else(SpanId::fresh),
            parent: Some(self.root.id),
            name: Value::text(name),
            kind,
            start: self.at(from),
            end: self.at(to),
            attributes: Vec::new(),
            failed: None,
        };
        self.steps.truncate(MAX_SPANS);
        self.steps.push(span);
        let last = self.steps.len() - 1;
        &mut self.steps[last]
    }

    /// The last step that was asked of somebody else.
    pub fn last_asked(&mut self) -> Option<&mut Span> {
        self.steps.iter_mut().rev().find(|span| span.kind == Kind::Client)
    }
}

impl Value {
    fn text(text: &str) -> String {
        text.chars().take(MAX_TEXT).collect()
    }
}
