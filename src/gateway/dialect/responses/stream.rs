//! Writing a response, whole or as events. Pure.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::super::writer::{BROKEN_OFF, CallPart, broken_off, choices};
use super::super::{sse, text, usage};
use super::calls::{self, Call};
use super::output::{Item, State, code_of, id_of, items, response};
use super::thoughts::{Telling, Thought, summary_part};
use super::tools::Names;
use crate::gateway::error::ApiError;
use crate::gateway::wire::{Stamp, UsageOut};

/// Where a response stands.
#[derive(Debug)]
pub(crate) struct Writer {
    request: Arc<Map<String, Value>>,
    names: Arc<Names>,
    telling: Telling,
    /// Events so far; each carries its number.
    events: u64,
    /// Items that are finished.
    output: Vec<Value>,
    open: Option<Item>,
    /// The open call's number in the stream of chunks.
    call: u64,
    finish: String,
}

impl Writer {
    pub(in crate::gateway::dialect) fn new(request: Arc<Map<String, Value>>) -> Writer {
        let telling = Telling::of(&request);
        let (output, finish) = (Vec::new(), String::new());
        Writer { request, names: Arc::default(), telling, events: 0, output, open: None, call: 0, finish }
    }

    /// By what names the client knows its tools.
    pub(in crate::gateway::dialect) fn naming(self, names: Arc<Names>) -> Writer {
        Writer { names, ..self }
    }

    pub(in crate::gateway::dialect) fn whole(
        &self,
        answer: &Map<String, Value>,
        stamp: &Stamp,
        spent: &UsageOut,
    ) -> Bytes {
        let choice = choices(answer).next();
        let message = choice.and_then(|choice| choice.get("message"));
        let output: Vec<Value> = message
            .map(|message| items(message, stamp, self.telling, &self.names))
            .unwrap_or_default()
            .iter()
            .map(|item| item.value(true))
            .collect();
        let finish = choice.and_then(|choice| choice.get("finish_reason")?.as_str()).unwrap_or_default();
        let out = if finish == BROKEN_OFF {
            self.failed(stamp, &broken_off(stamp, spent), &output)
        } else {
            response(&self.request, stamp, State::of(finish), &output)
        };
        sse::with(&out, "usage", &usage::of_response(spent)).into()
    }

    pub(in crate::gateway::dialect) fn chunk(&mut self, chunk: &Map<String, Value>, stamp: &Stamp) -> Option<Bytes> {
        let mut out = Vec::with_capacity(256);
        self.start(stamp, &mut out);
        let choice = choices(chunk).next()?;
        let delta = choice.get("delta").unwrap_or(&Value::Null);
        if let Some(thought) = text(delta, "reasoning").filter(|thought| !thought.is_empty()) {
            self.think(thought, stamp, &mut out);
        }
        for detail in delta.get("reasoning_details").and_then(Value::as_array).into_iter().flatten() {
            self.detail(detail, stamp, &mut out);
        }
        if let Some(said) = text(delta, "content").filter(|said| !said.is_empty()) {
            self.say(said, stamp, &mut out);
        }
        if let Some(said) = text(delta, "refusal").filter(|said| !said.is_empty()) {
            self.refuse(said, stamp, &mut out);
        }
        for call in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            self.tool(call, stamp, &mut out);
        }
        if let Some(finish) = choice.get("finish_reason").and_then(Value::as_str) {
            finish.clone_into(&mut self.finish);
        }
        (!out.is_empty()).then(|| out.into())
    }

    /// The end, with what the response cost.
    pub(in crate::gateway::dialect) fn end(&mut self, stamp: &Stamp, spent: &UsageOut) -> Bytes {
        if self.finish == BROKEN_OFF {
            return self.broken(stamp, &broken_off(stamp, spent), spent);
        }
        let mut out = Vec::with_capacity(1_024);
        self.start(stamp, &mut out);
        self.close(&mut out);
        let state = State::of(&self.finish);
        self.last(state, response(&self.request, stamp, state, &self.output), spent, &mut out);
        out.into()
    }

    pub(in crate::gateway::dialect) fn broken(&mut self, stamp: &Stamp, error: &ApiError, spent: &UsageOut) -> Bytes {
        let mut out = Vec::with_capacity(1_024);
        self.start(stamp, &mut out);
        self.close(&mut out);
        let response = self.failed(stamp, error, &self.output);
        self.last(State::Failed, response, spent, &mut out);
        out.into()
    }

    fn failed(&self, stamp: &Stamp, error: &ApiError, output: &[Value]) -> Value {
        let mut response = response(&self.request, stamp, State::Failed, output);
        let code = code_of(error);
        if let Some(response) = response.as_object_mut() {
            let told = json!({ "code": code, "message": error.message(), "metadata": error.metadata() });
            response.insert("error".into(), told);
            response.insert("error_type".into(), error.kind().into());
        }
        response
    }

    fn last(&mut self, state: State, response: Value, spent: &UsageOut, out: &mut Vec<u8>) {
        let kind = format!("response.{}", state.word());
        let response = sse::with(&response, "usage", &usage::of_response(spent));
        let event = json!({ "type": kind, "sequence_number": self.number() });
        sse::named(out, &kind, &sse::with(&event, "response", &response));
        out.extend_from_slice(sse::DONE);
    }

    fn start(&mut self, stamp: &Stamp, out: &mut Vec<u8>) {
        if self.events > 0 {
            return;
        }
        let response = response(&self.request, stamp, State::Running, &[]);
        for kind in ["response.created", "response.in_progress"] {
            self.emit(kind, json!({ "response": response }), out);
        }
    }

    fn number(&mut self) -> u64 {
        let number = self.events;
        self.events += 1;
        number
    }

    fn emit(&mut self, kind: &str, fields: Value, out: &mut Vec<u8>) {
        let mut event = Map::new();
        event.insert("type".into(), kind.into());
        event.insert("sequence_number".into(), self.number().into());
        if let Value::Object(fields) = fields {
            event.extend(fields);
        }
        sse::named(out, kind, &Value::Object(event).to_string());
    }

    /// Where the open item stands.
    fn place(&self) -> Value {
        let id = self.open.as_ref().map_or("", Item::id);
        json!({ "item_id": id, "output_index": self.output.len() })
    }

    fn emit_here(&mut self, kind: &str, more: Value, out: &mut Vec<u8>) {
        let mut fields = self.place();
        if let (Some(fields), Value::Object(more)) = (fields.as_object_mut(), more) {
            fields.extend(more);
        }
        self.emit(kind, fields, out);
    }

    fn begin(&mut self, item: Item, out: &mut Vec<u8>) {
        self.close(out);
        let fields = json!({ "output_index": self.output.len(), "item": item.value(false) });
        let part = item.part();
        self.open = Some(item);
        self.emit("response.output_item.added", fields, out);
        if let Some(part) = part {
            self.emit_here("response.content_part.added", json!({ "content_index": 0, "part": part }), out);
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        let Some(item) = self.open.clone() else { return };
        match &item {
            Item::Message { text, .. } => {
                let more = json!({ "content_index": 0, "text": text, "logprobs": [] });
                self.emit_here("response.output_text.done", more, out);
            }
            Item::Refusal { text, .. } => {
                self.emit_here("response.refusal.done", json!({ "content_index": 0, "refusal": text }), out);
            }
            Item::Reasoning { thought, .. } if self.telling.summary => self.end_summary(thought, out),
            Item::Reasoning { thought, .. } => {
                let more = json!({ "content_index": 0, "text": thought.text });
                self.emit_here("response.reasoning_text.done", more, out);
            }
            Item::Call(call) => call.end().into_iter().for_each(|(kind, more)| self.emit_here(kind, more, out)),
        }
        if let Some(part) = item.part() {
            self.emit_here("response.content_part.done", json!({ "content_index": 0, "part": part }), out);
        }
        let value = item.value(true);
        self.emit("response.output_item.done", json!({ "output_index": self.output.len(), "item": value }), out);
        self.output.push(value);
        self.open = None;
    }

    fn say(&mut self, said: &str, stamp: &Stamp, out: &mut Vec<u8>) {
        if !matches!(self.open, Some(Item::Message { .. })) {
            self.close(out);
            let id = id_of("msg", stamp, self.output.len());
            self.begin(Item::Message { id, text: String::new() }, out);
        }
        if let Some(Item::Message { text, .. }) = &mut self.open {
            text.push_str(said);
        }
        let more = json!({ "content_index": 0, "delta": said, "logprobs": [] });
        self.emit_here("response.output_text.delta", more, out);
    }

    fn refuse(&mut self, said: &str, stamp: &Stamp, out: &mut Vec<u8>) {
        if !matches!(self.open, Some(Item::Refusal { .. })) {
            self.close(out);
            let id = id_of("msg", stamp, self.output.len());
            self.begin(Item::Refusal { id, text: String::new() }, out);
        }
        if let Some(Item::Refusal { text, .. }) = &mut self.open {
            text.push_str(said);
        }
        self.emit_here("response.refusal.delta", json!({ "content_index": 0, "delta": said }), out);
    }

    fn think(&mut self, thought: &str, stamp: &Stamp, out: &mut Vec<u8>) {
        self.think_on(stamp, out);
        let mut is_first = false;
        if let Some(Item::Reasoning { thought: so_far, .. }) = &mut self.open {
            is_first = so_far.text.is_empty();
            so_far.text.push_str(thought);
        }
        if !self.telling.summary {
            let more = json!({ "content_index": 0, "delta": thought });
            return self.emit_here("response.reasoning_text.delta", more, out);
        }
        if is_first {
            let more = json!({ "summary_index": 0, "part": summary_part("") });
            self.emit_here("response.reasoning_summary_part.added", more, out);
        }
        let more = json!({ "summary_index": 0, "delta": thought });
        self.emit_here("response.reasoning_summary_text.delta", more, out);
    }

    fn end_summary(&mut self, thought: &Thought, out: &mut Vec<u8>) {
        if let Some(part) = thought.summary() {
            let more = json!({ "summary_index": 0, "text": thought.text });
            self.emit_here("response.reasoning_summary_text.done", more, out);
            let more = json!({ "summary_index": 0, "part": part });
            self.emit_here("response.reasoning_summary_part.done", more, out);
        }
    }

    fn think_on(&mut self, stamp: &Stamp, out: &mut Vec<u8>) {
        if !matches!(self.open, Some(Item::Reasoning { .. })) {
            self.close(out);
            let id = id_of("rs", stamp, self.output.len());
            self.begin(Item::Reasoning { id, thought: Thought::new(self.telling) }, out);
        }
    }

    /// What must come back unchanged when the conversation goes on.
    fn detail(&mut self, detail: &Value, stamp: &Stamp, out: &mut Vec<u8>) {
        if text(detail, "signature").is_some() || text(detail, "data").is_some() {
            self.think_on(stamp, out);
        }
        if let Some(Item::Reasoning { thought, .. }) = &mut self.open {
            thought.note(detail);
        }
    }

    fn tool(&mut self, call: &Value, stamp: &Stamp, out: &mut Vec<u8>) {
        let part = CallPart::of(call);
        let goes_on =
            matches!(&self.open, Some(Item::Call(open)) if self.call == part.number && part.goes_on(&open.call_id));
        if !goes_on {
            self.close(out);
            let tool = self.names.tool(part.name);
            let id = id_of(calls::kind(&tool), stamp, self.output.len());
            self.call = part.number;
            self.begin(Item::Call(Call::new(id, part.call_id(), tool)), out);
        }
        if let Some(Item::Call(call)) = &mut self.open
            && let Some((kind, more)) = call.push(part.arguments)
        {
            self.emit_here(kind, more, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::thoughts::unpacked;
    use super::*;
    use crate::base::Usd;
    use crate::gateway::Tokens;

    fn stamp() -> Stamp {
        Stamp { id: "gen-1".into(), created: 5, model: "a/b".into(), provider: "P".into() }
    }

    fn usage() -> UsageOut {
        UsageOut::new(Tokens { prompt: 9, completion: 4, ..Tokens::default() }, Usd::from_cents(1), &[])
    }

    fn events(bytes: &[u8]) -> Vec<Value> {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
        data.map(|data| serde_json::from_str(data).expect("JSON")).collect()
    }

    fn streamed(deltas: &[Value], finish: &str) -> Vec<Value> {
        streamed_to(&Arc::new(Map::new()), deltas, finish)
    }

    fn streamed_to(request: &Arc<Map<String, Value>>, deltas: &[Value], finish: &str) -> Vec<Value> {
        let mut writer = Writer::new(Arc::clone(request));
        let mut seen = Vec::new();
        let last = json!({"choices":[{"delta":{},"finish_reason":finish}]});
        let chunks = deltas.iter().map(|delta| json!({"choices":[{"delta":delta,"finish_reason":null}]})).chain([last]);
        for chunk in chunks {
            let chunk = chunk.as_object().cloned().unwrap_or_default();
            seen.extend(writer.chunk(&chunk, &stamp()).iter().flat_map(|bytes| events(bytes)));
        }
        seen.extend(events(&writer.end(&stamp(), &usage())));
        seen
    }

    #[test]
    fn chunks_become_numbered_events_and_items() {
        let seen = streamed(
            &[
                json!({"role":"assistant","content":""}),
                json!({"reasoning":"hm"}),
                json!({"content":"Hel"}),
                json!({"content":"lo"}),
                json!({"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":""}}]}),
                json!({"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}),
            ],
            "tool_calls",
        );
        let numbers: Vec<_> = seen.iter().map(|event| event["sequence_number"].as_u64().expect("a number")).collect();
        assert_eq!(numbers, (0..u64::try_from(seen.len()).unwrap_or(0)).collect::<Vec<_>>());
        let kinds: Vec<_> = seen.iter().map(|event| event["type"].as_str().expect("a type")).collect();
        assert_eq!(
            kinds,
            [
                "response.created",
                "response.in_progress",
                "response.output_item.added",
                "response.content_part.added",
                "response.reasoning_text.delta",
                "response.reasoning_text.done",
                "response.content_part.done",
                "response.output_item.done",
                "response.output_item.added",
                "response.content_part.added",
                "response.output_text.delta",
                "response.output_text.delta",
                "response.output_text.done",
                "response.content_part.done",
                "response.output_item.done",
                "response.output_item.added",
                "response.function_call_arguments.delta",
                "response.function_call_arguments.done",
                "response.output_item.done",
                "response.completed",
            ]
        );
        let end = &seen[seen.len() - 1]["response"];
        assert_eq!((&end["output_text"], &end["usage"]["total_tokens"]), (&json!("Hello"), &json!(13)));
        assert_eq!((end["usage"]["cost"].to_string().as_str(), &end["output"][2]["arguments"]), ("0.01", &json!("{}")));
    }

    #[test]
    fn a_call_goes_on_where_its_id_is_repeated_and_ends_where_another_begins() {
        let part = |id: &str, name: &str, arguments: &str| json!({"tool_calls":[{"index":0,"id":id,"function":{"name":name,"arguments":arguments}}]});
        let deltas = [part("X", "f", "{\"a\""), part("X", "f", ":1}"), part("Y", "g", "{"), part("Y", "", "}")];
        let seen = streamed(&deltas, "tool_calls");
        let output = seen[seen.len() - 1]["response"]["output"].as_array().expect("items");
        let told: Vec<_> = output.iter().map(|item| (&item["call_id"], &item["name"], &item["arguments"])).collect();
        assert_eq!(told, [(&json!("X"), &json!("f"), &json!("{\"a\":1}")), (&json!("Y"), &json!("g"), &json!("{}"))]);
    }

    #[test]
    fn thoughts_are_a_summary_where_one_is_asked_for_and_come_back_signed() {
        let request = json!({"reasoning":{"summary":"auto"},"include":["reasoning.encrypted_content"]});
        let request = Arc::new(request.as_object().cloned().unwrap_or_default());
        let deltas = [
            json!({"reasoning":"h","reasoning_details":[{"type":"reasoning.text","text":"h","index":0}]}),
            json!({"reasoning":"m","reasoning_details":[{"type":"reasoning.text","text":"m","index":0}]}),
            json!({"reasoning_details":[{"type":"reasoning.text","signature":"s","index":0}]}),
            json!({"content":"Hi"}),
        ];
        let seen = streamed_to(&request, &deltas, "stop");
        let kinds: Vec<_> = seen.iter().map(|event| event["type"].as_str().expect("a type")).collect();
        assert_eq!(
            kinds[2..9],
            [
                "response.output_item.added",
                "response.reasoning_summary_part.added",
                "response.reasoning_summary_text.delta",
                "response.reasoning_summary_text.delta",
                "response.reasoning_summary_text.done",
                "response.reasoning_summary_part.done",
                "response.output_item.done",
            ]
        );
        let message = json!({"content":"Hi","reasoning":"hm",
            "reasoning_details":[{"type":"reasoning.text","text":"hm","signature":"s","index":0}]});
        let answer = json!({"choices":[{"finish_reason":"stop","message":message}]});
        let writer = Writer::new(Arc::clone(&request));
        let whole = writer.whole(answer.as_object().expect("an object"), &stamp(), &usage());
        let whole: Value = serde_json::from_slice(&whole).expect("JSON");
        for response in [&seen[seen.len() - 1]["response"], &whole] {
            let item = &response["output"][0];
            assert_eq!(item["summary"], json!([{"type":"summary_text","text":"hm"}]));
            assert_eq!((&item["content"], &response["output_text"]), (&json!([]), &json!("Hi")));
            let back = unpacked(item["encrypted_content"].as_str().expect("a text")).expect("ours");
            assert_eq!((back.len(), &back[0]["text"], &back[0]["signature"]), (1, &json!("hm"), &json!("s")));
        }
    }

    #[test]
    fn a_refusal_is_told_as_one_and_is_no_text_of_the_answer() {
        let seen = streamed(
            &[json!({"role":"assistant","content":""}), json!({"refusal":"I ca"}), json!({"refusal":"n't."})],
            "stop",
        );
        let kinds: Vec<_> = seen.iter().map(|event| event["type"].as_str().expect("a type")).collect();
        assert_eq!(
            kinds[2..],
            [
                "response.output_item.added",
                "response.content_part.added",
                "response.refusal.delta",
                "response.refusal.delta",
                "response.refusal.done",
                "response.content_part.done",
                "response.output_item.done",
                "response.completed",
            ]
        );
        assert_eq!(
            (&seen[3]["part"], &seen[6]["refusal"]),
            (&json!({"type":"refusal","refusal":""}), &json!("I can't."))
        );
        let answer = json!({"choices":[{"finish_reason":"stop","message":{"content":null,"refusal":"I can't."}}]});
        let writer = Writer::new(Arc::new(Map::new()));
        let whole = writer.whole(answer.as_object().expect("an object"), &stamp(), &usage());
        let whole: Value = serde_json::from_slice(&whole).expect("JSON");
        for response in [&seen[seen.len() - 1]["response"], &whole] {
            assert_eq!(response["output"].as_array().map(Vec::len), Some(1), "{response}");
            assert_eq!(response["output"][0]["type"], "message");
            assert_eq!(response["output"][0]["content"], json!([{"type":"refusal","refusal":"I can't."}]));
            assert_eq!((&response["output_text"], &response["status"]), (&json!(""), &json!("completed")));
        }
    }

    #[test]
    fn a_response_that_was_cut_or_broke_says_so() {
        let seen = streamed(&[json!({"content":"Hel"})], "length");
        let end = &seen[seen.len() - 1];
        assert_eq!(
            (&end["type"], &end["response"]["incomplete_details"]["reason"]),
            (&json!("response.incomplete"), &json!("max_output_tokens"))
        );
        let seen = streamed(&[json!({"content":"Hel"})], "error");
        let end = &seen[seen.len() - 1];
        assert_eq!((&end["type"], &end["response"]["status"]), (&json!("response.failed"), &json!("failed")));
        assert_eq!(
            (&end["response"]["error"]["code"], &end["response"]["output_text"]),
            (&json!("server_error"), &json!("Hel"))
        );
        let mut writer = Writer::new(Arc::new(Map::new()));
        let answer = json!({"choices":[{"finish_reason":"error","message":{"content":"Hel"}}]});
        let whole = writer.whole(answer.as_object().expect("an object"), &stamp(), &usage());
        let whole: Value = serde_json::from_slice(&whole).expect("JSON");
        assert_eq!((&whole["status"], &whole["error"]["code"]), (&json!("failed"), &json!("server_error")));
        assert_eq!((&whole["output_text"], &whole["usage"]["total_tokens"]), (&json!("Hel"), &json!(13)));
        let broken = events(&writer.broken(&stamp(), &ApiError::internal(), &usage()));
        let end = &broken[broken.len() - 1];
        assert_eq!(
            (&end["type"], &end["response"]["error"]["code"]),
            (&json!("response.failed"), &json!("server_error"))
        );
    }
}
