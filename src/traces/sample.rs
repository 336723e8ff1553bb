//! Which traces are kept.

use super::Context;

/// As `OTEL_TRACES_SAMPLER` names them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sampler {
    /// Whether whoever asks decides, where they say so.
    pub follows: bool,
    /// Of 2^63 traces so many are kept: by their number, so that every program decides the same of one.
    keep: u64,
}

const ALL: u64 = 1 << 63;

impl Sampler {
    /// `share` is a part of one, in millionths.
    #[must_use]
    pub fn new(follows: bool, share: u32) -> Sampler {
        let keep = u128::from(ALL) * u128::from(share.min(1_000_000)) / 1_000_000;
        Sampler { follows, keep: u64::try_from(keep).unwrap_or(ALL) }
    }

    #[must_use]
    pub fn keeps(&self, parent: Option<&Context>, trace: u128) -> bool {
        match parent {
            Some(parent) if self.follows => parent.sampled,
            _ => u64::try_from(trace & u128::from(ALL - 1)).is_ok_and(|low| low < self.keep),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traces::SpanId;

    #[test]
    fn a_share_is_kept_and_whoever_asks_decides_where_they_may() {
        let kept = |share| (0..1_024_u128).filter(|n| Sampler::new(true, share).keeps(None, n << 53)).count();
        assert_eq!((kept(0), kept(250_000), kept(1_000_000)), (0, 256, 1_024));
        let parent = |sampled| Context { trace: 1, span: SpanId(1), sampled };
        assert!(Sampler::new(true, 0).keeps(Some(&parent(true)), 1));
        assert!(!Sampler::new(true, 1_000_000).keeps(Some(&parent(false)), 1));
        assert!(!Sampler::new(false, 0).keeps(Some(&parent(true)), 1));
    }
}
