use std::time::{Duration, Instant};

/// What time it is, in nanoseconds since some moment.
pub(super) enum Clock {
    System(Instant),
    Given(Box<dyn Fn() -> Duration + Send + Sync>),
}

impl Clock {
    pub(super) fn system() -> Self {
        Self::System(Instant::now())
    }

    pub(super) fn given(clock: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self::Given(Box::new(clock))
    }

    /// Enough for 584 years.
    pub(super) fn nanos(&self) -> u64 {
        let since = match self {
            Self::System(start) => start.elapsed(),
            Self::Given(clock) => clock(),
        };
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}
