//! What a model thought: how it is told, and how it comes back as it went. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::super::text;

/// What a client asks for by name to get thoughts in a form that it can send back.
const PACKED: &str = "reasoning.encrypted_content";
/// Stands before what was packed here. What begins otherwise is another house's secret, and nobody here can use it.
const MARK: &str = "fb1.";
/// Fields of a detail that come in pieces.
const PIECES: [&str; 2] = ["text", "summary"];

/// How a client wants to be told what was thought.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Telling {
    /// As a summary, which is all that many clients know.
    pub summary: bool,
    /// Also in a form that it can send back.
    packed: bool,
}

impl Telling {
    pub(super) fn of(request: &Map<String, Value>) -> Telling {
        let reasoning = request.get("reasoning").unwrap_or(&Value::Null);
        let asked = |name: &str| text(reasoning, name).is_some_and(|how| how != "none");
        let mut include = request.get("include").and_then(Value::as_array).into_iter().flatten();
        Telling {
            summary: ["summary", "generate_summary"].into_iter().any(asked),
            packed: include.any(|name| name == PACKED),
        }
    }
}

/// What was thought before something was said or called.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Thought {
    pub telling: Telling,
    pub text: String,
    /// As the provider told it.
    details: Vec<Value>,
}

impl Thought {
    pub(super) fn new(telling: Telling) -> Thought {
        Thought { telling, ..Thought::default() }
    }

    /// The part that its text stands in where it is no summary.
    pub(super) fn part(&self) -> Option<Value> {
        (!self.telling.summary).then(|| json!({ "type": "reasoning_text", "text": self.text }))
    }

    /// The part of its summary, once there is something in it.
    pub(super) fn summary(&self) -> Option<Value> {
        (self.telling.summary && !self.text.is_empty()).then(|| summary_part(&self.text))
    }

    /// Keeps a detail, or a piece of one, which goes on with the one before.
    pub(super) fn note(&mut self, detail: &Value) {
        let Some(detail) = plain(detail) else { return };
        let last = self.details.last_mut().and_then(Value::as_object_mut);
        let Some(last) = last.filter(|last| goes_on(last, &detail)) else {
            self.details.push(Value::Object(detail));
            return;
        };
        for (name, value) in detail {
            if PIECES.contains(&name.as_str())
                && let (Some(Value::String(so_far)), Value::String(more)) = (last.get_mut(&name), &value)
            {
                so_far.push_str(more);
                continue;
            }
            last.insert(name, value);
        }
    }

    /// That the provider will know it again.
    pub(super) fn signature(&self) -> Option<&str> {
        self.details.iter().rev().find_map(|detail| text(detail, "signature")).filter(|signature| !signature.is_empty())
    }

    /// All of it for the way back, where it is asked for or where nothing else can stand for it.
    pub(super) fn packed(&self) -> Option<String> {
        let is_hidden = self.details.iter().any(|detail| detail.get("data").is_some());
        if !is_hidden && (!self.telling.packed || (self.details.is_empty() && self.text.is_empty())) {
            return None;
        }
        let mut all = Vec::new();
        let is_there = self.details.iter().any(|detail| PIECES.iter().any(|name| detail.get(*name).is_some()));
        if !is_there && !self.text.is_empty() {
            all.push(json!({ "type": "reasoning.text", "text": self.text }));
        }
        all.extend(self.details.iter().cloned());
        Some(format!("{MARK}{}", URL_SAFE_NO_PAD.encode(Value::Array(all).to_string())))
    }
}

pub(super) fn summary_part(said: &str) -> Value {
    json!({ "type": "summary_text", "text": said })
}

/// The details that were packed; `None` for what is not ours.
pub(super) fn unpacked(content: &str) -> Option<Vec<Value>> {
    let json = URL_SAFE_NO_PAD.decode(content.strip_prefix(MARK)?).ok()?;
    let all: Vec<Value> = serde_json::from_slice(&json).ok()?;
    Some(all.iter().filter_map(plain).map(Value::Object).collect())
}

/// A detail with its texts and numbers alone, so that nothing nests in what was packed.
fn plain(detail: &Value) -> Option<Map<String, Value>> {
    text(detail, "type")?;
    let fields =
        detail.as_object()?.iter().filter(|(_, value)| !value.is_null() && !value.is_object() && !value.is_array());
    Some(fields.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// Whether a piece belongs to the detail that was begun last. One that is signed is whole, as is one that is hidden.
fn goes_on(last: &Map<String, Value>, piece: &Map<String, Value>) -> bool {
    let is_whole = |detail: &Map<String, Value>| detail.contains_key("data");
    let is_signed = last.get("signature").is_some_and(|signature| signature != "");
    let index = piece.get("index");
    !is_whole(last)
        && !is_whole(piece)
        && !is_signed
        && last.get("type") == piece.get("type")
        && (index.is_none() || index == last.get("index"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thought(request: &Value, text: &str, details: &[Value]) -> Thought {
        let telling = Telling::of(request.as_object().expect("an object"));
        let mut thought = Thought { text: text.to_owned(), ..Thought::new(telling) };
        details.iter().for_each(|detail| thought.note(detail));
        thought
    }

    #[test]
    fn thoughts_come_back_as_they_went_with_every_signature() {
        let request = json!({"include":["reasoning.encrypted_content"]});
        let pieces = [
            json!({"type":"reasoning.text","text":"a","index":0}),
            json!({"type":"reasoning.text","text":"b","index":0}),
            json!({"type":"reasoning.text","signature":"s1","index":0}),
            json!({"type":"reasoning.encrypted","data":"x","index":1,"id":null}),
            json!({"type":"reasoning.text","text":"c","index":2,"odd":[{}]}),
            json!({"type":"reasoning.text","signature":"s2","index":2}),
        ];
        let thought = thought(&request, "abc", &pieces);
        assert_eq!(thought.signature(), Some("s2"));
        assert_eq!(
            unpacked(&thought.packed().expect("it was asked for")).expect("ours"),
            [
                json!({"type":"reasoning.text","text":"ab","index":0,"signature":"s1"}),
                json!({"type":"reasoning.encrypted","data":"x","index":1}),
                json!({"type":"reasoning.text","text":"c","index":2,"signature":"s2"}),
            ]
        );
    }

    #[test]
    fn what_was_only_told_is_packed_where_that_is_asked_for() {
        let asked = json!({"include":["reasoning.encrypted_content"]});
        let packed = |request: &Value, text: &str, details: &[Value]| {
            thought(request, text, details).packed().map(|packed| unpacked(&packed).expect("ours"))
        };
        assert_eq!(packed(&asked, "hm", &[]), Some(vec![json!({"type":"reasoning.text","text":"hm"})]));
        assert_eq!((packed(&asked, "", &[]), packed(&json!({"include":[]}), "hm", &[])), (None, None));
        let hidden = json!({"type":"reasoning.encrypted","data":"x"});
        let whole = vec![json!({"type":"reasoning.text","text":"hm"}), hidden.clone()];
        assert_eq!(packed(&json!({}), "hm", &[hidden]), Some(whole), "nothing else can stand for it");
    }

    #[test]
    fn what_is_not_ours_is_nothing() {
        for other in ["gAAAAABo", "fb1.???", "fb1.", &format!("{MARK}{}", URL_SAFE_NO_PAD.encode("{}"))] {
            assert_eq!(unpacked(other), None, "{other}");
        }
        let odd =
            format!("{MARK}{}", URL_SAFE_NO_PAD.encode(r#"[1,{},{"type":"reasoning.text","text":"a","b":{"c":[]}}]"#));
        assert_eq!(unpacked(&odd), Some(vec![json!({"type":"reasoning.text","text":"a"})]));
    }

    #[test]
    fn a_summary_is_told_where_it_is_asked_for() {
        let is_summary = |reasoning: Value| {
            let request = json!({ "reasoning": reasoning });
            Telling::of(request.as_object().expect("an object")).summary
        };
        for (reasoning, wanted) in [
            (json!({"summary":"auto"}), true),
            (json!({"generate_summary":"concise"}), true),
            (json!({"summary":"none"}), false),
            (json!({"summary":null,"effort":"low"}), false),
            (json!(null), false),
        ] {
            assert_eq!(is_summary(reasoning.clone()), wanted, "{reasoning}");
        }
    }
}
