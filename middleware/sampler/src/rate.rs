use std::fmt;

use opentelemetry::trace::TraceId;

/// How many traces in a million are recorded, where no caller has decided.
///
/// The unit and the range are those of Teleport's `sampling_rate_per_million` and of Kubernetes'
/// `samplingRatePerMillion`: `0` records none, `1_000_000` records all. The default is
/// [`Rate::NEVER`], as there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(u32);

/// The rejection threshold of a [`Rate`]: a trace is sampled when its randomness reaches it.
///
/// A number from `0` (every trace) to 2<sup>56</sup> (none). The arithmetic is exact, so the value
/// is the same in every process and on every machine: 2<sup>56</sup> less
/// `per_million` · 2<sup>56</sup> / 10<sup>6</sup> rounded to the nearest integer.
///
/// See [Consistent sampling decision](https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/trace/tracestate-probability-sampling.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Threshold(u64);

/// A rate above one million per million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateError(u32);

// === impl Rate ===

impl Rate {
    /// Every trace: one million per million.
    pub const ALWAYS: Self = Self(MILLION);

    /// No trace, except those that a sampled caller asks for.
    pub const NEVER: Self = Self(0);

    /// `count` traces in a million.
    ///
    /// # Errors
    ///
    /// When `count` is above `1_000_000`.
    pub const fn per_million(count: u32) -> Result<Self, RateError> {
        if count > MILLION {
            return Err(RateError(count));
        }
        Ok(Self(count))
    }

    /// The rate as traces per million.
    #[must_use]
    pub const fn as_per_million(self) -> u32 {
        self.0
    }

    /// The rejection threshold that stands for this rate.
    #[must_use]
    pub const fn threshold(self) -> Threshold {
        let accepted = (self.0 as u128 * NEVER as u128 + MILLION as u128 / 2) / MILLION as u128;
        Threshold(NEVER - accepted as u64)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per million", self.0)
    }
}

impl TryFrom<u32> for Rate {
    type Error = RateError;

    fn try_from(count: u32) -> Result<Self, Self::Error> {
        Self::per_million(count)
    }
}

// === impl Threshold ===

impl Threshold {
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The threshold as a number from `0` to 2<sup>56</sup>.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// Whether a trace with this id is sampled: its rightmost 56 bits are not below the threshold.
    ///
    /// The W3C text asks for those bits to be random whenever the random flag is set, and the
    /// specification has samplers presume it without the flag.
    #[must_use]
    pub fn samples(self, trace_id: TraceId) -> bool {
        self.is_reached_by(Self::randomness(trace_id))
    }

    /// Whether 56 bits of randomness are not below it.
    pub(crate) const fn is_reached_by(self, randomness: u64) -> bool {
        randomness >= self.0
    }

    /// The rightmost 56 bits of a trace id.
    pub(crate) const fn randomness(trace_id: TraceId) -> u64 {
        (u128::from_be_bytes(trace_id.to_bytes()) as u64) & (NEVER - 1)
    }

    /// The rate whose threshold this is.
    pub(crate) const fn rate(self) -> Rate {
        let accepted = (NEVER - self.0) as u128 * MILLION as u128;
        Rate(((accepted + NEVER as u128 / 2) / NEVER as u128) as u32)
    }
}

// === impl RateError ===

impl fmt::Display for RateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "sampling rate {} is out of range, expected 0 to {MILLION} per million",
            self.0
        )
    }
}

impl std::error::Error for RateError {}

const MILLION: u32 = 1_000_000;

/// One more than the largest 56-bit number: no randomness reaches it.
const NEVER: u64 = 1 << 56;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_those_of_the_specification() {
        for (per_million, expected) in [
            (1, 0x00ff_ffef_3908_5f4a),
            (100, 0x00ff_f972_4745_38ef),
            (1_000, 0x00ff_be76_c8b4_3958),
            (10_000, 0x00fd_70a3_d70a_3d71),
            (100_000, 0x00e6_6666_6666_6666),
            (250_000, 0x00c0_0000_0000_0000),
            (500_000, 0x0080_0000_0000_0000),
            (1_000_000, 0),
            (0, 1 << 56),
        ] {
            let rate = Rate::per_million(per_million).unwrap();
            assert_eq!(rate.threshold().as_u64(), expected, "{per_million}");
        }
    }

    #[test]
    fn every_rate_is_read_back_from_its_threshold() {
        for per_million in 0..=MILLION {
            let rate = Rate(per_million);
            assert_eq!(rate.threshold().rate(), rate);
        }
    }

    #[test]
    fn a_rate_above_a_million_names_the_value_and_the_range() {
        let error = Rate::per_million(1_000_001).unwrap_err();
        assert_eq!(
            error.to_string(),
            "sampling rate 1000001 is out of range, expected 0 to 1000000 per million"
        );
        assert_eq!(Rate::try_from(7).unwrap().as_per_million(), 7);
    }

    #[test]
    fn the_boundary_itself_is_sampled_and_only_56_bits_count() {
        let threshold = Rate::per_million(250_000).unwrap().threshold();
        let at = u128::from(threshold.as_u64());
        let high = 0xffu128 << 56;
        for (low, expected) in [
            (at, true),
            (at - 1, false),
            (0, false),
            ((1 << 56) - 1, true),
        ] {
            for id in [low, low | high, low | (1 << 127)] {
                assert_eq!(threshold.samples(TraceId::from(id)), expected, "{id:x}");
            }
        }
    }

    #[test]
    fn never_and_always_hold_at_both_ends_of_the_id_space() {
        for id in [1u128, (1 << 56) - 1, u128::MAX] {
            assert!(!Rate::NEVER.threshold().samples(TraceId::from(id)));
            assert!(Rate::ALWAYS.threshold().samples(TraceId::from(id)));
        }
    }
}
