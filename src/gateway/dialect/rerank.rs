//! Documents in the order in which they answer a question.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{Kept, sse, text, usage};
use crate::catalog::Task;
use crate::gateway::count::search_units;
use crate::gateway::error::ApiError;
use crate::gateway::meter::units;
use crate::gateway::wire::{ChatRequest, Stamp, UsageOut, count};

/// Documents in one call; the limit of the largest providers.
const MAX_DOCUMENTS: usize = 1_000;

/// # Errors
/// 400 without a question or without documents, 422 for too many.
pub(super) fn read(body: Map<String, Value>) -> Result<ChatRequest, ApiError> {
    if text_of(body.get("query")).is_none_or(str::is_empty) {
        return Err(ApiError::invalid("query is missing or is not a text."));
    }
    let Some(Value::Array(documents)) = body.get("documents") else {
        return Err(ApiError::invalid("documents is missing or is not an array."));
    };
    if documents.is_empty() {
        return Err(ApiError::invalid("documents is empty."));
    }
    if documents.len() > MAX_DOCUMENTS {
        return Err(ApiError::unprocessable(format!("More than {MAX_DOCUMENTS} documents were sent.")));
    }
    let is_document = |one: &Value| one.is_string() || text(one, "text").is_some() || text(one, "image").is_some();
    if !documents.iter().all(is_document) {
        return Err(ApiError::invalid("Each of documents must be a text, or an object with text or image."));
    }
    count(&body, "top_n")?;
    let kept = Kept::Rerank(Arc::new(documents.clone()));
    Ok(ChatRequest { kept, ..ChatRequest::of(body, Task::Rerank)? })
}

fn text_of(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str)
}

pub(super) fn whole(answer: &Map<String, Value>, documents: &[Value], stamp: &Stamp, spent: &UsageOut) -> Bytes {
    let results = answer.get("results").and_then(Value::as_array).into_iter().flatten().filter_map(|result| {
        let index = result.get("index")?.as_u64()?;
        let document = match documents.get(usize::try_from(index).ok()?)? {
            Value::String(text) => json!({ "text": text }),
            document => document.clone(),
        };
        let score = result.get("relevance_score").or_else(|| result.get("score"))?;
        Some(json!({ "index": index, "relevance_score": score, "document": document }))
    });
    let out = json!({ "id": stamp.id, "model": stamp.model, "provider": stamp.provider,
        "results": results.collect::<Vec<_>>() });
    let units = units(answer).unwrap_or_else(|| search_units(documents.len()));
    sse::with(&out, "usage", &usage::of_ranking(spent, units)).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Usd;
    use crate::gateway::Tokens;

    #[test]
    fn a_result_brings_its_document_along() {
        let answer = json!({"results":[{"index":1,"relevance_score":0.9},{"index":7,"relevance_score":0.1}],
            "meta":{"billed_units":{"search_units":2}}});
        let stamp = Stamp { id: "gen-1".into(), created: 5, model: "a/b".into(), provider: "P".into() };
        let usage = UsageOut::new(Tokens::default(), Usd::ZERO, &[]);
        let answer = answer.as_object().cloned().unwrap_or_default();
        let bytes = whole(&answer, &[json!("a"), json!("b")], &stamp, &usage);
        let out: Value = serde_json::from_slice(&bytes).expect("JSON");
        assert_eq!(out["results"], json!([{"index":1,"relevance_score":0.9,"document":{"text":"b"}}]));
        assert_eq!(out["usage"]["search_units"], 2);
    }

    #[test]
    fn what_cannot_be_ranked_is_refused() {
        let status = |body: Value| read(body.as_object().cloned().unwrap_or_default()).err().map(|e| e.status());
        assert_eq!(status(json!({"model":"a/b","query":"q","documents":["a",{"text":"b"}],"top_n":1})), None);
        for bad in [
            json!({"documents":["a"]}),
            json!({"query":"q"}),
            json!({"query":"q","documents":[]}),
            json!({"query":"q","documents":[1]}),
            json!({"query":"q","documents":["a"],"top_n":0}),
        ] {
            assert_eq!(status(bad.clone()), Some(400), "{bad}");
        }
        assert_eq!(status(json!({"query":"q","documents":vec!["a"; MAX_DOCUMENTS + 1]})), Some(422));
    }
}
