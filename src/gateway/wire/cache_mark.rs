//! How long what was sent is kept in a provider's cache. Pure.

use serde_json::Value;

/// The field that marks a block, and the one in it that asks for more than the usual time.
const MARK: &str = "cache_control";
const TIME: &str = "ttl";

/// Whether a mark asks for another time than the usual. Bodies are no deeper than what was let in.
fn is_long(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(is_long),
        Value::Object(fields) => {
            fields.get(MARK).is_some_and(|mark| mark.get(TIME).is_some()) || fields.values().any(is_long)
        }
        _ => false,
    }
}

/// Writing to a cache for an hour costs more than the price in the catalog, which is that of the usual five minutes. So all
/// marks last the usual time, and what is written costs what the catalog says.
pub(in crate::gateway) fn shorten(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(fields) => {
            if let Some(Value::Object(mark)) = fields.get_mut(MARK) {
                mark.shift_remove(TIME);
            }
            fields.values_mut().for_each(shorten);
        }
        _ => {}
    }
}

/// A field of a request with marks of the usual time, where it has others; a mark may also stand for all of the request.
pub(in crate::gateway) fn usual_time(name: &str, value: &Value) -> Option<Value> {
    let long = match name {
        MARK => value.get(TIME).is_some(),
        "messages" | "tools" => is_long(value),
        _ => false,
    };
    long.then(|| {
        let mut usual = value.clone();
        match usual.as_object_mut() {
            Some(mark) if name == MARK => {
                mark.shift_remove(TIME);
            }
            _ => shorten(&mut usual),
        }
        usual
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_mark_stays_and_lasts_the_usual_time() {
        let mut value = json!([{"text":"a","cache_control":{"type":"ephemeral","ttl":"1h"}},
            {"content":[{"cache_control":{"type":"ephemeral"},"ttl":"mine"}]}]);
        assert!(is_long(&value));
        shorten(&mut value);
        assert!(!is_long(&value));
        assert_eq!(
            value,
            json!([{"text":"a","cache_control":{"type":"ephemeral"}},
                {"content":[{"cache_control":{"type":"ephemeral"},"ttl":"mine"}]}])
        );
    }

    #[test]
    fn a_mark_of_the_whole_request_lasts_the_usual_time() {
        let long = json!({"type":"ephemeral","ttl":"1h"});
        assert_eq!(usual_time("cache_control", &long), Some(json!({"type":"ephemeral"})));
        assert_eq!(usual_time("cache_control", &json!({"type":"ephemeral"})), None);
        assert_eq!(usual_time("metadata", &json!({"cache_control":long})), None);
    }
}
