//! What a call produced: a pure fold over the upstream's answer, whole or in chunks.

use serde_json::{Map, Value};

use super::wire::finish_reason;
use crate::catalog::MAX_QUANTITY;

/// What is known about a call's tokens so far. A number that the upstream never said is `None`; its zero is zero.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Meter {
    pub prompt: Option<u64>,
    pub completion: Option<u64>,
    pub cached: u64,
    pub cache_write: u64,
    pub reasoning: u64,
    /// Of the prompt and of the answer: audio.
    pub audio: u64,
    pub audio_output: u64,
    /// Units of a search.
    pub units: Option<u64>,
    /// Everything that the model wrote, for counting where the upstream did not.
    pub text: String,
    /// Choices that were seen, and that have finished, a bit for each: more than sixteen cannot be asked for.
    seen: u64,
    finished: u64,
    /// How much of `text` was there when the upstream last told of more tokens than before.
    told_at: usize,
    /// Something came that is no text, so that only the upstream can count it.
    pub wordless: bool,
    /// The upstream's own word for how the answer ended; empty until it did.
    pub native_finish: String,
    pub upstream_id: String,
    /// A number was told that cannot be true. It counts as not told.
    pub implausible: bool,
}

impl Meter {
    /// Takes one chunk of a stream. Numbers in it include its text.
    pub(super) fn chunk(&mut self, chunk: &Map<String, Value>) {
        for choice in choices(chunk) {
            self.finish(choice);
            if let Some(Value::Object(delta)) = choice.get("delta") {
                self.read(delta);
            }
        }
        self.common(chunk);
    }

    /// Takes an answer in one piece. Its text is kept only where the upstream did not count.
    pub(super) fn whole(&mut self, answer: &Map<String, Value>) {
        self.common(answer);
        for choice in choices(answer) {
            self.finish(choice);
            if self.completion.unwrap_or(0) == 0
                && let Some(Value::Object(message)) = choice.get("message")
            {
                self.read(message);
            }
        }
    }

    /// Takes an answer in which nothing is written. What was sent is all there is to pay for.
    pub(super) fn unwritten(&mut self, answer: &Map<String, Value>) {
        self.common(answer);
        let number = |group: &str, name: &str| answer.get(group)?.get(name)?.as_u64();
        let read = number("usage", "total_tokens").or_else(|| number("usage", "input_tokens"));
        let read = read.or_else(|| answer.get("meta")?.get("tokens")?.get("input_tokens")?.as_u64());
        if self.prompt.is_none() {
            self.implausible |= total(&mut self.prompt, read);
        }
        self.units = units(answer);
        self.completion = Some(0);
        "stop".clone_into(&mut self.native_finish);
    }

    /// The reason in our words; empty until the answer ended.
    pub(super) fn finish_reason(&self) -> &'static str {
        if self.native_finish.is_empty() { "" } else { finish_reason(&self.native_finish) }
    }

    pub(super) fn has_finished(&self) -> bool {
        !self.native_finish.is_empty()
    }

    /// Whether nothing is missing any more, neither of the answer nor of its numbers.
    pub(super) fn is_complete(&self) -> bool {
        self.seen != 0
            && self.finished == self.seen
            && self.prompt.is_some()
            && self.completion.is_some()
            && !self.went_on()
    }

    /// Whether more was written after the upstream told how much: its number was that of the beginning.
    pub(super) fn went_on(&self) -> bool {
        self.completion.is_some() && self.text.len() > self.told_at
    }

    /// Whether anything came out of the model.
    pub(super) fn produced(&self) -> bool {
        self.completion.unwrap_or(0) > 0 || !self.text.is_empty() || self.wordless
    }

    /// Nothing came out, and not because the model had nothing to say: such a call costs nothing.
    pub(super) fn is_free(&self) -> bool {
        !self.produced() && matches!(self.finish_reason(), "" | "error")
    }

    fn common(&mut self, map: &Map<String, Value>) {
        if self.upstream_id.is_empty()
            && let Some(Value::String(id)) = map.get("id")
        {
            self.upstream_id = id.chars().take(MAX_ID).collect();
        }
        match map.get("usage") {
            Some(Value::Object(usage)) => self.usage(usage),
            // One provider puts its numbers under a name of its own.
            _ => {
                if let Some(usage) = map.get("x_groq").and_then(|own| own.get("usage")).and_then(Value::as_object) {
                    self.usage(usage);
                }
            }
        }
    }

    /// What the model put into a message or delta: text, refusal, reasoning, calls of tools, and whatever else there is.
    fn read(&mut self, message: &Map<String, Value>) {
        for (name, value) in message {
            match (name.as_str(), value) {
                ("content", Value::Array(parts)) => parts.iter().for_each(|part| self.part(part)),
                // One thought may stand there under several names.
                ("reasoning_content" | "reasoning_details", _)
                    if message.get("reasoning").is_some_and(says_something) => {}
                ("reasoning_details", _) if message.get("reasoning_content").is_some_and(says_something) => {}
                ("content" | "refusal" | "reasoning" | "reasoning_content", text) => self.add(text),
                ("tool_calls", Value::Array(calls)) => {
                    for call in calls {
                        self.call(call.get("function"), "arguments");
                        self.call(call.get("custom"), "input");
                    }
                }
                ("function_call", call) => self.call(Some(call), "arguments"),
                ("audio", sound) => {
                    if let Some(text) = sound.get("transcript") {
                        self.add(text);
                    }
                    self.wordless |= sound.get("data").is_some_and(says_something);
                }
                // Who speaks and how it is numbered: some say it with every piece.
                ("role" | "name" | "channel" | "type" | "id" | "index" | "format" | "status", _) => {}
                (_, other) => self.wordless |= says_something(other),
            }
        }
    }

    fn add(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.text.push_str(text),
            other => self.wordless |= says_something(other),
        }
    }

    fn part(&mut self, part: &Value) {
        let (text, thinking) = (part.get("text"), part.get("thinking"));
        if text.is_none() && thinking.is_none() {
            self.wordless |= says_something(part);
        }
        if let Some(text) = text {
            self.add(text);
        }
        match thinking {
            Some(Value::Array(thoughts)) => {
                thoughts.iter().filter_map(|thought| thought.get("text")).for_each(|text| self.add(text));
            }
            Some(thought) => self.add(thought),
            None => {}
        }
    }

    fn call(&mut self, call: Option<&Value>, words: &str) {
        for name in ["name", words] {
            if let Some(text) = call.and_then(|call| call.get(name)) {
                self.add(text);
            }
        }
    }

    fn finish(&mut self, choice: &Map<String, Value>) {
        let bit = 1_u64 << choice.get("index").and_then(Value::as_u64).unwrap_or(0).min(63);
        self.seen |= bit;
        let native = choice.get("native_finish_reason").or_else(|| choice.get("finish_reason"));
        if let Some(Value::String(native)) = native
            && !native.is_empty()
        {
            self.native_finish = native.chars().take(MAX_ID).collect();
            self.finished |= bit;
        }
    }

    /// Some upstreams report once, some repeat running totals: the greatest of each number is the total.
    fn usage(&mut self, usage: &Map<String, Value>) {
        let number = |name: &str| usage.get(name).and_then(Value::as_u64);
        let part = |group: &str, name: &str| {
            let part = usage.get(group).and_then(|group| group.get(name)).and_then(Value::as_u64);
            part.filter(|tokens| *tokens <= MAX_QUANTITY)
        };
        let cached = part("prompt_tokens_details", "cached_tokens").or_else(|| number("prompt_cache_hit_tokens"));
        let cached = cached.filter(|tokens| *tokens <= MAX_QUANTITY);
        self.cached = self.cached.max(cached.unwrap_or(0));
        self.cache_write = self.cache_write.max(part("prompt_tokens_details", "cache_write_tokens").unwrap_or(0));
        self.reasoning = self.reasoning.max(part("completion_tokens_details", "reasoning_tokens").unwrap_or(0));
        self.audio = self.audio.max(part("prompt_tokens_details", "audio_tokens").unwrap_or(0));
        self.audio_output = self.audio_output.max(part("completion_tokens_details", "audio_tokens").unwrap_or(0));
        let whole = number("total_tokens").filter(|tokens| *tokens <= MAX_QUANTITY);
        let written = answer_tokens(number("prompt_tokens"), number("completion_tokens"), whole);
        self.implausible |= total(&mut self.prompt, number("prompt_tokens"));
        let before = self.completion;
        self.implausible |= total(&mut self.completion, written);
        if self.completion > before {
            self.told_at = self.text.len();
        }
    }
}

/// Raises a total to what was told, and says whether that cannot be true. Then what was told before is not the total either.
fn total(so_far: &mut Option<u64>, told: Option<u64>) -> bool {
    let implausible = told > Some(MAX_QUANTITY);
    *so_far = if implausible { None } else { (*so_far).max(told) };
    implausible
}

/// Units of a search, if the provider said and it can be true.
pub(super) fn units(answer: &Map<String, Value>) -> Option<u64> {
    let billed = answer.get("meta").and_then(|meta| meta.get("billed_units"));
    let told = |group: Option<&Value>| group?.get("search_units")?.as_u64().filter(|units| *units <= MAX_QUANTITY);
    told(billed).or_else(|| told(answer.get("usage")))
}

/// Longest id or reason that is kept.
const MAX_ID: usize = 200;

/// Some upstreams leave reasoning out of `completion_tokens` but not out of the total. The total is what they bill.
fn answer_tokens(prompt: Option<u64>, completion: Option<u64>, total: Option<u64>) -> Option<u64> {
    match (prompt, completion, total) {
        (Some(prompt), Some(completion), Some(total)) if completion > 0 => {
            Some(completion.max(total.saturating_sub(prompt)))
        }
        _ => completion,
    }
}

fn choices(map: &Map<String, Value>) -> impl Iterator<Item = &Map<String, Value>> {
    map.get("choices").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

/// Whether there is anything in a value but names, kinds and numbers of things.
fn says_something(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => items.iter().any(says_something),
        Value::Object(fields) => fields.iter().any(|(name, value)| {
            !matches!(name.as_str(), "type" | "id" | "index" | "format" | "role" | "name" | "status")
                && says_something(value)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::wire::SseParser;
    use proptest::prelude::*;
    use serde_json::json;
    use std::collections::VecDeque;

    fn metered(chunks: &[Value]) -> Meter {
        let mut meter = Meter::default();
        chunks.iter().filter_map(Value::as_object).for_each(|chunk| meter.chunk(chunk));
        meter
    }

    #[test]
    fn zero_is_a_number_and_null_is_none() {
        let zero = metered(&[json!({"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0}})]);
        assert_eq!((zero.prompt, zero.completion), (Some(0), Some(0)));
        let silent = metered(&[json!({"choices":[],"usage":null})]);
        assert_eq!((silent.prompt, silent.completion), (None, None));
    }

    #[test]
    fn running_totals_and_single_reports_come_to_the_same() {
        let running = metered(&[
            json!({"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1}}),
            json!({"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5}}),
        ]);
        assert_eq!((running.prompt, running.completion), (Some(9), Some(5)));
    }

    #[test]
    fn a_number_is_of_what_was_written_until_then() {
        let piece = |text: &str, tokens: Option<u64>| {
            let usage = tokens.map(|tokens| json!({"prompt_tokens":9,"completion_tokens":tokens}));
            json!({"choices":[{"delta":{"content":text}}],"usage":usage})
        };
        for (chunks, went_on) in [
            (vec![piece("", Some(1)), piece("a", None)], true),
            (vec![piece("", Some(1)), piece("a", Some(1)), piece("b", Some(1))], true),
            (vec![piece("a", Some(1)), piece("b", Some(2))], false),
            (vec![piece("a", None), piece("", Some(1))], false),
            (vec![piece("a", None)], false),
        ] {
            assert_eq!(metered(&chunks).went_on(), went_on, "{chunks:?}");
        }
    }

    #[test]
    fn reasoning_that_only_the_total_has_is_counted() {
        let usage = json!({"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":45,
            "completion_tokens_details":{"reasoning_tokens":30}}});
        assert_eq!(metered(&[usage]).completion, Some(35));
    }

    #[test]
    fn a_number_that_cannot_be_true_is_as_good_as_not_told() {
        let many = MAX_QUANTITY + 1;
        let usage = |prompt: u64, completion: u64| json!({"choices":[],"usage":{"prompt_tokens":prompt,"completion_tokens":completion}});
        for (chunks, prompt, completion) in [
            (vec![usage(9, many)], Some(9), None),
            (vec![usage(u64::MAX, 5)], None, Some(5)),
            (vec![usage(9, 1), usage(9, u64::MAX)], Some(9), None),
            (vec![json!({"choices":[],"usage":{"prompt_tokens":many}})], None, None),
        ] {
            let meter = metered(&chunks);
            assert_eq!((meter.prompt, meter.completion, meter.implausible), (prompt, completion, true), "{chunks:?}");
        }
        let total = json!({"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":u64::MAX,
            "prompt_tokens_details":{"cached_tokens":many}}});
        let meter = metered(&[total]);
        assert_eq!((meter.prompt, meter.completion, meter.cached), (Some(9), Some(5), 0));
        let units = |units: u64| json!({"meta":{"billed_units":{"search_units":units}}});
        assert_eq!(units(3).as_object().and_then(super::units), Some(3));
        assert_eq!(units(many).as_object().and_then(super::units), None);
    }

    #[test]
    fn only_an_empty_answer_without_a_reason_is_free() {
        let choice = |delta: Value, finish: Value| json!({"choices":[{"delta":delta,"finish_reason":finish}]});
        assert!(metered(&[]).is_free());
        assert!(metered(&[choice(json!({}), json!("error"))]).is_free());
        assert!(!metered(&[choice(json!({}), json!("stop"))]).is_free());
        assert!(!metered(&[choice(json!({"content":"x"}), json!(null))]).is_free());
        let call = json!({"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}}]});
        assert_eq!(metered(&[choice(call, json!(null))]).text, "f{}");
    }

    #[test]
    fn whatever_comes_out_of_a_model_was_produced() {
        let of = |delta: &Value| metered(&[json!({"choices":[{"delta":delta}]})]);
        for (delta, text) in [
            (json!({"function_call":{"name":"f","arguments":"{}"}}), "f{}"),
            (json!({"tool_calls":[{"index":0,"id":"c","type":"custom","custom":{"name":"f","input":"ls"}}]}), "fls"),
            (json!({"audio":{"id":"a","transcript":"hi"}}), "hi"),
            (json!({"reasoning_content":"hm","reasoning":null}), "hm"),
            (json!({"reasoning":"hm","reasoning_content":"hm","reasoning_details":[{"text":"hm"}]}), "hm"),
        ] {
            let meter = of(&delta);
            assert_eq!((meter.text.as_str(), meter.wordless, meter.produced()), (text, false, true), "{delta}");
        }
        for delta in [
            json!({"audio":{"id":"a","data":"UklG"}}),
            json!({"images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}),
            json!({"reasoning_details":[{"type":"reasoning.encrypted","data":"gAAA"}]}),
            json!({"content":[{"type":"image","data":"AAAA"}]}),
            json!({"function_call":{"arguments":{"city":"Bern"}}}),
        ] {
            let meter = of(&delta);
            assert_eq!((meter.text.as_str(), meter.wordless, meter.produced()), ("", true, true), "{delta}");
        }
        let silent = json!({"role":"assistant","name":"M","channel":"final","content":"","refusal":null,"reasoning":"",
            "tool_calls":null,"function_call":null,"audio":{"id":"a","transcript":"","expires_at":1},"audio_content":"",
            "reasoning_details":[],"annotations":[],"provider_specific_fields":{"citations":null},"token_id":7});
        assert!(!of(&silent).produced());
    }

    #[test]
    fn thoughts_among_parts_are_written_too() {
        let parts = json!([{"type":"thinking","thinking":[{"type":"text","text":"h"},{"type":"text","text":"m"}]},
            {"type":"text","text":" hi"},{"type":"thinking","thinking":"!"}]);
        assert_eq!(metered(&[json!({"choices":[{"delta":{"content":parts}}]})]).text, "hm hi!");
    }

    const STREAM: &str = concat!(
        "data: {\"id\":\"up-1\",\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
        ": waiting\n\n",
        "data: {\"id\":\"up-1\",\"choices\":[{\"delta\":{\"content\":\"grüße \"}}]}\r\n\r\n",
        "data: {\"id\":\"up-1\",\"choices\":[{\"delta\":{\"content\":\"世界\"},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"id\":\"up-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}\n\n",
        "data: [DONE]\n\n",
    );

    fn metered_in_pieces(pieces: &[&[u8]]) -> Meter {
        let (mut parser, mut out, mut meter) = (SseParser::default(), VecDeque::new(), Meter::default());
        for piece in pieces {
            parser.push(piece, &mut out).expect("short lines");
            for event in out.drain(..) {
                if let Ok(Value::Object(chunk)) = serde_json::from_slice(&event) {
                    meter.chunk(&chunk);
                }
            }
        }
        meter
    }

    proptest! {
        #[test]
        fn packets_may_be_cut_anywhere(cuts in proptest::collection::vec(0_usize..STREAM.len(), 0..20)) {
            let bytes = STREAM.as_bytes();
            let mut cuts = cuts;
            cuts.sort_unstable();
            let starts = std::iter::once(0).chain(cuts.iter().copied());
            let ends = cuts.iter().copied().chain(std::iter::once(bytes.len()));
            let pieces: Vec<&[u8]> = starts.zip(ends).filter_map(|(start, end)| bytes.get(start..end)).collect();
            let meter = metered_in_pieces(&pieces);
            prop_assert_eq!(&meter.text, "grüße 世界");
            prop_assert_eq!(meter, metered_in_pieces(&[bytes]));
        }
    }
}
