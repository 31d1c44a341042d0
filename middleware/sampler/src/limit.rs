use std::fmt;

/// So many a second, and how many of them may come at once.
///
/// ```
/// use towline_sampler::Limit;
///
/// let limit = Limit::per_second(10);
/// assert_eq!(limit.burst(), 10);
/// assert_eq!(limit.with_burst(25).to_string(), "10 per second, 25 at once");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limit {
    per_second: u32,
    burst: u32,
}

// === impl Limit ===

impl Limit {
    /// This many a second in the long run, and as many at once after a second without any; at least
    /// one at once. `0` lets nothing through.
    #[must_use]
    pub const fn per_second(count: u32) -> Self {
        Self {
            per_second: count,
            burst: if count == 0 { 1 } else { count },
        }
    }

    /// Sets how many may come at once after a pause that is long enough. `0` counts as 1, since with
    /// less nothing would ever come through.
    #[must_use]
    pub const fn with_burst(mut self, count: u32) -> Self {
        self.burst = if count == 0 { 1 } else { count };
        self
    }

    /// How many a second.
    #[must_use]
    pub const fn as_per_second(self) -> u32 {
        self.per_second
    }

    /// How many at once.
    #[must_use]
    pub const fn burst(self) -> u32 {
        self.burst
    }

    /// Both numbers in one word, so that they change together.
    pub(crate) const fn to_bits(self) -> u64 {
        (self.per_second as u64) << 32 | self.burst as u64
    }

    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self {
            per_second: (bits >> 32) as u32,
            burst: bits as u32,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per second, {} at once", self.per_second, self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_always_room_for_one_at_once_and_the_word_holds_both() {
        for (limit, expected) in [
            (Limit::per_second(0), (0, 1)),
            (Limit::per_second(7), (7, 7)),
            (Limit::per_second(7).with_burst(0), (7, 1)),
            (
                Limit::per_second(u32::MAX).with_burst(u32::MAX),
                (u32::MAX, u32::MAX),
            ),
        ] {
            let read = Limit::from_bits(limit.to_bits());
            assert_eq!((read.as_per_second(), read.burst()), expected);
        }
    }
}
