//! Limits that hold before a body is parsed.

/// How deep arrays and objects may nest.
pub(crate) const MAX_DEPTH: usize = 64;

/// Whether a JSON text nests no deeper than [`MAX_DEPTH`]. At most two passes over the bytes; says nothing about validity.
pub(crate) fn check_depth(json: &[u8]) -> bool {
    // What opens so little cannot be too deep. Most calls end here: counting is many times quicker than following strings.
    opened(json) <= MAX_DEPTH || is_shallow(json)
}

/// How many brackets a text opens, wherever they are.
fn opened(json: &[u8]) -> usize {
    // So few at a time that a byte counts them, which the compiler does for sixteen of them at once.
    let in_part = |part: &[u8]| part.iter().map(|byte| u8::from(matches!(byte, b'[' | b'{'))).sum::<u8>();
    json.chunks(usize::from(u8::MAX)).map(|part| usize::from(in_part(part))).sum()
}

fn is_shallow(json: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return false;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_counted_outside_of_strings_only() {
        assert!(check_depth("[".repeat(MAX_DEPTH).as_bytes()));
        assert!(!check_depth("[".repeat(MAX_DEPTH + 1).as_bytes()));
        let text = format!(r#"{{"a":"\"{}"}}"#, "[".repeat(500));
        assert!(check_depth(text.as_bytes()));
        assert!(check_depth("[]".repeat(500).as_bytes()));
        assert_eq!(opened("[{".repeat(400).as_bytes()), 800);
    }
}
