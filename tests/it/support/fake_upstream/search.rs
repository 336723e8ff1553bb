//! Vectors as OpenAI gives them, and ranks as Cohere does.

use serde_json::{Value, json};

use super::script::{Answer, Tell};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    Embeddings,
    Rerank,
}

/// `None` for a request that no provider would take.
pub fn answer(kind: Search, id: &str, answer: &Answer, request: &Value) -> Option<Value> {
    match kind {
        Search::Embeddings => embeddings(answer, request),
        Search::Rerank => rerank(id, answer, request),
    }
}

fn embeddings(answer: &Answer, request: &Value) -> Option<Value> {
    let texts = match request.get("input")? {
        Value::Array(list) if list.iter().any(|one| !one.is_number()) => list.len(),
        _ => 1,
    };
    let vectors = (0..texts).map(|at| json!({"object": "embedding", "index": at, "embedding": [0.25, -0.5, at]}));
    let mut body = json!({"object": "list", "model": request.get("model"), "data": vectors.collect::<Vec<_>>()});
    if answer.tell == Tell::True {
        body["usage"] = json!({"prompt_tokens": answer.prompt, "total_tokens": answer.prompt});
    }
    Some(body)
}

/// The last document is the best. A unit pays for a hundred documents.
fn rerank(id: &str, answer: &Answer, request: &Value) -> Option<Value> {
    request.get("query")?.as_str()?;
    let documents = request.get("documents")?.as_array()?.len();
    let results = (0..documents).rev().map(|at| json!({"index": at, "relevance_score": 0.5}));
    let mut body = json!({"id": id, "results": results.collect::<Vec<_>>()});
    if answer.tell == Tell::True {
        body["meta"] = json!({"billed_units": {"search_units": documents.div_ceil(100)}});
        body["usage"] = json!({"total_tokens": answer.prompt});
    }
    Some(body)
}
