//! Server-sent events, from bytes in whatever pieces they arrive.

use std::collections::VecDeque;

/// Bytes of one line.
const MAX_LINE: usize = 1_048_576;
/// Bytes of the data of one event.
const MAX_EVENT: usize = 2 * MAX_LINE;

/// Why a stream of events is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line or an event of the stream is too long")]
pub(crate) struct SseError;

/// Collects lines into events. Only `data` matters here: both upstream dialects repeat the event's name in it.
#[derive(Debug, Default)]
pub(crate) struct SseParser {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    after_carriage_return: bool,
}

impl SseParser {
    /// Takes the next bytes and appends the data of each event that they complete.
    ///
    /// # Errors
    /// When a line or an event is too long.
    pub(crate) fn push(&mut self, mut bytes: &[u8], out: &mut VecDeque<Vec<u8>>) -> Result<(), SseError> {
        while !bytes.is_empty() {
            if self.after_carriage_return {
                self.after_carriage_return = false;
                if let Some(rest) = bytes.strip_prefix(b"\n") {
                    bytes = rest;
                    continue;
                }
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let (piece, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            if self.line.len() + piece.len() > MAX_LINE {
                return Err(SseError);
            }
            self.line.extend_from_slice(piece);
            if let Some((terminator, rest)) = rest.split_first() {
                self.after_carriage_return = *terminator == b'\r';
                bytes = rest;
                self.end_line(out)?;
            } else {
                bytes = rest;
            }
        }
        Ok(())
    }

    /// The event that the end of the stream cut short of its blank line; some servers leave it out.
    pub(crate) fn finish(&mut self, out: &mut VecDeque<Vec<u8>>) -> Result<(), SseError> {
        if !self.line.is_empty() {
            self.end_line(out)?;
        }
        self.end_event(out);
        Ok(())
    }

    fn end_line(&mut self, out: &mut VecDeque<Vec<u8>>) -> Result<(), SseError> {
        if self.line.is_empty() {
            self.end_event(out);
            return Ok(());
        }
        if let Some(value) = self.line.strip_prefix(b"data:") {
            let value = value.strip_prefix(b" ").unwrap_or(value);
            if self.data.len() + value.len() > MAX_EVENT {
                return Err(SseError);
            }
            if self.has_data {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(value);
            self.has_data = true;
        }
        self.line.clear();
        Ok(())
    }

    fn end_event(&mut self, out: &mut VecDeque<Vec<u8>>) {
        if self.has_data {
            out.push_back(std::mem::take(&mut self.data));
            self.has_data = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn events(pieces: &[&[u8]]) -> Vec<String> {
        let (mut parser, mut out) = (SseParser::default(), VecDeque::new());
        for piece in pieces {
            parser.push(piece, &mut out).expect("short lines");
        }
        parser.finish(&mut out).expect("short lines");
        out.into_iter().map(|event| String::from_utf8_lossy(&event).into_owned()).collect()
    }

    #[test]
    fn comments_names_and_every_line_ending_are_understood() {
        let text = b": hello\n\nevent: x\r\ndata: {\"a\":1}\r\n\r\ndata:two\rdata: lines\r\rid: 4\n\ndata: [DONE]";
        assert_eq!(events(&[text]), ["{\"a\":1}", "two\nlines", "[DONE]"]);
    }

    #[test]
    fn a_line_without_end_is_given_up() {
        let (mut parser, mut out) = (SseParser::default(), VecDeque::new());
        let piece = vec![b'x'; 65_536];
        let pushed = (0..32).try_for_each(|_| parser.push(&piece, &mut out));
        assert_eq!(pushed, Err(SseError));
    }

    proptest! {
        #[test]
        fn the_cuts_between_packets_do_not_matter(cuts in proptest::collection::vec(0_usize..70, 0..12)) {
            let text = b"data: one\r\n\r\n: ping\n\ndata: \xc3\xa4\ndata: two\n\nevent: e\rdata: three\r\rdata: [DONE]\n\n";
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < text.len()).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut start = 0;
            for cut in cuts {
                pieces.push(text.get(start..cut).unwrap_or_default());
                start = cut;
            }
            pieces.push(text.get(start..).unwrap_or_default());
            prop_assert_eq!(events(&pieces), events(&[text]));
        }
    }
}
