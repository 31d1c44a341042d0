/// Where every span that ended has gone: each is in exactly one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) ended: u64,
    /// Waiting in the buffer.
    pub(crate) held: u64,
    /// In a batch on its way.
    pub(crate) in_flight: u64,
    pub(crate) exported: u64,
    pub(crate) lost: Lost,
}

/// Spans that were given up, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) buffer_full: u64,
    pub(crate) too_large: u64,
    pub(crate) refused: u64,
    pub(crate) failed: u64,
    pub(crate) shutdown: u64,
}

/// Why a span was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    BufferFull,
    TooLarge,
    Refused,
    Failed,
    Shutdown,
}

// === impl Ledger ===

impl Ledger {
    /// A span came in.
    pub(super) fn hold(&mut self) {
        self.ended += 1;
        self.held += 1;
    }

    /// Spans came, and were not let in.
    pub(super) fn refuse(&mut self, loss: Loss, spans: u64) {
        self.ended += spans;
        *self.lost.of(loss) += spans;
    }

    /// A batch of held spans sets out.
    pub(super) fn send(&mut self, spans: u64) {
        self.held -= spans;
        self.in_flight += spans;
    }

    /// A batch was answered: some of it was taken, the rest is lost.
    pub(super) fn settle(&mut self, exported: u64, lost: &Lost) {
        self.in_flight -= exported + lost.total();
        self.exported += exported;
        self.lost.add(lost);
    }

    /// Spans that were let in make room for newer ones.
    pub(super) fn evict(&mut self, spans: u64) {
        self.held -= spans;
        self.lost.buffer_full += spans;
    }

    /// What is held and what is on its way is given up.
    pub(super) fn abandon(&mut self, loss: Loss) {
        *self.lost.of(loss) += self.held + self.in_flight;
        (self.held, self.in_flight) = (0, 0);
    }
}

// === impl Lost ===

impl Lost {
    /// So many for one reason.
    pub(crate) fn new(loss: Loss, spans: usize) -> Self {
        let mut lost = Self::default();
        *lost.of(loss) = spans as u64;
        lost
    }

    pub(crate) const fn total(&self) -> u64 {
        self.buffer_full + self.too_large + self.refused + self.failed + self.shutdown
    }

    fn add(&mut self, other: &Self) {
        self.buffer_full += other.buffer_full;
        self.too_large += other.too_large;
        self.refused += other.refused;
        self.failed += other.failed;
        self.shutdown += other.shutdown;
    }

    fn of(&mut self, loss: Loss) -> &mut u64 {
        match loss {
            Loss::BufferFull => &mut self.buffer_full,
            Loss::TooLarge => &mut self.too_large,
            Loss::Refused => &mut self.refused,
            Loss::Failed => &mut self.failed,
            Loss::Shutdown => &mut self.shutdown,
        }
    }
}
