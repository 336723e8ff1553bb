//! Vectors and ranks without a model: texts that share words are near each other.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::object;
use crate::gateway::count::search_units;

/// Numbers in a vector unless told, and at most.
const DIMENSIONS: u64 = 256;
const MAX_DIMENSIONS: u64 = 4_096;

/// A vector for each text of the request.
pub(super) fn vectors(body: &Map<String, Value>) -> Map<String, Value> {
    let wanted = body.get("dimensions").and_then(Value::as_u64).unwrap_or(DIMENSIONS).clamp(1, MAX_DIMENSIONS);
    let as_text = body.get("encoding_format").and_then(Value::as_str) == Some("base64");
    let texts: Vec<Vec<String>> = match body.get("input") {
        Some(Value::Array(list)) if !list.iter().all(Value::is_number) => list.iter().map(words).collect(),
        input => vec![input.map(words).unwrap_or_default()],
    };
    let tokens: usize = texts.iter().map(Vec::len).sum();
    let data = texts.iter().enumerate().map(|(index, words)| {
        let vector = vector(words, wanted);
        let vector = if as_text {
            json!(STANDARD.encode(vector.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>()))
        } else {
            json!(vector)
        };
        json!({ "object": "embedding", "index": index, "embedding": vector })
    });
    let data: Vec<Value> = data.collect();
    object(json!({ "object": "list", "data": data, "usage": { "prompt_tokens": tokens, "total_tokens": tokens } }))
}

/// The documents by the share of the question's words that they have.
pub(super) fn ranking(body: &Map<String, Value>) -> Map<String, Value> {
    let query: BTreeSet<String> = body.get("query").map(words).unwrap_or_default().into_iter().collect();
    let documents = body.get("documents").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut tokens = 0;
    let mut ranked: Vec<(usize, f32)> = Vec::with_capacity(documents.len());
    for (index, document) in documents.iter().enumerate() {
        let words = words(document.get("text").unwrap_or(document));
        tokens += words.len() + query.len();
        let words: BTreeSet<String> = words.into_iter().collect();
        ranked.push((index, share(query.intersection(&words).count(), query.len())));
    }
    // Documents that are as good as each other stay in their order.
    ranked.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let wanted = body.get("top_n").and_then(Value::as_u64).and_then(|wanted| usize::try_from(wanted).ok());
    ranked.truncate(wanted.unwrap_or(usize::MAX));
    let results: Vec<Value> =
        ranked.into_iter().map(|(index, score)| json!({ "index": index, "relevance_score": score })).collect();
    object(json!({ "results": results, "meta": { "billed_units": { "search_units": search_units(documents.len()) } },
        "usage": { "prompt_tokens": tokens, "total_tokens": tokens } }))
}

fn share(part: usize, whole: usize) -> f32 {
    let small = |count: usize| f32::from(u16::try_from(count).unwrap_or(u16::MAX));
    if whole == 0 { 0.0 } else { small(part) / small(whole) }
}

/// The words of a text, a list of tokens or an object with parts of text.
fn words(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => {
            text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
        }
        Value::Number(token) => vec![token.to_string()],
        Value::Array(items) => items.iter().flat_map(words).collect(),
        Value::Object(_) => {
            let parts = value.get("content").and_then(Value::as_array).into_iter().flatten();
            parts.filter_map(|part| part.get("text")).flat_map(words).collect()
        }
        _ => Vec::new(),
    }
}

/// Each word has its place and sign in the vector, whose length is one.
fn vector(words: &[String], dimensions: u64) -> Vec<f32> {
    let mut vector = vec![0.0_f32; usize::try_from(dimensions).unwrap_or(0)];
    for word in words {
        let hash = hash(word);
        let place = usize::try_from(hash % dimensions).unwrap_or(0);
        if let Some(number) = vector.get_mut(place) {
            *number += if hash >> 63 == 0 { 1.0 } else { -1.0 };
        }
    }
    let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|number| *number /= length);
    }
    vector
}

/// FNV-1a: the same on every machine, for all time.
fn hash(word: &str) -> u64 {
    word.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(value: Value) -> Map<String, Value> {
        object(value)
    }

    #[test]
    fn texts_that_share_words_are_near_each_other() {
        let answer = vectors(&body(json!({"input":["the cat sat","a cat sat","stock prices fell"]})));
        let vector = |at: usize| -> Vec<f32> {
            serde_json::from_value(answer["data"][at]["embedding"].clone()).expect("numbers")
        };
        let near =
            |one: usize, other: usize| -> f32 { vector(one).iter().zip(vector(other)).map(|(a, b)| a * b).sum() };
        assert!(near(0, 1) > 0.5 && near(0, 2) < 0.4, "{} {}", near(0, 1), near(0, 2));
        assert_eq!(answer["usage"]["prompt_tokens"], 9);
    }

    #[test]
    fn the_same_numbers_come_as_text_if_wanted() {
        let plain = vectors(&body(json!({"input":"cat","dimensions":4})));
        let coded = vectors(&body(json!({"input":"cat","dimensions":4,"encoding_format":"base64"})));
        let bytes = STANDARD.decode(coded["data"][0]["embedding"].as_str().expect("text")).expect("base64");
        let numbers: Vec<f32> =
            bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().expect("four bytes"))).collect();
        assert_eq!(json!(numbers), plain["data"][0]["embedding"]);
    }

    #[test]
    fn the_document_with_the_words_of_the_question_comes_first() {
        let answer = ranking(&body(json!({"query":"capital of France","top_n":1,
            "documents":["Berlin is a town",{"text":"Paris is the capital of France"}]})));
        assert_eq!(answer["results"], json!([{"index":1,"relevance_score":1.0}]));
        assert_eq!(answer["meta"]["billed_units"]["search_units"], 1);
    }
}
