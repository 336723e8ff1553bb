//! What a test can tell the fake to do.

use serde_json::Value;

/// How requests for one upstream model are treated. Counts of chunks are of chunks with content.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// A good answer with usage. Respects the request's maximum of tokens, like a real provider.
    Ok { prompt: u64, completion: u64, text: String },
    /// The same, and the request's maximum of tokens is ignored.
    IgnoresCap { prompt: u64, completion: u64, text: String },
    /// A good answer with thinking before it; `completion` includes `reasoning`.
    Reasoning { prompt: u64, completion: u64, reasoning: u64, thought: String, text: String },
    /// A good answer of which `cached` tokens of the prompt came from a cache.
    Cached { prompt: u64, cached: u64, completion: u64, text: String },
    /// A good answer for which `written` tokens of the prompt were written to a cache.
    Written { prompt: u64, written: u64, completion: u64 },
    /// A good answer: of the prompt `heard` tokens were sound, of the answer `spoken`.
    Spoken { prompt: u64, heard: u64, completion: u64, spoken: u64 },
    /// `chunks` chunks of one token each, each after a wait. A whole answer comes after the sum of the waits.
    Slow { chunks: usize, ms_per_chunk: u64 },
    /// Reads the request and never answers.
    HangBeforeHeaders,
    /// Sends headers and this many chunks (or half of a whole answer), and then nothing more.
    HangAfter(usize),
    /// An error with the protocol's JSON body. A 401 quotes the key that was sent, as some providers do.
    Status { status: u16, retry_after: Option<u32> },
    /// A web page with status 200, as a proxy in between gives.
    HtmlWith200,
    /// The connection breaks after this many chunks (or half of a whole answer).
    TruncatedStream(usize),
    /// A good answer that never tells its usage.
    NoUsage,
    /// A good answer whose usage is explicitly zero.
    ZeroUsage,
    /// A good answer with this many bytes of text in a single line.
    HugeLine(usize),
    /// An error event after this many chunks, and then the regular end of the body. A whole answer is
    /// an error body with status 200.
    ErrorInStream(usize),
    /// A finished answer with no output at all and no output tokens.
    EmptyCompletion,
    /// Calls the first tool of the request with `{"city":"Zürich"}`.
    ToolCall,
    /// A good answer whose bytes arrive in pieces that cut through characters and lines.
    SplitUtf8,
    /// A good answer whose lines end with `\r\n`.
    CrLf,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self::Ok { prompt: 10, completion: 6, text: DEFAULT_TEXT.to_owned() }
    }
}

pub const DEFAULT_TEXT: &str = "Hello from the fake upstream.";
/// Characters of two, three and four bytes.
pub const SPLIT_TEXT: &str = "Grüße, 世界! 🦀🚀 done — «fin»";
pub const TOOL_ARGUMENTS: &str = r#"{"city":"Zürich"}"#;

/// Whether and how usage is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tell {
    True,
    Zero,
    Nothing,
}

/// What is to be said, in no protocol yet.
#[derive(Clone, Debug)]
pub struct Answer {
    pub prompt: u64,
    pub cached: u64,
    /// Written to a cache; only messages tell it.
    pub written: u64,
    pub completion: u64,
    pub reasoning: u64,
    /// Tokens of sound in the prompt and in the answer.
    pub sound: [u64; 2],
    pub thought: String,
    pub text: String,
    /// Name of the tool that is called.
    pub tool: Option<String>,
    /// The answer was cut by the request's maximum of tokens.
    pub cut: bool,
    pub tell: Tell,
}

impl Answer {
    fn new(prompt: u64, completion: u64, text: &str) -> Self {
        Self {
            prompt,
            cached: 0,
            written: 0,
            completion,
            reasoning: 0,
            sound: [0; 2],
            thought: String::new(),
            text: text.to_owned(),
            tool: None,
            cut: false,
            tell: Tell::True,
        }
    }

    /// What `behaviour` says to this request.
    pub fn to(behaviour: &Behaviour, request: &Value) -> Self {
        let plain = Self::new(10, 6, DEFAULT_TEXT);
        let answer = match behaviour {
            Behaviour::Ok { prompt, completion, text } => Self::new(*prompt, *completion, text),
            Behaviour::IgnoresCap { prompt, completion, text } => {
                return Self::new(*prompt, *completion, text);
            }
            Behaviour::Reasoning { prompt, completion, reasoning, thought, text } => {
                Self { reasoning: *reasoning, thought: thought.clone(), ..Self::new(*prompt, *completion, text) }
            }
            Behaviour::Cached { prompt, cached, completion, text } => {
                Self { cached: *cached, ..Self::new(*prompt, *completion, text) }
            }
            Behaviour::Written { prompt, written, completion } => {
                Self { written: *written, ..Self::new(*prompt, *completion, DEFAULT_TEXT) }
            }
            Behaviour::Spoken { prompt, heard, completion, spoken } => {
                Self { sound: [*heard, *spoken], ..Self::new(*prompt, *completion, "It is me.") }
            }
            Behaviour::Slow { chunks, .. } => Self::new(10, *chunks as u64, &"tick ".repeat(*chunks)),
            // Long enough for the chunks before the fault and some after it.
            Behaviour::HangAfter(n) | Behaviour::TruncatedStream(n) | Behaviour::ErrorInStream(n) => {
                let words = n + 4;
                Self::new(10, words as u64, &"word ".repeat(words))
            }
            Behaviour::NoUsage => Self { tell: Tell::Nothing, ..plain },
            Behaviour::ZeroUsage => Self { tell: Tell::Zero, ..plain },
            Behaviour::HugeLine(bytes) => Self::new(10, 1, &"x".repeat(*bytes)),
            Behaviour::EmptyCompletion => Self::new(10, 0, ""),
            Behaviour::ToolCall => Self { tool: tool_name(request), ..Self::new(20, 9, "") },
            Behaviour::SplitUtf8 => Self::new(10, 12, SPLIT_TEXT),
            _ => plain,
        };
        answer.capped(request)
    }

    /// Cuts the answer to the request's maximum of tokens, where there is one.
    fn capped(mut self, request: &Value) -> Self {
        let cap =
            ["max_completion_tokens", "max_tokens"].iter().find_map(|name| request.get(*name).and_then(Value::as_u64));
        let Some(cap) = cap.filter(|cap| *cap < self.completion) else { return self };
        let kept = self.text.chars().count() as u64 * cap / self.completion;
        self.text = self.text.chars().take(usize::try_from(kept).expect("a short text")).collect();
        self.completion = cap;
        self.reasoning = self.reasoning.min(cap);
        self.cut = true;
        self
    }

    /// Tokens that the usage tells: prompt, of it cached, completion, of it reasoning.
    pub fn told(&self) -> Option<[u64; 4]> {
        match self.tell {
            Tell::True => Some([self.prompt, self.cached, self.completion, self.reasoning]),
            Tell::Zero => Some([0; 4]),
            Tell::Nothing => None,
        }
    }
}

/// Both protocols are understood: `tools[].function.name` and `tools[].name`.
fn tool_name(request: &Value) -> Option<String> {
    let tool = request.get("tools")?.get(0)?;
    tool.pointer("/function/name").or_else(|| tool.get("name"))?.as_str().map(str::to_owned)
}

/// Cuts `text` into `count` parts of nearly equal length between characters; fewer when it is short.
pub fn parts(text: &str, count: u64) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let count = usize::try_from(count.max(1)).expect("a countable number of chunks").min(chars.len());
    (0..count).map(|i| chars[chars.len() * i / count..chars.len() * (i + 1) / count].iter().collect()).collect()
}
