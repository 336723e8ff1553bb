//! A stream of chunks as the events of a message. Pure.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::super::writer::{BROKEN_OFF, CallPart, broken_off, choices};
use super::super::{sse, text, usage};
use super::broken;
use super::output::{blank, refuses, stop_reason, text_block};
use crate::gateway::wire::{Stamp, UsageOut};

/// What the open block holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Block {
    Thinking,
    Text,
    /// The call of a tool, by its number in the stream of chunks.
    Tool(u64),
}

/// Where a message stands.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    started: bool,
    open: Option<Block>,
    /// The id of the call that was begun last.
    call: String,
    /// Blocks begun so far; the last one is the open one.
    blocks: u64,
    /// Why the upstream ended it, in its own word.
    finish: String,
    /// What it says is why there is no answer.
    refused: bool,
    /// How an upstream of the same language ended its message: kept back until it is known what the message cost.
    ending: Option<Map<String, Value>>,
}

impl Writer {
    /// An event of an upstream that speaks the same.
    pub(in crate::gateway::dialect) fn same_words(
        &mut self,
        mut event: Map<String, Value>,
        stamp: &Stamp,
    ) -> Option<Bytes> {
        let name = event.get("type").and_then(Value::as_str)?.to_owned();
        match name.as_str() {
            "message_start" => {
                self.started = true;
                let message = event.get_mut("message").and_then(Value::as_object_mut)?;
                for (name, value) in [("id", &stamp.id), ("model", &stamp.model), ("provider", &stamp.provider)] {
                    message.insert(name.into(), value.as_str().into());
                }
            }
            "message_delta" => {
                self.ending = Some(event);
                return None;
            }
            _ => {}
        }
        let mut out = Vec::with_capacity(256);
        sse::named(&mut out, &name, &Value::Object(event).to_string());
        Some(out.into())
    }

    /// A chunk of any other upstream. `prompt` is what it said so far of the prompt's tokens.
    pub(in crate::gateway::dialect) fn chunk(
        &mut self,
        chunk: &Map<String, Value>,
        prompt: Option<u64>,
        stamp: &Stamp,
    ) -> Option<Bytes> {
        let mut out = Vec::with_capacity(256);
        self.start(stamp, prompt, &mut out);
        // A message is one answer; more than one is never asked for.
        let choice = choices(chunk).next()?;
        let delta = choice.get("delta").unwrap_or(&Value::Null);
        self.thinking(delta, &mut out);
        self.refused |= refuses(delta);
        for said in ["content", "refusal"].into_iter().filter_map(|name| text(delta, name)) {
            if !said.is_empty() {
                self.begin(Block::Text, text_block(""), &mut out);
                self.delta(&json!({ "type": "text_delta", "text": said }), &mut out);
            }
        }
        for call in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            self.tool(call, &mut out);
        }
        if let Some(finish) = choice.get("finish_reason").and_then(Value::as_str) {
            finish.clone_into(&mut self.finish);
        }
        (!out.is_empty()).then(|| out.into())
    }

    /// The end, with what the message cost.
    pub(in crate::gateway::dialect) fn end(&mut self, stamp: &Stamp, spent: &UsageOut) -> Bytes {
        if self.finish == BROKEN_OFF {
            return broken(&broken_off(stamp, spent), spent);
        }
        let mut out = Vec::with_capacity(512);
        self.start(stamp, Some(spent.tokens.prompt), &mut out);
        self.close(&mut out);
        let ending = self.ending.take().map_or_else(
            || {
                json!({ "type": "message_delta", "delta": { "stop_reason": stop_reason(&self.finish, self.refused),
                    "stop_sequence": null, "stop_details": null, "container": null } })
            },
            |mut ending| {
                ending.shift_remove("usage");
                if let Some(delta) = ending.get_mut("delta").and_then(Value::as_object_mut) {
                    for name in ["stop_details", "container"] {
                        delta.entry(name).or_insert(Value::Null);
                    }
                }
                Value::Object(ending)
            },
        );
        sse::named(&mut out, "message_delta", &sse::with(&ending, "usage", &usage::of_message(spent)));
        sse::named(&mut out, "message_stop", r#"{"type":"message_stop"}"#);
        out.into()
    }

    fn start(&mut self, stamp: &Stamp, prompt: Option<u64>, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let mut message = blank(stamp);
        // What was used is told at the end; clients take the last numbers.
        message.insert(
            "usage".into(),
            json!({ "input_tokens": prompt.unwrap_or(0), "output_tokens": 0, "cache_creation_input_tokens": null,
                "cache_read_input_tokens": null, "cache_creation": null, "output_tokens_details": null,
                "server_tool_use": null, "service_tier": null, "inference_geo": null }),
        );
        sse::named(out, "message_start", &json!({ "type": "message_start", "message": message }).to_string());
    }

    fn thinking(&mut self, delta: &Value, out: &mut Vec<u8>) {
        let empty = || json!({ "type": "thinking", "thinking": "", "signature": "" });
        if let Some(thought) = text(delta, "reasoning").filter(|thought| !thought.is_empty()) {
            self.begin(Block::Thinking, empty(), out);
            self.delta(&json!({ "type": "thinking_delta", "thinking": thought }), out);
        }
        for detail in delta.get("reasoning_details").and_then(Value::as_array).into_iter().flatten() {
            if let Some(signature) = text(detail, "signature") {
                self.begin(Block::Thinking, empty(), out);
                self.delta(&json!({ "type": "signature_delta", "signature": signature }), out);
            } else if let Some(data) = text(detail, "data") {
                self.close(out);
                self.begin(Block::Thinking, json!({ "type": "redacted_thinking", "data": data }), out);
                self.close(out);
            }
        }
    }

    fn tool(&mut self, call: &Value, out: &mut Vec<u8>) {
        let part = CallPart::of(call);
        if self.open != Some(Block::Tool(part.number)) || !part.goes_on(&self.call) {
            self.close(out);
            self.call = part.call_id();
            self.begin(
                Block::Tool(part.number),
                json!({ "type": "tool_use", "id": self.call, "name": part.name, "input": {},
                "caller": { "type": "direct" } }),
                out,
            );
        }
        if !part.arguments.is_empty() {
            self.delta(&json!({ "type": "input_json_delta", "partial_json": part.arguments }), out);
        }
    }

    fn begin(&mut self, block: Block, content: Value, out: &mut Vec<u8>) {
        if self.open == Some(block) {
            return;
        }
        self.close(out);
        self.open = Some(block);
        let start = json!({ "type": "content_block_start", "index": self.blocks, "content_block": content });
        sse::named(out, "content_block_start", &start.to_string());
        self.blocks += 1;
    }

    fn delta(&self, delta: &Value, out: &mut Vec<u8>) {
        let index = self.blocks.saturating_sub(1);
        let delta = json!({ "type": "content_block_delta", "index": index, "delta": delta });
        sse::named(out, "content_block_delta", &delta.to_string());
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open.take().is_some() {
            let stop = json!({ "type": "content_block_stop", "index": self.blocks.saturating_sub(1) });
            sse::named(out, "content_block_stop", &stop.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Usd;
    use crate::gateway::Tokens;

    fn stamp() -> Stamp {
        Stamp { id: "gen-1".into(), created: 5, model: "a/b".into(), provider: "P".into() }
    }

    fn events(bytes: &[u8]) -> Vec<Value> {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .map(|data| serde_json::from_str(data).expect("JSON"))
            .collect()
    }

    fn usage() -> UsageOut {
        UsageOut::new(Tokens { prompt: 9, completion: 4, ..Tokens::default() }, Usd::from_cents(1), &[])
    }

    #[test]
    fn chunks_become_blocks_one_after_the_other() {
        let mut writer = Writer::default();
        let mut seen = Vec::new();
        for delta in [
            json!({"role":"assistant","content":""}),
            json!({"reasoning":"hm"}),
            json!({"content":"Hel"}),
            json!({"content":"lo"}),
            json!({"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":""}}]}),
            json!({"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}),
            json!({"tool_calls":[{"index":1,"id":"c2","function":{"name":"g","arguments":"{}"}}]}),
        ] {
            let chunk = json!({"choices":[{"delta":delta,"finish_reason":null}]});
            let chunk = chunk.as_object().cloned().unwrap_or_default();
            seen.extend(writer.chunk(&chunk, None, &stamp()).iter().flat_map(|bytes| events(bytes)));
        }
        let last = json!({"choices":[{"delta":{},"finish_reason":"tool_calls"}]});
        assert_eq!(writer.chunk(last.as_object().expect("an object"), None, &stamp()), None);
        seen.extend(events(&writer.end(&stamp(), &usage())));
        let told: Vec<(String, Option<u64>)> = seen
            .iter()
            .map(|event| (event["type"].as_str().unwrap_or_default().to_owned(), event["index"].as_u64()))
            .collect();
        let told: Vec<(&str, Option<u64>)> = told.iter().map(|(name, index)| (name.as_str(), *index)).collect();
        assert_eq!(
            told,
            [
                ("message_start", None),
                ("content_block_start", Some(0)),
                ("content_block_delta", Some(0)),
                ("content_block_stop", Some(0)),
                ("content_block_start", Some(1)),
                ("content_block_delta", Some(1)),
                ("content_block_delta", Some(1)),
                ("content_block_stop", Some(1)),
                ("content_block_start", Some(2)),
                ("content_block_delta", Some(2)),
                ("content_block_stop", Some(2)),
                ("content_block_start", Some(3)),
                ("content_block_delta", Some(3)),
                ("content_block_stop", Some(3)),
                ("message_delta", None),
                ("message_stop", None),
            ]
        );
        assert_eq!(
            seen[4]["content_block"],
            json!({"type":"text","text":"","citations":[]}),
            "never null: some refuse it"
        );
        let end = &seen[seen.len() - 2];
        assert_eq!((&end["delta"]["stop_reason"], &end["usage"]["output_tokens"]), (&json!("tool_use"), &json!(4)));
        assert_eq!(end["usage"]["cost"].to_string(), "0.01");
    }

    #[test]
    fn a_refusal_is_a_text_that_ends_as_one() {
        let mut writer = Writer::default();
        let mut seen = Vec::new();
        for (delta, finish) in [(json!({"refusal":"I can't."}), Value::Null), (json!({}), json!("stop"))] {
            let chunk = json!({"choices":[{"delta":delta,"finish_reason":finish}]});
            let chunk = chunk.as_object().cloned().unwrap_or_default();
            seen.extend(writer.chunk(&chunk, None, &stamp()).iter().flat_map(|bytes| events(bytes)));
        }
        seen.extend(events(&writer.end(&stamp(), &usage())));
        assert_eq!(seen[2]["delta"]["text"], "I can't.", "{seen:?}");
        assert_eq!(seen[seen.len() - 2]["delta"]["stop_reason"], "refusal", "{seen:?}");
    }

    #[test]
    fn a_message_that_its_provider_broke_off_ends_with_an_error_and_its_cost() {
        let mut writer = Writer::default();
        let chunk = json!({"choices":[{"delta":{"content":"Hel"},"finish_reason":"error"}]});
        assert!(writer.chunk(chunk.as_object().expect("an object"), None, &stamp()).is_some());
        let seen = events(&writer.end(&stamp(), &usage()));
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert_eq!((&seen[0]["type"], &seen[0]["error"]["type"]), (&json!("error"), &json!("api_error")));
        assert_eq!(seen[0]["usage"]["cost"].to_string(), "0.01");
    }

    #[test]
    fn a_call_goes_on_where_its_id_is_repeated_and_ends_where_another_begins() {
        let mut writer = Writer::default();
        let mut seen = Vec::new();
        for (id, name, arguments) in
            [("X", "f", "{\"a\""), ("X", "f", ":1}"), ("Y", "g", "{"), ("Y", "", "}"), ("", "", ""), ("Z", "", "")]
        {
            let call = json!({"index":0,"id":id,"function":{"name":name,"arguments":arguments}});
            let chunk = json!({"choices":[{"delta":{"tool_calls":[call]},"finish_reason":null}]});
            let chunk = chunk.as_object().cloned().unwrap_or_default();
            seen.extend(writer.chunk(&chunk, None, &stamp()).iter().flat_map(|bytes| events(bytes)));
        }
        let begun = seen.iter().filter(|event| event["type"] == "content_block_start");
        let begun: Vec<_> = begun.map(|event| event["content_block"]["id"].as_str().unwrap_or_default()).collect();
        assert_eq!(begun, ["X", "Y"]);
        let parts = |index: u64| -> String {
            let of_it = seen.iter().filter(|event| event["index"] == index);
            of_it.filter_map(|event| event["delta"]["partial_json"].as_str()).collect()
        };
        assert_eq!((parts(0).as_str(), parts(1).as_str()), ("{\"a\":1}", "{}"));
    }

    #[test]
    fn events_of_the_same_language_pass_but_for_our_names_and_the_bill() {
        let mut writer = Writer::default();
        let mut seen = Vec::new();
        for event in [
            json!({"type":"message_start","message":{"id":"msg_1","model":"up","usage":{"input_tokens":9}}}),
            json!({"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}),
            json!({"type":"content_block_delta","index":0,"delta":{"type":"citations_delta","citation":{"x":1}}}),
            json!({"type":"message_delta","delta":{"stop_reason":"stop_sequence","stop_sequence":"END"},"usage":{"output_tokens":4}}),
        ] {
            let event = event.as_object().cloned().unwrap_or_default();
            seen.extend(writer.same_words(event, &stamp()).iter().flat_map(|bytes| events(bytes)));
        }
        seen.extend(events(&writer.end(&stamp(), &usage())));
        assert_eq!(seen.len(), 5, "{seen:?}");
        assert_eq!(seen[0]["message"]["id"], "gen-1");
        assert_eq!(seen[2]["delta"]["citation"], json!({"x":1}));
        assert_eq!((&seen[3]["delta"]["stop_sequence"], &seen[3]["usage"]["input_tokens"]), (&json!("END"), &json!(9)));
        assert_eq!(seen[4], json!({"type":"message_stop"}));
    }
}
