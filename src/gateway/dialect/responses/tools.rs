//! The tools that a client lists, as functions of a chat completion, and what each of them is called there. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::super::{given, text};
use crate::gateway::error::ApiError;

/// Items of an input that list tools besides those of the request.
pub(super) const MORE: &str = "additional_tools";
/// A choice among some of the tools.
const ALLOWED: &str = "allowed_tools";
/// The group of tools that are in no group. Their names stay as they are.
const NO_GROUP: &str = "functions";
/// Bytes of a name, here and of a group, that are read.
const MAX_READ: usize = 256;
/// Tools that are read, in groups and in the input; each is named anew.
const MAX_TOOLS: usize = 1_024;
/// Letters of a name that every provider takes.
const MAX_NAME: usize = 64;
/// How the types of tools begin that a provider runs, and nobody here.
const HOSTED: [&str; 3] = ["web_search", "image_generation", "tool_search"];
/// The only argument of the function that stands for a tool which takes a text.
pub(super) const TEXT: &str = "input";
/// What the model is told of that argument, and of the function.
const OF_TEXT: &str = "The whole input of the tool, as plain text.";
const WRAPPED: &str = "Call it with the raw input in the argument `input`, whole and as it is.";

/// What a client calls a tool.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Tool {
    pub namespace: Option<String>,
    pub name: String,
    /// It takes a text, and no arguments.
    pub takes_text: bool,
}

/// What tools are called here and there.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// By the name of the function.
    tools: BTreeMap<String, Tool>,
    /// The name of the function by group and name; the group is empty where none is told.
    functions: BTreeMap<(String, String), String>,
}

impl Names {
    /// The tool that a function stands for.
    pub(super) fn tool(&self, function: &str) -> Tool {
        let as_it_is = || Tool { name: function.to_owned(), ..Tool::default() };
        self.tools.get(function).cloned().unwrap_or_else(as_it_is)
    }

    /// The function that stands for a tool, which may be one that is no longer listed.
    pub(super) fn function(&self, namespace: Option<&str>, name: &str) -> String {
        let namespace = namespace.filter(|namespace| !namespace.is_empty());
        let group = namespace.unwrap_or_default();
        let known = self.functions.get(&(group.to_owned(), name.to_owned()));
        known.cloned().unwrap_or_else(|| match namespace {
            Some(namespace) => fitting(namespace, name).unwrap_or_else(|| shortened(namespace, name, 0)),
            None => name.to_owned(),
        })
    }
}

/// What came of a request's tools.
#[derive(Debug, Default)]
pub(super) struct Tools {
    pub functions: Vec<Value>,
    pub names: Names,
}

/// Reads all tools of a request, wherever they are listed.
///
/// # Errors
/// 400 for tools that cannot be used. Those that a provider runs have no price here: they are left out where the client
/// runs others and the model is free to choose among them, as some clients always list them.
pub(super) fn read(body: &Map<String, Value>) -> Result<Tools, ApiError> {
    let mut listed = Listed::default();
    if let Some(tools) = given(body, "tools") {
        listed.add(tools, "tools")?;
    }
    for (at, item) in body.get("input").and_then(Value::as_array).into_iter().flatten().enumerate() {
        if text(item, "type") == Some(MORE) {
            listed.add(item.get("tools").unwrap_or(&Value::Null), &format!("input.{at}.tools"))?;
        }
    }
    let is_free = given(body, "tool_choice").is_none_or(|choice| choice == "auto" || choice == "none");
    match listed.hosted {
        Some(kind) if !is_free || listed.own.is_empty() => Err(refused(kind)),
        _ => Ok(listed.named()),
    }
}

/// Leaves out of what an answer repeats those tools that were left out of the question.
pub(super) fn leave_out_hosted(repeated: &mut Map<String, Value>) {
    if let Some(Value::Array(tools)) = repeated.get_mut("tools") {
        tools.retain(|tool| !text(tool, "type").is_some_and(is_hosted));
    }
}

fn is_hosted(kind: &str) -> bool {
    // Some have a date, or another word, behind them.
    let rest = |begin: &&str| kind.strip_prefix(*begin);
    HOSTED.iter().filter_map(rest).any(|rest| rest.is_empty() || rest.starts_with('_'))
}

fn refused(kind: &str) -> ApiError {
    let kind: String = kind.chars().filter(|c| !c.is_control()).take(60).collect();
    ApiError::invalid(format!(
        "Tools of the types function, custom and namespace can be used here, those of {kind} cannot."
    ))
}

fn name_of(tool: &Value) -> Result<&str, ApiError> {
    let name = text(tool, "name").filter(|name| !name.is_empty() && name.len() <= MAX_READ);
    name.ok_or_else(|| ApiError::invalid(format!("Each of tools must have a name, of {MAX_READ} bytes at most.")))
}

/// A tool as it is listed.
#[derive(Clone, Copy)]
struct Declared<'a> {
    namespace: Option<&'a str>,
    name: &'a str,
    tool: &'a Value,
    /// What is said of all tools of its group, which stands at the first.
    about: Option<&'a str>,
}

#[derive(Default)]
struct Listed<'a> {
    own: Vec<Declared<'a>>,
    /// Where each stands among them.
    places: BTreeMap<(Option<&'a str>, &'a str), usize>,
    /// The type of the first that a provider would run.
    hosted: Option<&'a str>,
}

impl<'a> Listed<'a> {
    fn add(&mut self, tools: &'a Value, place: &str) -> Result<(), ApiError> {
        let Value::Array(tools) = tools else { return Err(ApiError::invalid(format!("{place} is not an array."))) };
        for tool in tools {
            match text(tool, "type") {
                Some("namespace") => self.add_group(tool)?,
                Some("function" | "custom") => {
                    self.declare(Declared { namespace: None, name: name_of(tool)?, tool, about: None })?;
                }
                Some(kind) if is_hosted(kind) => self.hosted = self.hosted.or(Some(kind)),
                kind => return Err(refused(kind.unwrap_or("no type"))),
            }
        }
        Ok(())
    }

    fn add_group(&mut self, group: &'a Value) -> Result<(), ApiError> {
        let namespace = Some(name_of(group)?);
        let tools = group.get("tools").and_then(Value::as_array);
        let tools = tools.ok_or_else(|| ApiError::invalid("The tools of each namespace must be an array."))?;
        let mut about = text(group, "description").filter(|about| !about.trim().is_empty());
        for tool in tools {
            match text(tool, "type") {
                Some("function" | "custom") => {
                    self.declare(Declared { namespace, name: name_of(tool)?, tool, about: about.take() })?;
                }
                kind => return Err(refused(kind.unwrap_or("no type"))),
            }
        }
        Ok(())
    }

    /// One that is listed again stands for the one before.
    fn declare(&mut self, declared: Declared<'a>) -> Result<(), ApiError> {
        if self.own.len() >= MAX_TOOLS {
            return Err(ApiError::unprocessable(format!("At most {MAX_TOOLS} tools can be used.")));
        }
        let place = *self.places.entry((declared.namespace, declared.name)).or_insert(self.own.len());
        match self.own.get_mut(place) {
            Some(before) => *before = declared,
            None => self.own.push(declared),
        }
        Ok(())
    }

    fn named(&self) -> Tools {
        let mut out = Tools::default();
        // The names of others make way for those that stay as they are.
        let plain = self.own.iter().filter(|declared| declared.namespace.is_none()).map(|declared| declared.name);
        let mut taken: BTreeSet<String> = plain.clone().map(str::to_owned).collect();
        for name in plain {
            out.names.functions.insert((String::new(), name.to_owned()), name.to_owned());
        }
        for declared in &self.own {
            let takes_text = text(declared.tool, "type") == Some("custom");
            let function = match declared.namespace {
                Some(namespace) => free(namespace, declared.name, &mut taken),
                None => declared.name.to_owned(),
            };
            out.functions.push(declared.function(&function, takes_text));
            if let Some(namespace) = declared.namespace {
                let functions = &mut out.names.functions;
                functions.insert((namespace.to_owned(), declared.name.to_owned()), function.clone());
                functions.entry((String::new(), declared.name.to_owned())).or_insert_with(|| function.clone());
            }
            if takes_text || declared.namespace.is_some() {
                let namespace = declared.namespace.map(str::to_owned);
                out.names.tools.insert(function, Tool { namespace, name: declared.name.to_owned(), takes_text });
            }
        }
        out
    }
}

impl Declared<'_> {
    fn function(&self, name: &str, takes_text: bool) -> Value {
        let mut function = Map::new();
        function.insert("name".into(), name.into());
        if let Some(description) = self.description(takes_text) {
            function.insert("description".into(), description.into());
        }
        if takes_text {
            let parameters = json!({ "type": "object", "properties": { TEXT: { "type": "string", "description": OF_TEXT } },
                "required": [TEXT], "additionalProperties": false });
            function.insert("parameters".into(), parameters);
        } else {
            for field in ["parameters", "strict"] {
                if let Some(value) = self.tool.get(field).filter(|value| !value.is_null()) {
                    function.insert(field.into(), value.clone());
                }
            }
        }
        json!({ "type": "function", "function": function })
    }

    fn description(&self, takes_text: bool) -> Option<String> {
        let mut said: Vec<String> = text(self.tool, "description").map(str::to_owned).into_iter().collect();
        if takes_text {
            said.push(WRAPPED.to_owned());
            let format = self.tool.get("format").unwrap_or(&Value::Null);
            if let Some(definition) = text(format, "definition") {
                let syntax = text(format, "syntax").unwrap_or("grammar");
                said.push(format!("`input` must follow this grammar ({syntax}):\n{definition}"));
            }
        }
        if let (Some(about), Some(namespace)) = (self.about, self.namespace) {
            said.push(format!("Of all tools of {namespace}: {about}"));
        }
        (!said.is_empty()).then(|| said.join("\n\n"))
    }
}

/// A name of a function that no other has.
fn free(namespace: &str, name: &str, taken: &mut BTreeSet<String>) -> String {
    if let Some(whole) = fitting(namespace, name)
        && taken.insert(whole.clone())
    {
        return whole;
    }
    let mut salt = 0;
    loop {
        let short = shortened(namespace, name, salt);
        if taken.insert(short.clone()) {
            return short;
        }
        salt += 1;
    }
}

fn joined(namespace: &str, name: &str) -> String {
    if namespace == NO_GROUP {
        return name.to_owned();
    }
    format!("{}__{}", namespace.trim_end_matches('_'), name.trim_start_matches('_'))
}

fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-')
}

/// Group and name in one, where providers take that.
fn fitting(namespace: &str, name: &str) -> Option<String> {
    Some(joined(namespace, name)).filter(|whole| whole.len() <= MAX_NAME && whole.chars().all(is_plain))
}

/// The same in plain letters and not too long, with what tells it from others of the kind.
fn shortened(namespace: &str, name: &str, salt: u32) -> String {
    let digest = hex::encode(Sha256::digest(format!("{namespace}\0{name}\0{salt}").as_bytes()));
    let mark: String = digest.chars().take(8).collect();
    let whole = joined(namespace, name);
    let letters = whole.chars().map(|letter| if is_plain(letter) { letter } else { '_' });
    let begin: String = letters.take(MAX_NAME - mark.len() - 1).collect();
    format!("{begin}_{mark}")
}

/// Which tools the model may or must call.
///
/// # Errors
/// 400 for a choice that is not known.
pub(super) fn choice(value: &Value, names: &Names) -> Result<Value, ApiError> {
    match (value, text(value, "type"), text(value, "name")) {
        (Value::String(word), ..) if matches!(word.as_str(), "auto" | "none" | "required") => Ok(value.clone()),
        (_, Some(ALLOWED), _) => match text(value, "mode") {
            Some(mode @ ("auto" | "required")) => Ok(mode.into()),
            _ => Err(ApiError::invalid("tool_choice.mode is neither auto nor required.")),
        },
        (_, Some("function" | "custom"), Some(name)) => {
            let name = names.function(text(value, "namespace"), name);
            Ok(json!({ "type": "function", "function": { "name": name } }))
        }
        _ => Err(ApiError::invalid(
            "tool_choice is none of auto, none, required, allowed_tools, and a function or custom tool with a name.",
        )),
    }
}

/// Leaves those functions that a choice among the tools names: not every provider knows such a choice.
pub(super) fn keep_allowed(choice: Option<&Value>, tools: &mut Tools) {
    let Some(choice) = choice.filter(|choice| text(choice, "type") == Some(ALLOWED)) else { return };
    let named = choice.get("tools").and_then(Value::as_array).into_iter().flatten();
    let named = named.filter_map(|tool| Some(tools.names.function(text(tool, "namespace"), text(tool, "name")?)));
    let named: BTreeSet<String> = named.collect();
    let name = |function: &Value| function.pointer("/function/name").and_then(Value::as_str).map(str::to_owned);
    tools.functions.retain(|function| name(function).is_some_and(|name| named.contains(&name)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tools(body: &Value) -> Result<Tools, String> {
        read(body.as_object().expect("an object")).map_err(|error| error.message().to_owned())
    }

    fn names(tools: &Tools) -> Vec<&str> {
        tools.functions.iter().filter_map(|function| function["function"]["name"].as_str()).collect()
    }

    fn function(name: &str) -> Value {
        json!({"type":"function","name":name,"strict":false,"parameters":{"type":"object"}})
    }

    fn group(name: &str, tools: &[Value]) -> Value {
        json!({"type":"namespace","name":name,"description":"","tools":tools})
    }

    #[test]
    fn tools_are_found_in_groups_and_in_the_input() {
        let exec = json!({"type":"custom","name":"exec","description":"Runs code.",
            "format":{"type":"grammar","syntax":"lark","definition":"start: /.+/"}});
        let mut agents = group("agents", &[function("spawn"), function("wait")]);
        agents["description"] = json!("Others who help.");
        let more = json!({"type":"additional_tools","role":"developer",
            "tools":[group("functions", &[exec, function("wait")]), agents]});
        let tools = tools(&json!({"tools":[function("plain")],"input":[more]})).expect("tools");
        assert_eq!(names(&tools), ["plain", "exec", "wait", "agents__spawn", "agents__wait"]);
        assert_eq!(
            tools.functions[0],
            json!({"type":"function","function":{"name":"plain","parameters":{"type":"object"},"strict":false}})
        );
        let exec = &tools.functions[1]["function"];
        assert_eq!(exec["parameters"]["required"], json!(["input"]));
        assert_eq!(exec["parameters"]["properties"]["input"]["type"], "string");
        let said = exec["description"].as_str().expect("a text");
        assert!(
            said.starts_with("Runs code.") && said.contains("`input`") && said.ends_with("(lark):\nstart: /.+/"),
            "{said}"
        );
        let said = |at: usize| tools.functions[at]["function"].get("description").cloned();
        assert_eq!((said(3), said(4)), (Some(json!("Of all tools of agents: Others who help.")), None));
        let tool = |namespace: Option<&str>, name: &str, takes_text| {
            let namespace = namespace.map(str::to_owned);
            Tool { namespace, name: name.to_owned(), takes_text }
        };
        for (flat, wanted) in [
            ("plain", tool(None, "plain", false)),
            ("exec", tool(Some("functions"), "exec", true)),
            ("agents__wait", tool(Some("agents"), "wait", false)),
            ("made_up", tool(None, "made_up", false)),
        ] {
            assert_eq!(tools.names.tool(flat), wanted, "{flat}");
            assert_eq!(tools.names.function(wanted.namespace.as_deref(), &wanted.name), flat);
        }
        assert_eq!(tools.names.function(None, "spawn"), "agents__spawn", "there is one of this name");
        assert_eq!(tools.names.function(None, "exec"), "exec");
        assert_eq!(tools.names.function(Some("gone"), "f"), "gone__f", "one of before");
    }

    #[test]
    fn names_of_functions_are_short_plain_and_of_one_tool_each() {
        let long = "n".repeat(70);
        let listed = json!({"tools":[
            group("a", &[function("b"), function("_b"), function("b")]), function("a__b"),
            group(&long, &[function("f"), function("g")]), group("mcp__x__", &[function("é.f"), function("ok")]),
        ]});
        let tools = tools(&listed).expect("tools");
        let names = names(&tools);
        assert_eq!(names.len(), 7, "one that is listed again is the same one: {names:?}");
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
        assert!(names.contains(&"a__b") && names.contains(&"mcp__x__ok"), "{names:?}");
        assert!(names.iter().all(|name| name.len() <= MAX_NAME && name.chars().all(is_plain)), "{names:?}");
        for name in &names {
            let tool = tools.names.tool(name);
            assert_eq!(tools.names.function(tool.namespace.as_deref(), &tool.name), *name);
        }
        assert_eq!(tools.names.tool("a__b").namespace, None, "a name that stays as it is has its own");
    }

    #[test]
    fn names_and_tools_have_a_limit() {
        let long = "n".repeat(MAX_READ + 1);
        for tool in [function(&long), group(&long, &[function("f")]), group("g", &[function(&long)])] {
            assert!(tools(&json!({"tools":[tool]})).expect_err("too long").contains("256 bytes at most"));
        }
        let many = |count: usize| (0..count).map(|number| function(&format!("f{number}"))).collect::<Vec<_>>();
        assert!(tools(&json!({"tools":many(MAX_TOOLS)})).is_ok());
        assert!(
            tools(&json!({"tools":[group("g", &many(MAX_TOOLS + 1))]})).expect_err("too many").contains("At most 1024")
        );
    }

    #[test]
    fn what_a_provider_runs_is_left_out_only_beside_others_and_by_a_free_choice() {
        let search = json!({"type":"web_search","external_web_access":true});
        for choice in [json!(null), json!("auto"), json!("none")] {
            let tools = tools(&json!({"tools":[search, function("f")],"tool_choice":choice})).expect("tools");
            assert_eq!(names(&tools), ["f"]);
        }
        let some = json!({"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"f"}]});
        for (kind, body) in [
            ("web_search", json!({"tools":[search]})),
            ("web_search", json!({"tools":[search, function("f")],"tool_choice":"required"})),
            ("web_search", json!({"tools":[search, function("f")],"tool_choice":{"type":"web_search"}})),
            ("web_search", json!({"tools":[search, function("f")],"tool_choice":some})),
            ("mcp", json!({"tools":[{"type":"mcp"}, function("f")]})),
            ("file_search", json!({"tools":[{"type":"file_search"}, function("f")]})),
            ("mcp", json!({"input":[{"type":"additional_tools","tools":[{"type":"mcp"}]}]})),
            ("local_shell", json!({"tools":[{"type":"local_shell"}, function("f")]})),
            ("openrouter:web_search", json!({"tools":[{"type":"openrouter:web_search"}, function("f")]})),
            ("web_searcher", json!({"tools":[{"type":"web_searcher"}, function("f")]})),
            ("code_interpreter", json!({"tools":[group("g", &[json!({"type":"code_interpreter"}), function("f")])]})),
            ("no type", json!({"tools":[{"name":"f"}]})),
        ] {
            let said = tools(&body).expect_err(kind);
            assert!(said.contains(&format!("those of {kind} cannot")), "{body}: {said}");
        }
        for kind in ["web_search_preview_2025_03_11", "tool_search", "image_generation"] {
            let tools = tools(&json!({"tools":[{"type":kind}, function("f")]})).expect(kind);
            assert_eq!(names(&tools), ["f"], "{kind}");
        }
        let mut repeated = json!({"tools":[search, function("f")]}).as_object().cloned().expect("an object");
        leave_out_hosted(&mut repeated);
        assert_eq!(repeated["tools"], json!([function("f")]), "the answer says which are left");
    }

    #[test]
    fn a_choice_names_the_function() {
        let mut tools =
            tools(&json!({"tools":[group("g", &[function("f"), json!({"type":"custom","name":"c"})]), function("h")]}))
                .expect("tools");
        let chosen = |value: Value| choice(&value, &tools.names).expect("a choice")["function"]["name"].clone();
        assert_eq!(chosen(json!({"type":"function","namespace":"g","name":"f"})), "g__f");
        assert_eq!(chosen(json!({"type":"custom","name":"c"})), "g__c");
        assert_eq!(chosen(json!({"type":"function","name":"h"})), "h");
        let some =
            json!({"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"f","namespace":"g"}]});
        keep_allowed(Some(&some), &mut tools);
        assert_eq!(names(&tools), ["g__f"]);
    }
}
