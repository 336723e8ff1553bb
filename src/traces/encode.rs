//! Spans as OTLP wants them: `ExportTraceServiceRequest` in protobuf.
//! <https://github.com/open-telemetry/opentelemetry-proto>, `trace/v1/trace.proto`.

use super::trace::{Span, Trace, Value};

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;
/// `STATUS_CODE_ERROR`.
const ERROR: u64 = 2;

/// A message of one resource and one scope.
pub fn request(resource: &[(String, String)], traces: &[Trace]) -> Vec<u8> {
    let mut out = Vec::with_capacity(traces.len() * 2_048);
    message(&mut out, 1, |spans_of_resource| {
        message(spans_of_resource, 1, |out| {
            for (name, value) in resource {
                attribute(out, 1, name, &Value::Text(value.clone()));
            }
        });
        message(spans_of_resource, 2, |spans_of_scope| {
            message(spans_of_scope, 1, |scope| {
                bytes(scope, 1, b"farebox");
                bytes(scope, 2, env!("CARGO_PKG_VERSION").as_bytes());
            });
            for trace in traces {
                for one in trace.spans() {
                    message(spans_of_scope, 2, |out| span(out, trace.id, one));
                }
            }
        });
    });
    out
}

fn span(out: &mut Vec<u8>, trace: u128, span: &Span) {
    bytes(out, 1, &trace.to_be_bytes());
    bytes(out, 2, &span.id.0.to_be_bytes());
    if let Some(parent) = span.parent {
        bytes(out, 4, &parent.0.to_be_bytes());
    }
    bytes(out, 5, span.name.as_bytes());
    number(out, 6, span.kind as u64);
    fixed(out, 7, span.start);
    fixed(out, 8, span.end);
    for (name, value) in &span.attributes {
        attribute(out, 9, name, value);
    }
    if span.failed.is_some() {
        message(out, 15, |status| number(status, 3, ERROR));
    }
}

fn attribute(out: &mut Vec<u8>, field: u32, name: &str, value: &Value) {
    message(out, field, |pair| {
        bytes(pair, 1, name.as_bytes());
        message(pair, 2, |out| any(out, value));
    });
}

fn any(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Text(text) => bytes(out, 1, text.as_bytes()),
        Value::Yes(yes) => number(out, 2, u64::from(*yes)),
        // Two's complement, as protobuf has negative numbers.
        Value::Whole(whole) => number(out, 3, u64::from_ne_bytes(whole.to_ne_bytes())),
        Value::Texts(texts) => message(out, 5, |list| {
            for text in texts {
                message(list, 1, |out| bytes(out, 1, text.as_bytes()));
            }
        }),
    }
}

fn message(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    write(&mut inner);
    bytes(out, field, &inner);
}

fn bytes(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    tag(out, field, BYTES);
    varint(out, u64::try_from(value.len()).unwrap_or_default());
    out.extend_from_slice(value);
}

fn number(out: &mut Vec<u8>, field: u32, value: u64) {
    tag(out, field, VARINT);
    varint(out, value);
}

fn fixed(out: &mut Vec<u8>, field: u32, value: u64) {
    tag(out, field, FIXED64);
    out.extend_from_slice(&value.to_le_bytes());
}

fn tag(out: &mut Vec<u8>, field: u32, wire: u32) {
    varint(out, u64::from(field << 3 | wire));
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or_default() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_protobuf_has_them() {
        let written = |value| {
            let mut out = Vec::new();
            varint(&mut out, value);
            out
        };
        assert_eq!(written(0), [0]);
        assert_eq!(written(127), [127]);
        assert_eq!(written(300), [0xac, 0x02]);
        assert_eq!(written(u64::MAX), [[0xff; 9].as_slice(), &[1]].concat());
        let mut out = Vec::new();
        attribute(&mut out, 9, "a", &Value::Whole(150));
        assert_eq!(out, [0x4a, 0x08, 0x0a, 0x01, b'a', 0x12, 0x03, 0x18, 0x96, 0x01]);
    }
}
