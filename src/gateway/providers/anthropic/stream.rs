//! The events of a streamed message, as chunks in OpenAI's shape. Pure.

use serde_json::{Map, Value, json};

use crate::catalog::MAX_QUANTITY;

/// What a message used so far. Its prompt excludes what was cached; ours includes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Spent {
    input: Option<u64>,
    cache_read: u64,
    cache_write: u64,
    output: Option<u64>,
}

impl Spent {
    /// Takes a `usage` object; later numbers are running totals.
    pub(super) fn add(&mut self, usage: Option<&Value>) {
        self.add_prompt(usage);
        self.output = self.output.max(number(usage, "output_tokens"));
    }

    /// Without the output: at the start of a message it is a placeholder.
    fn add_prompt(&mut self, usage: Option<&Value>) {
        self.input = self.input.max(number(usage, "input_tokens"));
        self.cache_read = self.cache_read.max(number(usage, "cache_read_input_tokens").unwrap_or(0));
        self.cache_write = self.cache_write.max(number(usage, "cache_creation_input_tokens").unwrap_or(0));
    }

    /// As OpenAI would say it; what is not known is left out.
    pub(super) fn to_usage(self) -> Option<Value> {
        let mut out = Map::new();
        if let Some(input) = self.input {
            out.insert("prompt_tokens".into(), (input + self.cache_read + self.cache_write).into());
            let details = json!({ "cached_tokens": self.cache_read, "cache_write_tokens": self.cache_write });
            out.insert("prompt_tokens_details".into(), details);
        }
        if let Some(output) = self.output {
            out.insert("completion_tokens".into(), output.into());
        }
        (!out.is_empty()).then_some(Value::Object(out))
    }
}

/// One that cannot be true is cut to the least that cannot, so that sums of several stay numbers.
fn number(usage: Option<&Value>, name: &str) -> Option<u64> {
    Some(usage?.get(name)?.as_u64()?.min(MAX_QUANTITY + 1))
}

/// A part of one's thinking, for clients that join parts by their place and send them back as they came
/// (<https://openrouter.ai/docs/guides/best-practices/reasoning-tokens>).
pub(super) fn detail(mut detail: Value, index: u64) -> Value {
    detail["format"] = "anthropic-claude-v1".into();
    detail["index"] = index.into();
    detail
}

/// Where a stream stands.
#[derive(Debug, Default)]
pub(in crate::gateway::providers) struct AnthropicStream {
    id: Value,
    spent: Spent,
    /// Tool calls so far; the last one is the one being written.
    tools: u64,
    /// Blocks of thinking so far; the same holds for them.
    thoughts: u64,
    done: bool,
}

impl AnthropicStream {
    pub(in crate::gateway::providers) fn is_done(&self) -> bool {
        self.done
    }

    /// The chunk that an event stands for, if any. Errors are read before.
    pub(in crate::gateway::providers) fn event(&mut self, event: &Map<String, Value>) -> Option<Map<String, Value>> {
        match event.get("type").and_then(Value::as_str)? {
            "message_start" => {
                let message = event.get("message")?;
                self.id = message.get("id").cloned().unwrap_or_default();
                self.spent.add_prompt(message.get("usage"));
                Some(self.chunk(json!({ "role": "assistant", "content": "" }), Value::Null))
            }
            "content_block_start" => self.block(event.get("content_block")?),
            "content_block_delta" => self.delta(event.get("delta")?),
            "message_delta" => {
                self.spent.add(event.get("usage"));
                let reason = event.get("delta").and_then(|delta| delta.get("stop_reason")).cloned();
                Some(self.chunk(json!({}), reason.unwrap_or_default()))
            }
            "message_stop" => {
                self.done = true;
                None
            }
            _ => None,
        }
    }

    fn block(&mut self, block: &Value) -> Option<Map<String, Value>> {
        match block.get("type").and_then(Value::as_str)? {
            "tool_use" => {
                self.tools += 1;
                let function = json!({ "name": block.get("name"), "arguments": "" });
                let call =
                    json!({ "index": self.tools - 1, "id": block.get("id"), "type": "function", "function": function });
                Some(self.chunk(json!({ "tool_calls": [call] }), Value::Null))
            }
            "thinking" => {
                self.thoughts += 1;
                None
            }
            "redacted_thinking" => {
                self.thoughts += 1;
                let detail = self.detail(json!({ "type": "reasoning.encrypted", "data": block.get("data") }));
                Some(self.chunk(json!({ "reasoning_details": [detail] }), Value::Null))
            }
            _ => None,
        }
    }

    fn delta(&self, delta: &Value) -> Option<Map<String, Value>> {
        let delta = match delta.get("type").and_then(Value::as_str)? {
            "text_delta" => json!({ "content": delta.get("text") }),
            "input_json_delta" => {
                let call = json!({ "index": self.tools.saturating_sub(1),
                    "function": { "arguments": delta.get("partial_json") } });
                json!({ "tool_calls": [call] })
            }
            "thinking_delta" => {
                let text = delta.get("thinking");
                let detail = self.detail(json!({ "type": "reasoning.text", "text": text }));
                json!({ "reasoning": text, "reasoning_details": [detail] })
            }
            "signature_delta" => {
                let detail = self.detail(json!({ "type": "reasoning.text", "signature": delta.get("signature") }));
                json!({ "reasoning_details": [detail] })
            }
            _ => return None,
        };
        Some(self.chunk(delta, Value::Null))
    }

    fn detail(&self, part: Value) -> Value {
        detail(part, self.thoughts.saturating_sub(1))
    }

    fn chunk(&self, delta: Value, finish: Value) -> Map<String, Value> {
        let mut out = Map::new();
        out.insert("id".into(), self.id.clone());
        out.insert("choices".into(), json!([{ "index": 0, "delta": delta, "finish_reason": finish }]));
        if let Some(usage) = self.spent.to_usage() {
            out.insert("usage".into(), usage);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::meter::Meter;

    fn run(events: &[Value]) -> (Vec<Value>, Meter, bool) {
        let (mut stream, mut meter, mut deltas) = (AnthropicStream::default(), Meter::default(), Vec::new());
        for event in events.iter().filter_map(Value::as_object) {
            if let Some(chunk) = stream.event(event) {
                meter.chunk(&chunk);
                deltas.push(chunk["choices"][0]["delta"].clone());
            }
        }
        (deltas, meter, stream.is_done())
    }

    #[test]
    fn a_stream_is_translated_and_metered() {
        let (deltas, meter, done) = run(&[
            json!({"type":"message_start","message":{"id":"msg_1","usage":{"input_tokens":10,"cache_read_input_tokens":4,
                "cache_creation_input_tokens":1,"output_tokens":1}}}),
            json!({"type":"ping"}),
            json!({"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}),
            json!({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi"}}),
            json!({"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t1","name":"f"}}),
            json!({"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{}"}}),
            json!({"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":9}}),
            json!({"type":"message_stop"}),
        ]);
        assert_eq!(
            deltas,
            [
                json!({"role":"assistant","content":""}),
                json!({"content":"hi"}),
                json!({"tool_calls":[{"index":0,"id":"t1","type":"function","function":{"name":"f","arguments":""}}]}),
                json!({"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}),
                json!({}),
            ]
        );
        assert!(done);
        assert_eq!((meter.prompt, meter.completion, meter.cached, meter.cache_write), (Some(15), Some(9), 4, 1));
        assert_eq!((meter.finish_reason(), meter.native_finish.as_str()), ("tool_calls", "tool_use"));
    }

    #[test]
    fn each_block_of_thinking_has_a_place_of_its_own() {
        let start = |block: Value| json!({"type":"content_block_start","content_block":block});
        let delta = |delta: Value| json!({"type":"content_block_delta","delta":delta});
        let (deltas, _, _) = run(&[
            start(json!({"type":"thinking","thinking":""})),
            delta(json!({"type":"thinking_delta","thinking":"hm"})),
            delta(json!({"type":"signature_delta","signature":"s1"})),
            start(json!({"type":"redacted_thinking","data":"x"})),
            start(json!({"type":"thinking","thinking":""})),
            delta(json!({"type":"signature_delta","signature":"s2"})),
        ]);
        let details: Vec<Value> = deltas.iter().map(|delta| delta["reasoning_details"][0].clone()).collect();
        let format = "anthropic-claude-v1";
        assert_eq!(
            details,
            [
                json!({"type":"reasoning.text","text":"hm","format":format,"index":0}),
                json!({"type":"reasoning.text","signature":"s1","format":format,"index":0}),
                json!({"type":"reasoning.encrypted","data":"x","format":format,"index":1}),
                json!({"type":"reasoning.text","signature":"s2","format":format,"index":2}),
            ]
        );
    }

    #[test]
    fn numbers_beyond_all_measure_are_none() {
        let (_, meter, _) = run(&[
            json!({"type":"message_start","message":{"usage":{"input_tokens":u64::MAX,"cache_read_input_tokens":u64::MAX,
                "cache_creation_input_tokens":u64::MAX}}}),
            json!({"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":u64::MAX}}),
        ]);
        assert_eq!((meter.prompt, meter.completion, meter.implausible), (None, None, true));
    }

    #[test]
    fn a_stream_that_breaks_off_does_not_know_its_output() {
        let (_, meter, done) = run(&[
            json!({"type":"message_start","message":{"usage":{"input_tokens":10,"output_tokens":1}}}),
            json!({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"half of it"}}),
        ]);
        assert!(!done);
        assert_eq!((meter.prompt, meter.completion, meter.text.as_str()), (Some(10), None, "half of it"));
    }
}
