//! Limits that hold before a body is parsed.

/// How deep arrays and objects may nest.
pub(crate) const MAX_DEPTH: usize = 64;

/// Whether a JSON text nests no deeper than [`MAX_DEPTH`]. One pass over the bytes; says nothing about validity.
pub(crate) fn check_depth(json: &[u8]) -> bool {
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
    }
}
