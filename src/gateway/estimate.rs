//! The upper bound of a call's price, before it is made. Pure.

mod parts;

use serde_json::{Map, Value};

use crate::base::Usd;
use crate::catalog::{Bounds, Offer, affordable_completion, upper_bound};
use crate::gateway::count::DOCUMENTS_PER_UNIT;
use crate::gateway::providers::{ONLY_JSON, wants_json};
use crate::ledger::{Byok, Granted};
use crate::routing::{Candidate, Fee};
use parts::{PER_IMAGE, add_part, loaded_tools, text_bytes};

/// An answer shorter than this is not worth a call.
const SMALL_ANSWER: u64 = 16;
/// Tokens that a provider may add around a message, and around a whole prompt.
const PER_MESSAGE: u64 = 16;
const PER_PROMPT: u64 = 64;

/// Tokens of the prompt that Anthropic puts before every request with tools: 804 at Claude Opus 4.7, fewer at all others
/// (<https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview>). A Claude may be behind any provider.
const PROMPT_OF_TOOLS: u64 = 804;
/// Tokens of the prompt that Anthropic puts before every request whose answer has a shape, besides the shape itself, which is held
/// for by its bytes. It says that there is such a prompt and not how long it is
/// (<https://platform.claude.com/docs/en/build-with-claude/structured-outputs>).
const PROMPT_OF_SHAPES: u64 = 300;
/// Tokens of a tool whose description the provider has itself: 735 and up to 499 more in the prompt for the use of a
/// computer, 700 for an editor of texts, 245 for a shell
/// (<https://platform.claude.com/docs/en/agents-and-tools/tool-use/computer-use-tool>).
const PER_BUILT_IN: u64 = 1_234;

/// A document is cut into pieces of so many tokens where they are counted as documents, the question included.
const PIECE_OF_DOCUMENT: u64 = 500;
/// Of a piece, what a long question leaves for the document in any case.
const LEAST_OF_PIECE: u64 = 50;

/// What a prompt can come to at most. The tokens of images depend on the endpoint, so they are not among `tokens`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct PromptBound {
    pub tokens: u64,
    pub images: u64,
    /// Tokens of audio, which are not among `tokens` either.
    pub audio: u64,
    /// The answer may be spoken.
    pub spoken: bool,
    /// Texts that a model reads one by one, each up to its whole context; none is as good as one.
    pub texts: u64,
    /// A file is fetched by the provider, and may fill the whole context.
    pub elsewhere: bool,
    /// Units that a provider may count for ranking; none is as good as one.
    pub units: u64,
}

impl PromptBound {
    /// What covers both.
    fn or(self, other: PromptBound) -> PromptBound {
        PromptBound {
            tokens: self.tokens.max(other.tokens),
            images: self.images.max(other.images),
            audio: self.audio.max(other.audio),
            spoken: self.spoken || other.spoken,
            texts: self.texts.max(other.texts),
            elsewhere: self.elsewhere || other.elsewhere,
            units: self.units.max(other.units),
        }
    }
}

/// What to hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Estimate {
    pub most: Usd,
    pub least: Usd,
    /// The longest answer that `most` covers at the first candidate, in tokens.
    pub asked_tokens: u64,
    /// What a provider may take from the organization's own account.
    pub byok: Byok,
}

/// More than any call costs at any price.
const PLENTY: Usd = Usd::from_whole(1_000_000_000);

/// The list price of what may be produced on an account of the organization's own: as far as the fee on it is held, and
/// as far as limits that count it leave room (`whole`: they leave room for all of it).
pub(super) fn budget(granted: Granted, fee: Fee, owes: bool, whole: bool) -> Usd {
    let by_fee = match granted.amount.amount().checked_div(fee.rate) {
        Some(list) if owes => Usd::new(list.min(PLENTY.amount())),
        _ => PLENTY,
    };
    if whole { by_fee } else { by_fee.min(granted.byok) }
}

/// Bounds a prompt: a token has at least one byte of text.
pub(super) fn prompt_bound(body: &Map<String, Value>) -> PromptBound {
    let mut bound = PromptBound { tokens: PER_PROMPT, ..PromptBound::default() };
    for message in body.get("messages").and_then(Value::as_array).into_iter().flatten() {
        bound.tokens += PER_MESSAGE;
        for (name, value) in message.as_object().into_iter().flatten() {
            match value {
                Value::Array(parts) if name == "content" => parts.iter().for_each(|part| add_part(part, &mut bound)),
                value => bound.tokens += text_bytes(value),
            }
        }
    }
    for name in ["tools", "functions", "response_format", "tool_choice", "prediction"] {
        bound.tokens += body.get(name).map_or(0, text_bytes);
    }
    if wants_json(body) {
        // Some providers are asked for it in words.
        bound.tokens += PER_MESSAGE + u64::try_from(ONLY_JSON.len()).unwrap_or(u64::MAX);
    }
    bound.tokens += added_to_tools(body) + if has_shape(body) { PROMPT_OF_SHAPES } else { 0 };
    if let Some(Value::Array(kinds)) = body.get("modalities") {
        bound.spoken = kinds.iter().any(|kind| kind == "audio");
    }
    if let Some(input) = body.get("input") {
        add_input(input, &mut bound);
    }
    if let Some(Value::Array(documents)) = body.get("documents") {
        add_documents(body.get("query"), documents, &mut bound);
    }
    bound
}

/// Whether the answer is to have a certain shape.
fn has_shape(body: &Map<String, Value>) -> bool {
    let format = body.get("response_format").or_else(|| body.get("output_config")?.get("format"));
    let format = format.or_else(|| body.get("output_format")).and_then(|format| format.get("type"));
    format.and_then(Value::as_str) == Some("json_schema")
}

/// What a provider may say about tools in words of its own.
fn added_to_tools(body: &Map<String, Value>) -> u64 {
    let list = |name: &str| body.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let (tools, functions) = (list("tools"), list("functions"));
    if tools.is_empty() && functions.is_empty() {
        return 0;
    }
    let is_built_in =
        |tool: &&Value| !matches!(tool.get("type").and_then(Value::as_str), None | Some("function" | "custom"));
    let built_in = u64::try_from(tools.iter().filter(is_built_in).count()).unwrap_or(u64::MAX);
    PROMPT_OF_TOOLS + built_in.saturating_mul(PER_BUILT_IN)
}

/// Bounds a prompt that some providers get in the client's own words: what a translation leaves out is read, and paid, too.
pub(super) fn bound_of_both(body: &Map<String, Value>, words: Option<&Map<String, Value>>) -> PromptBound {
    let bound = prompt_bound(body);
    let Some(words) = words else { return bound };
    let mut own = prompt_bound(words);
    match words.get("system") {
        Some(Value::Array(parts)) => parts.iter().for_each(|part| add_part(part, &mut own)),
        system => own.tokens += system.map_or(0, text_bytes),
    }
    own.tokens += words.get("output_config").map_or(0, text_bytes);
    own.tokens = own.tokens.saturating_add(loaded_tools(words));
    bound.or(own)
}

/// What vectors are made of: a text, tokens, or several of either or of lists of parts.
fn add_input(input: &Value, bound: &mut PromptBound) {
    let tokens = |list: &[Value]| list.iter().all(Value::is_number).then(|| length_of(list));
    match input {
        Value::Array(list) if tokens(list).is_none() => {
            bound.texts = length_of(list);
            for one in list {
                bound.tokens += PER_MESSAGE;
                match (one, one.get("content")) {
                    (Value::Array(list), _) => bound.tokens += tokens(list).unwrap_or_else(|| text_bytes(one)),
                    (_, Some(Value::Array(parts))) => parts.iter().for_each(|part| add_part(part, bound)),
                    _ => bound.tokens += text_bytes(one),
                }
            }
        }
        Value::Array(list) => bound.tokens += length_of(list),
        input => bound.tokens += text_bytes(input),
    }
}

/// Each document is read together with the question.
fn add_documents(query: Option<&Value>, documents: &[Value], bound: &mut PromptBound) {
    let query = query.map_or(0, text_bytes);
    bound.texts = length_of(documents);
    let mut pieces = 0;
    for document in documents {
        let before = bound.tokens;
        bound.tokens += PER_MESSAGE + query;
        // It is sent as it came, and whatever it says may be read.
        bound.tokens += match document {
            Value::Object(fields) => {
                let words = fields.iter().filter(|(name, words)| *name != "image" || !words.is_string());
                words
                    .map(|(name, words)| u64::try_from(name.len()).unwrap_or(u64::MAX) + text_bytes(words))
                    .sum::<u64>()
            }
            words => text_bytes(words),
        };
        bound.images += u64::from(document.get("image").is_some());
        let room = PIECE_OF_DOCUMENT.saturating_sub(query).max(LEAST_OF_PIECE);
        pieces += (bound.tokens - before).div_ceil(room);
    }
    bound.units = pieces.div_ceil(DOCUMENTS_PER_UNIT);
}

fn length_of(list: &[Value]) -> u64 {
    u64::try_from(list.len()).unwrap_or(u64::MAX)
}

/// What a call can consume at one endpoint. Neither part can exceed what the endpoint takes and gives.
pub(super) fn bounds(prompt: PromptBound, offer: &Offer, cap: Option<u64>, choices: u64) -> Bounds {
    let endpoint = &offer.endpoint;
    let longest = u64::from(endpoint.output_limit());
    let images = endpoint.image_tokens.map_or(PER_IMAGE, u64::from).saturating_mul(prompt.images);
    let context = u64::from(endpoint.context_length).saturating_mul(prompt.texts.max(1));
    let counted = prompt.tokens.saturating_add(images).saturating_add(prompt.audio).min(context);
    Bounds {
        prompt_tokens: if prompt.elsewhere { context } else { counted },
        completion_tokens: cap.map_or(longest, |cap| cap.min(longest)).saturating_mul(choices),
        images: prompt.images,
        audio_tokens: prompt.audio,
        audio_output: prompt.spoken,
        requests: prompt.units.max(1),
    }
}

/// What to hold for a call that any of `candidates` may answer.
///
/// `most` covers the dearest of them. `least` is what the first must get: all of it where the caller fixed the
/// length, else its prompt and a small answer. `None` where a bound is not plausible or there is no candidate.
pub(super) fn estimate(
    candidates: &[Candidate],
    prompt: PromptBound,
    cap: Option<u64>,
    choices: u64,
) -> Option<Estimate> {
    let first = candidates.first()?;
    let (mut most, mut taken) = (Usd::ZERO, Usd::ZERO);
    for candidate in candidates {
        let offer = candidate.offer();
        let list = upper_bound(&bounds(prompt, offer, cap, choices), &offer.endpoint.price).ok()?;
        most = most.max(candidate.charge(list));
        if candidate.own().is_some() {
            taken = taken.max(list);
        }
    }
    let longest = bounds(prompt, first.offer(), cap, choices);
    let shortest = match cap {
        Some(_) => longest,
        None => Bounds { completion_tokens: longest.completion_tokens.min(SMALL_ANSWER * choices), ..longest },
    };
    let least = upper_bound(&shortest, &first.offer().endpoint.price).ok()?;
    let byok = Byok { most: taken, least: if first.own().is_some() { least } else { Usd::ZERO } };
    Some(Estimate { most, least: first.charge(least), asked_tokens: longest.completion_tokens, byok })
}

/// How long each answer may be at one endpoint, in tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Length {
    /// What the upstream is told; `None` where its own maximum is paid for.
    pub cap: Option<u64>,
    pub longest: u64,
}

/// How long an answer `held` pays for. `None` where it does not pay for a useful one, or not for all that the caller
/// fixed: the endpoint must be left out.
pub(super) fn length(held: Usd, prompt: PromptBound, offer: &Offer, cap: Option<u64>, choices: u64) -> Option<Length> {
    let most = bounds(prompt, offer, cap, choices);
    let longest = most.completion_tokens / choices.max(1);
    let affordable = affordable_completion(held, &most, &offer.endpoint.price).ok()??;
    if affordable >= most.completion_tokens {
        return Some(Length { cap: cap.map(|cap| cap.min(longest)), longest });
    }
    let each = affordable / choices.max(1);
    (cap.is_none() && each >= SMALL_ANSWER.min(longest)).then_some(Length { cap: Some(each), longest: each })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::routing::tests::{candidate, offer};
    use proptest::prelude::*;
    use serde_json::json;

    fn body(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }

    #[test]
    fn an_image_counts_by_the_image_and_not_by_its_bytes() {
        let data = "A".repeat(1_000_000);
        let with_image = prompt_bound(&body(json!({"messages":[{"role":"user","content":[
            {"type":"text","text":"what?"},{"type":"image_url","image_url":{"url":data}}]}]})));
        assert_eq!(with_image.images, 1);
        assert!(with_image.tokens < 200, "{with_image:?}");
        // By what the catalog says of the endpoint, else by a bound for all; never by more than an endpoint takes.
        let mut offer = offer("a/b", "one", "1", "2");
        let bound = |offer: &Offer, images| {
            bounds(PromptBound { images, ..with_image }, offer, None, 1).prompt_tokens - with_image.tokens
        };
        assert_eq!(bound(&offer, 1), PER_IMAGE);
        offer.endpoint.image_tokens = Some(48_169);
        assert_eq!((bound(&offer, 1), bound(&offer, 2)), (48_169, 96_338));
        assert_eq!(bound(&offer, 3) + with_image.tokens, 100_000);
    }

    #[test]
    fn a_hold_covers_the_words_that_are_sent_and_their_translation() {
        let translated = body(json!({"messages":[{"role":"user","content":"x"}]}));
        let long = "x".repeat(30_000);
        for words in [
            json!({"messages":[{"role":"user","content":[{"type":"document","context":long,
                "source":{"type":"text","media_type":"text/plain","data":"."}}]}]}),
            json!({"messages":[],"system":long}),
            json!({"messages":[],"system":[{"type":"text","text":long}]}),
            json!({"messages":[],"tools":[{"name":"f","input_examples":[{"a":long}]}]}),
            json!({"messages":[],"output_config":{"format":{"type":"json_schema","schema":{"description":long}}}}),
        ] {
            assert!(bound_of_both(&translated, Some(&body(words.clone()))).tokens > 30_000);
        }
        assert_eq!(bound_of_both(&translated, None), prompt_bound(&translated));
        assert_eq!(bound_of_both(&translated, Some(&translated)), prompt_bound(&translated));
    }

    #[test]
    fn what_a_provider_adds_to_tools_is_held() {
        let of = |value: Value| prompt_bound(&body(value)).tokens;
        for (tools, added) in [
            (json!([]), 0),
            (json!([{"type":"function","function":{"name":"f"}}]), PROMPT_OF_TOOLS),
            (json!([{"name":"f","input_schema":{}},{"type":"custom","name":"g"}]), PROMPT_OF_TOOLS),
            (json!([{"type":"bash_20250124","name":"bash"},{"name":"f"}]), PROMPT_OF_TOOLS + PER_BUILT_IN),
        ] {
            assert_eq!(of(json!({"tools":tools})), PER_PROMPT + text_bytes(&tools) + added, "{tools}");
        }
        let functions = json!([{"name":"f"}]);
        assert_eq!(of(json!({"functions":functions})), PER_PROMPT + text_bytes(&functions) + PROMPT_OF_TOOLS);
    }

    #[test]
    fn texts_tokens_and_documents_have_bounds_of_their_own() {
        let of = |value: Value| prompt_bound(&body(value));
        assert_eq!(of(json!({"input":vec![7; 1_000]})).tokens, PER_PROMPT + 1_000, "a token is a token");
        let several = of(json!({"input":[vec![7; 10], vec![7; 20]]}));
        assert_eq!((several.tokens, several.texts), (PER_PROMPT + 2 * PER_MESSAGE + 30, 2));
        let offer = offer("a/b", "one", "1", "0");
        let long = PromptBound { tokens: 150_000, texts: 2, ..PromptBound::default() };
        assert_eq!(bounds(long, &offer, Some(0), 1).prompt_tokens, 150_000, "each text has the whole context");
        let documents = of(json!({"query":"who","documents":vec!["short"; 100]}));
        assert_eq!((documents.texts, documents.units), (100, 1));
        assert_eq!(
            of(json!({"query":"who","documents":vec!["x".repeat(2_000); 100]})).units,
            5,
            "long ones count in pieces"
        );
        let long = "x".repeat(2_000);
        let other = of(json!({"messages":[],"documents":[{"doc":{"body":long}},{"title":long,"image":long}]}));
        assert!((4_000..5_000).contains(&other.tokens) && other.images == 1, "{other:?}");
        let audio = of(
            json!({"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"A".repeat(16_000)}}]}]}),
        );
        assert!(audio.audio >= PER_IMAGE + 1_000 && audio.tokens < 100, "{audio:?}");
    }

    #[test]
    fn an_open_length_is_elastic_and_a_fixed_one_is_not() {
        let prompt = PromptBound { tokens: 100, ..PromptBound::default() };
        let candidates = [candidate(offer("a/b", "one", "1", "2"))];
        let open = estimate(&candidates, prompt, None, 1).expect("an estimate");
        assert!(open.least < open.most);
        assert_eq!(open.least.exact(), "0.000132");
        let fixed = estimate(&candidates, prompt, Some(50), 1).expect("an estimate");
        assert_eq!((fixed.least, fixed.most.exact().as_str(), fixed.asked_tokens), (fixed.most, "0.0002", 50));
    }

    #[test]
    fn the_cap_is_lowered_to_what_the_hold_pays_for() {
        let prompt = PromptBound { tokens: 100, ..PromptBound::default() };
        let offer = offer("a/b", "one", "1", "2");
        let held = |text: &str| Usd::parse(text).unwrap_or_default();
        let length = |usd: &str, cap, choices| {
            length(held(usd), prompt, &offer, cap, choices).map(|length| (length.cap, length.longest))
        };
        assert_eq!(length("0.0003", None, 1), Some((Some(100), 100)));
        assert_eq!(length("0.00011", None, 1), None, "not worth a call");
        assert_eq!(length("1", None, 1), Some((None, 4_000)));
        assert_eq!(length("1", Some(9), 1), Some((Some(9), 9)));
        assert_eq!(length("0.0003", None, 2), Some((Some(50), 50)));
        assert_eq!(length("0.0003", Some(101), 1), None, "a fixed length is never cut");
    }

    proptest! {
        #[test]
        fn no_prompt_has_more_tokens_than_its_bound(text in "\\PC{0,400}") {
            let tokens = tiktoken_rs::o200k_base_singleton().count_ordinary(&text);
            let bound = prompt_bound(&body(json!({"messages":[{"role":"user","content":text}]})));
            prop_assert!(bound.tokens >= u64::try_from(tokens).unwrap_or(u64::MAX));
        }

        #[test]
        fn what_is_admitted_is_paid_for(held in 200_u32..100_000, tokens in 0_u64..1_000) {
            let prompt = PromptBound { tokens, ..PromptBound::default() };
            let offer = offer("a/b", "one", "1", "2");
            let held = Usd::new(rust_decimal::Decimal::new(i64::from(held), 6));
            if let Some(length) = length(held, prompt, &offer, None, 1) {
                let most = bounds(prompt, &offer, Some(length.longest), 1);
                let cost = upper_bound(&most, &offer.endpoint.price).expect("plausible");
                prop_assert!(cost <= held);
            }
        }
    }
}
