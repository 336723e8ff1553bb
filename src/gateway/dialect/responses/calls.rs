//! Calls of tools in the client's words. Pure.

use serde_json::{Value, json};

use super::tools::{TEXT, Tool};

/// An event about a call, and what it says besides its place.
pub(super) type Told = (&'static str, Value);

/// A call, finished or being written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Call {
    pub id: String,
    pub call_id: String,
    tool: Tool,
    /// As the model has written them.
    arguments: String,
    reading: Reading,
}

impl Call {
    pub(super) fn new(id: String, call_id: String, tool: Tool) -> Call {
        Call { id, call_id, tool, arguments: String::new(), reading: Reading::default() }
    }

    /// Goes on with the arguments. Says what the client hears of it, if anything.
    pub(super) fn push(&mut self, arguments: &str) -> Option<Told> {
        if arguments.is_empty() {
            return None;
        }
        self.arguments.push_str(arguments);
        if !self.tool.takes_text {
            return Some(("response.function_call_arguments.delta", json!({ "delta": arguments })));
        }
        let more = self.reading.on(&self.arguments);
        (!more.is_empty()).then(|| of_text(&more))
    }

    /// What the client hears at its end.
    pub(super) fn end(&self) -> Vec<Told> {
        if !self.tool.takes_text {
            let all = json!({ "name": self.tool.name, "arguments": self.arguments });
            return vec![("response.function_call_arguments.done", all)];
        }
        let input = self.input();
        let rest = input.strip_prefix(&self.reading.text).filter(|rest| !rest.is_empty()).map(of_text);
        let all = ("response.custom_tool_call_input.done", json!({ "input": input }));
        rest.into_iter().chain([all]).collect()
    }

    /// `done` is whether it is finished; what is not has no arguments yet.
    pub(super) fn value(&self, done: bool) -> Value {
        let kind = if self.tool.takes_text { "custom_tool_call" } else { "function_call" };
        let status = if done { "completed" } else { "in_progress" };
        let mut item =
            json!({ "id": self.id, "type": kind, "call_id": self.call_id, "name": self.tool.name, "status": status });
        if let Some(item) = item.as_object_mut() {
            let (name, written) = if self.tool.takes_text {
                ("input", if done { self.input() } else { String::new() })
            } else {
                ("arguments", if done { self.arguments.clone() } else { String::new() })
            };
            item.insert(name.into(), written.into());
            if let Some(namespace) = &self.tool.namespace {
                item.insert("namespace".into(), namespace.as_str().into());
            }
        }
        item
    }

    /// The text that a tool gets. What the model has not put where it was told to is the text itself.
    fn input(&self) -> String {
        match serde_json::from_str(&self.arguments) {
            Ok(Value::String(text)) => return text,
            Ok(Value::Object(mut arguments)) => {
                if let Some(Value::String(text)) = arguments.remove(TEXT) {
                    return text;
                }
            }
            _ if self.reading.at > 0 => return self.reading.text.clone(),
            _ => {}
        }
        self.arguments.clone()
    }
}

fn of_text(more: &str) -> Told {
    ("response.custom_tool_call_input.delta", json!({ "delta": more }))
}

/// How the id of a call begins.
pub(super) fn kind(tool: &Tool) -> &'static str {
    if tool.takes_text { "ctc" } else { "fc" }
}

/// The text within arguments that come in pieces.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Reading {
    text: String,
    /// Bytes of the arguments that were read; none before the text begins.
    at: usize,
    is_over: bool,
}

impl Reading {
    /// Reads as far as the arguments go, and gives what is new.
    fn on(&mut self, arguments: &str) -> String {
        let mut more = String::new();
        if self.at == 0 {
            self.at = beginning(arguments).unwrap_or_default();
        }
        while self.at > 0 && !self.is_over {
            match step(arguments.get(self.at..).unwrap_or_default()) {
                Step::Letter(letter, length) => {
                    more.push(letter);
                    self.at += length;
                }
                Step::End => self.is_over = true,
                Step::Wait => break,
            }
        }
        self.text.push_str(&more);
        more
    }
}

/// Where the text begins; `None` before that, or where there is none.
fn beginning(arguments: &str) -> Option<usize> {
    let mut rest = arguments;
    for mark in ["{", "\"input\"", ":", "\""] {
        rest = rest.trim_start().strip_prefix(mark)?;
    }
    Some(arguments.len() - rest.len())
}

enum Step {
    /// With the bytes that it takes.
    Letter(char, usize),
    End,
    Wait,
}

/// The next letter of a text in JSON. Some models leave letters as they are that JSON wants otherwise, such as ends of lines.
fn step(rest: &str) -> Step {
    let mut letters = rest.chars();
    match letters.next() {
        None => Step::Wait,
        Some('"') => Step::End,
        Some('\\') => match letters.next() {
            None => Step::Wait,
            Some('u') => by_number(rest),
            Some('n') => Step::Letter('\n', 2),
            Some('t') => Step::Letter('\t', 2),
            Some('r') => Step::Letter('\r', 2),
            Some('b') => Step::Letter('\u{8}', 2),
            Some('f') => Step::Letter('\u{c}', 2),
            Some(letter) => Step::Letter(letter, 1 + letter.len_utf8()),
        },
        Some(letter) => Step::Letter(letter, letter.len_utf8()),
    }
}

/// A letter that is told by its number, or by two numbers.
fn by_number(rest: &str) -> Step {
    const ONE: usize = 6;
    let number = |at: usize| rest.get(at + 2..at + ONE).and_then(|digits| u16::from_str_radix(digits, 16).ok());
    if rest.len() < ONE {
        return Step::Wait;
    }
    let Some(first) = number(0) else { return Step::Letter(char::REPLACEMENT_CHARACTER, 2) };
    let letter = |numbers: &[u16]| char::decode_utf16(numbers.iter().copied()).next().and_then(Result::ok);
    if let Some(letter) = letter(&[first]) {
        return Step::Letter(letter, ONE);
    }
    if rest.len() < 2 * ONE {
        return Step::Wait;
    }
    let second = number(ONE).filter(|_| rest.get(ONE..ONE + 2) == Some("\\u"));
    match second.and_then(|second| letter(&[first, second])) {
        Some(letter) => Step::Letter(letter, 2 * ONE),
        None => Step::Letter(char::REPLACEMENT_CHARACTER, ONE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(takes_text: bool) -> Call {
        let tool = Tool { namespace: Some("functions".into()), name: "exec".into(), takes_text };
        Call::new("x_1".into(), "c1".into(), tool)
    }

    /// What is told of arguments that come in pieces of so many letters.
    fn told(arguments: &str, letters: usize) -> (String, String, Value) {
        let mut call = call(true);
        let all: Vec<char> = arguments.chars().collect();
        let mut seen: Vec<Told> = Vec::new();
        for piece in all.chunks(letters) {
            seen.extend(call.push(&piece.iter().collect::<String>()));
        }
        seen.extend(call.end());
        let (last, before) = seen.split_last().expect("it ends");
        assert_eq!(last.0, "response.custom_tool_call_input.done");
        assert!(before.iter().all(|(kind, _)| *kind == "response.custom_tool_call_input.delta"), "{before:?}");
        let deltas: String = before.iter().filter_map(|(_, more)| more["delta"].as_str()).collect();
        (deltas, last.1["input"].as_str().expect("a text").to_owned(), call.value(true))
    }

    #[test]
    fn a_text_is_told_as_it_comes_whatever_it_is_cut_into() {
        let text = "text(\"é\\n\");\n\t// 😀 \u{1} {\"input\":1}\\";
        let by_numbers = r#" { "input" : "\u00e9\ud83d\ude00\/\b\f" } "#;
        for letters in [1, 2, 3, 5, 7, 1_000] {
            let (deltas, input, item) = told(&json!({ "input": text }).to_string(), letters);
            assert_eq!((deltas.as_str(), input.as_str()), (text, text), "{letters}");
            assert_eq!(
                item,
                json!({"id":"x_1","type":"custom_tool_call","call_id":"c1","name":"exec","namespace":"functions",
                    "input":text,"status":"completed"})
            );
            let (deltas, input, _) = told(by_numbers, letters);
            assert_eq!((deltas.as_str(), input.as_str()), ("é😀/\u{8}\u{c}", "é😀/\u{8}\u{c}"), "{letters}");
        }
    }

    #[test]
    fn a_text_that_is_not_where_it_should_be_is_not_lost() {
        for (arguments, wanted) in [
            ("text('hi')", "text('hi')"),
            ("\"text('hi')\"", "text('hi')"),
            ("{\"input\":\"two\nlines\"}", "two\nlines"),
            ("{\"input\":\"cut o", "cut o"),
            ("{\"input\":\"cut \\u00", "cut "),
            ("{\"code\":\"x\"}", "{\"code\":\"x\"}"),
            ("{\"more\":1,\"input\":\"x\"}", "x"),
            ("{\"input\":\"\"}", ""),
            ("", ""),
        ] {
            for letters in [1, 1_000] {
                let (deltas, input, _) = told(arguments, letters);
                assert_eq!((deltas.as_str(), input.as_str()), (wanted, wanted), "{arguments}");
            }
        }
    }

    #[test]
    fn arguments_of_a_function_stay_as_they_are() {
        let mut call = call(false);
        assert_eq!(
            call.push("{\"input\""),
            Some(("response.function_call_arguments.delta", json!({"delta":"{\"input\""})))
        );
        assert!(call.push(":1}").is_some());
        assert_eq!(
            call.end(),
            [("response.function_call_arguments.done", json!({"name":"exec","arguments":"{\"input\":1}"}))]
        );
        assert_eq!(
            (&call.value(false)["arguments"], &call.value(false)["status"]),
            (&json!(""), &json!("in_progress"))
        );
        assert_eq!(
            call.value(true),
            json!({"id":"x_1","type":"function_call","call_id":"c1","name":"exec","namespace":"functions",
                "arguments":"{\"input\":1}","status":"completed"})
        );
    }
}
