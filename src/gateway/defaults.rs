//! What a call gets that it does not say itself. In this order: its own body, the preset that it names, the preset that
//! its key is bound to, the settings of its organization, those of the instance.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::wire::ChatRequest;
use crate::catalog::Task;
use crate::presets::{Defaults, Ready};
use crate::routing::{Policy, Sort};

/// Fields in a list of tools that say which tool it is.
const TOOL_NAMES: [&str; 2] = ["/function/name", "/name"];

/// What the operator set for whoever set nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct InstanceDefaults {
    pub model: Option<String>,
    pub sort: Option<Sort>,
}

/// Fills in what the request leaves open; what the organization lets it be answered by.
///
/// # Errors
/// 404 for a preset that cannot be used, 400 where nobody names a model.
pub(super) fn fill_in(
    request: &mut ChatRequest,
    bound: Option<&str>,
    defaults: &Defaults,
    instance: &InstanceDefaults,
) -> Result<Policy, ApiError> {
    let named = request.preset.as_deref().map(|slug| find(defaults, slug, "")).transpose()?;
    // A key that is bound to a preset that is gone must not lose the preset's limits in silence.
    let bound = bound.map(|slug| find(defaults, slug, ", which this key is bound to,")).transpose()?;
    // Named and bound may be the same one.
    let bound = bound.filter(|bound| named.as_ref().is_none_or(|named| named.id != bound.id));
    let presets = [named, bound].into_iter().flatten();
    let mut prompt: Option<&str> = None;
    for preset in presets.clone() {
        add(request, preset);
        if !preset.system_prompt.is_empty() {
            prompt.get_or_insert(&preset.system_prompt);
        }
    }
    if let Some(prompt) = prompt {
        begin_with(&mut request.body, prompt);
    }
    if request.models.is_empty() {
        request.models.extend(defaults.default_model.clone().or_else(|| instance.model.clone()));
    }
    if request.models.is_empty() {
        return Err(ApiError::invalid("model is missing, and no default model is set."));
    }
    let policy = &defaults.policy;
    Ok(Policy { sort: policy.sort.or(instance.sort), ..policy.clone() })
}

fn find<'a>(defaults: &'a Defaults, slug: &str, whose: &str) -> Result<&'a Arc<Ready>, ApiError> {
    defaults.preset(slug).map_err(|missing| ApiError::no_preset(slug, whose, missing))
}

fn add(request: &mut ChatRequest, preset: &Ready) {
    // Whoever names a model means it: another list of models to fall back on is not added to it.
    if request.models.is_empty() {
        request.models.clone_from(&preset.models);
    }
    request.preferences = std::mem::take(&mut request.preferences).or(&preset.preferences);
    request.cap = request.cap.or(preset.max_tokens);
    // A limit is a limit: the lowest counts.
    request.max_cost = [request.max_cost, preset.max_cost].into_iter().flatten().min();
    // The client's own words no longer say all that is asked.
    request.kept.forget_words();
    if request.task != Task::Answer {
        return;
    }
    for (name, value) in &preset.parameters {
        match request.body.get_mut(name).filter(|value| !value.is_null()) {
            Some(Value::Array(tools)) if name == "tools" => add_tools(tools, value),
            Some(_) => {}
            None => {
                request.body.insert(name.clone(), value.clone());
                request.added.push(name.clone());
            }
        }
    }
}

/// Adds the tools of a preset that the request does not define itself.
fn add_tools(tools: &mut Vec<Value>, more: &Value) {
    let name = |tool: &Value| TOOL_NAMES.iter().find_map(|path| tool.pointer(path)?.as_str().map(str::to_owned));
    for tool in more.as_array().into_iter().flatten() {
        let is_there = name(tool).is_some_and(|wanted| tools.iter().any(|known| name(known).as_ref() == Some(&wanted)));
        if !is_there {
            tools.push(tool.clone());
        }
    }
}

/// The preset's system prompt stands before the messages; one of the request stays and follows it.
fn begin_with(body: &mut Map<String, Value>, prompt: &str) {
    if let Some(Value::Array(messages)) = body.get_mut("messages") {
        messages.insert(0, json!({ "role": "system", "content": prompt }));
    }
}
