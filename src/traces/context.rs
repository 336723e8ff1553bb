//! The context of a trace as it travels between programs: W3C Trace Context.

use super::trace::SpanId;

/// Whose trace a request belongs to. <https://www.w3.org/TR/trace-context/>
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Context {
    pub trace: u128,
    /// The span that asks.
    pub span: SpanId,
    /// Whether whoever asks keeps its part.
    pub sampled: bool,
}

impl Context {
    /// Reads the header `traceparent`; `None` for what is none, which is then a trace of its own.
    #[must_use]
    pub fn parse(header: &str) -> Option<Context> {
        let mut parts = header.trim().split('-');
        let version = hex(parts.next()?, 2)?;
        let trace = hex(parts.next()?, 32)?;
        let span = u64::try_from(hex(parts.next()?, 16)?).ok()?;
        let flags = hex(parts.next()?, 2)?;
        // Later versions may say more behind; this one may not.
        let fits = version != 0xff && (version != 0 || parts.next().is_none());
        (fits && trace != 0 && span != 0).then_some(Context { trace, span: SpanId(span), sampled: flags & 1 == 1 })
    }

    /// The header for whoever is asked next.
    #[must_use]
    pub fn header(&self) -> String {
        format!("00-{:032x}-{:016x}-{:02x}", self.trace, self.span.0, u8::from(self.sampled))
    }
}

/// Lower-case hex digits, exactly so many.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let plain = text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    plain.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_a_context_is_one() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let read = Context::parse(good).unwrap_or_else(|| panic!("it is one"));
        assert!(read.sampled && read.header() == good);
        assert!(
            Context::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00").is_some_and(|one| !one.sampled)
        );
        assert!(Context::parse("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-later").is_some());
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Context::parse(bad), None, "{bad}");
        }
    }
}
