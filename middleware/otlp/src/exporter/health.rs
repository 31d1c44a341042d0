use std::error::Error;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::quiet::Voice;
use crate::buffer::Lost;
use crate::printable::Printable;
use crate::{ExportError, ExportErrorKind, Receipt};

/// How the backend does, as seen by each attempt, and what the program's log hears of it.
///
/// A backend that was never there is one INFO: a developer's machine without a collector is nothing
/// to warn about. One that was lost is one WARN with the cause, one that is back is one INFO. A
/// backend that comes and goes is told once a minute. One that does not know the method is told once,
/// by an INFO: it is only older than this program. The counters have the rest.
#[derive(Debug)]
pub(super) struct Health {
    failed_attempts: AtomicU64,
    /// It has taken a batch once.
    reached: AtomicBool,
    voice: Voice,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    last_warning: Option<Instant>,
    /// The last thing a backend complained about while taking a batch.
    complaint: String,
    last_complaint: Option<Instant>,
    last_too_large: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing known yet.
    New,
    /// Never reached, and the log knows.
    Absent,
    Up,
    /// Failing; `told` if the log knows.
    Down {
        told: bool,
    },
    /// It does not know the method, and is not asked any more.
    Unimplemented,
}

/// A line for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    NotReached,
    Lost,
    Back,
}

// === impl Health ===

impl Health {
    pub(super) fn new(voice: Voice) -> Self {
        Self {
            failed_attempts: AtomicU64::new(0),
            reached: AtomicBool::new(false),
            voice,
            state: Mutex::new(State {
                phase: Phase::New,
                last_warning: None,
                complaint: String::new(),
                last_complaint: None,
                last_too_large: None,
            }),
        }
    }

    /// Attempts that failed, ever.
    pub(super) fn failed_attempts(&self) -> u64 {
        self.failed_attempts.load(Ordering::Relaxed)
    }

    /// Whether the backend has ever taken a batch.
    pub(super) fn was_reached(&self) -> bool {
        self.reached.load(Ordering::Relaxed)
    }

    /// Takes note of one attempt.
    pub(super) fn observe(&self, result: &Result<Receipt, ExportError>) {
        match result {
            Ok(receipt) => {
                self.reached.store(true, Ordering::Relaxed);
                if self.update(|state| state.succeed()) == Some(Line::Back) {
                    self.voice
                        .speak(|| tracing::info!(target: TARGET, "spans are exported again"));
                }
                self.observe_receipt(receipt);
            }
            // It answers. What is lost by it is for `observe_lost` to say.
            Err(error) if error.kind() == ExportErrorKind::TooLarge => {
                self.failed_attempts.fetch_add(1, Ordering::Relaxed);
                self.reached.store(true, Ordering::Relaxed);
            }
            Err(error) if error.kind() == ExportErrorKind::Unimplemented => {
                // What follows was never sent.
                if self.update(State::find_unimplemented) {
                    self.failed_attempts.fetch_add(1, Ordering::Relaxed);
                    self.voice.speak(|| {
                        tracing::info!(
                            target: TARGET,
                            error = %Chain(error),
                            "the peer does not know the method that takes spans: they are dropped from now on"
                        );
                    });
                }
            }
            Err(error) => {
                self.failed_attempts.fetch_add(1, Ordering::Relaxed);
                match self.update(|state| state.fail(error, Instant::now())) {
                    Some(Line::NotReached) => self.voice.speak(|| {
                        tracing::info!(
                            target: TARGET,
                            error = %Chain(error),
                            "no backend takes spans yet: the buffer keeps what it has room for"
                        );
                    }),
                    Some(_) => self.voice.speak(|| {
                        let error = Chain(error);
                        tracing::warn!(target: TARGET, %error, "spans cannot be exported");
                    }),
                    None => {}
                }
            }
        }
    }

    fn observe_receipt(&self, receipt: &Receipt) {
        let rejected = receipt.rejected_spans();
        let message = receipt.message().unwrap_or_default();
        if (rejected > 0 || !message.is_empty())
            && self.update(|state| state.complain(message, Instant::now()))
        {
            let message = Printable::first(MAX_TEXT_CHARS, message);
            self.voice.speak(|| {
                tracing::warn!(
                    target: TARGET,
                    rejected_spans = rejected,
                    %message,
                    "the backend took spans with reservations"
                );
            });
        }
    }

    /// Notes what became of a batch for good: a span that is too large is worth a line, since no
    /// backend was lost that could be told about.
    pub(super) fn observe_lost(&self, lost: &Lost) {
        let spans = lost.too_large;
        if spans > 0 && self.update(|state| due(&mut state.last_too_large, Instant::now())) {
            self.voice.speak(|| {
                tracing::warn!(
                    target: TARGET,
                    spans,
                    "spans are dropped, since each is larger than the backend takes"
                );
            });
        }
    }

    fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

// === impl State ===

impl State {
    fn succeed(&mut self) -> Option<Line> {
        let before = std::mem::replace(&mut self.phase, Phase::Up);
        matches!(before, Phase::Absent | Phase::Down { told: true }).then_some(Line::Back)
    }

    fn fail(&mut self, error: &ExportError, now: Instant) -> Option<Line> {
        let absent = matches!(
            error.kind(),
            ExportErrorKind::Unreachable | ExportErrorKind::Timeout
        );
        match self.phase {
            Phase::New if absent => {
                self.phase = Phase::Absent;
                Some(Line::NotReached)
            }
            // It is there after all, and does not want our spans.
            Phase::Absent if absent => None,
            Phase::New | Phase::Absent | Phase::Up => {
                let told = due(&mut self.last_warning, now);
                self.phase = Phase::Down { told };
                told.then_some(Line::Lost)
            }
            Phase::Down { .. } | Phase::Unimplemented => None,
        }
    }

    /// Whether that is news.
    fn find_unimplemented(&mut self) -> bool {
        std::mem::replace(&mut self.phase, Phase::Unimplemented) != Phase::Unimplemented
    }

    /// Whether the log should hear it: each reason once, and not one after the other.
    fn complain(&mut self, message: &str, now: Instant) -> bool {
        if self.last_complaint.is_some() && self.complaint == message {
            return false;
        }
        if !due(&mut self.last_complaint, now) {
            return false;
        }
        message.clone_into(&mut self.complaint);
        true
    }
}

/// Whether enough time has passed since `last`; if so, notes the time.
fn due(last: &mut Option<Instant>, now: Instant) -> bool {
    let due = last.is_none_or(|last| now.saturating_duration_since(last) >= WARNING_PERIOD);
    if due {
        *last = Some(now);
    }
    due
}

/// An error and its causes on one line.
struct Chain<'a>(&'a ExportError);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.0.to_string();
        let mut source = self.0.source();
        while let Some(error) = source.filter(|_| text.len() < MAX_TEXT_CHARS) {
            write!(text, ": {error}")?;
            source = error.source();
        }
        Printable::first(MAX_TEXT_CHARS, &text).fmt(f)
    }
}

/// Where the lines come from, for filters.
const TARGET: &str = "towline_otlp";

const WARNING_PERIOD: Duration = Duration::from_secs(60);

const MAX_TEXT_CHARS: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PeerStatus;

    fn state() -> State {
        State {
            phase: Phase::New,
            last_warning: None,
            complaint: String::new(),
            last_complaint: None,
            last_too_large: None,
        }
    }

    fn unreachable() -> ExportError {
        ExportError::new(ExportErrorKind::Unreachable, "cannot reach peer")
    }

    #[test]
    fn a_backend_that_was_never_there_is_told_once() {
        let (mut state, now) = (state(), Instant::now());
        assert_eq!(state.fail(&unreachable(), now), Some(Line::NotReached));
        for _ in 0..100 {
            assert_eq!(state.fail(&unreachable(), now), None);
        }
        assert_eq!(state.succeed(), Some(Line::Back));
        assert_eq!(state.succeed(), None);
    }

    #[test]
    fn a_backend_that_was_lost_is_told_once_and_once_more_when_it_is_back() {
        let (mut state, now) = (state(), Instant::now());
        assert_eq!(state.succeed(), None);
        assert_eq!(state.fail(&unreachable(), now), Some(Line::Lost));
        assert_eq!(state.fail(&unreachable(), now), None);
        assert_eq!(state.succeed(), Some(Line::Back));
    }

    #[test]
    fn a_backend_that_comes_and_goes_is_told_once_a_minute() {
        let (mut state, now) = (state(), Instant::now());
        state.succeed();
        assert_eq!(state.fail(&unreachable(), now), Some(Line::Lost));
        assert_eq!(state.succeed(), Some(Line::Back));
        for _ in 0..100 {
            assert_eq!(
                state.fail(&unreachable(), now + Duration::from_secs(59)),
                None
            );
            assert_eq!(state.succeed(), None);
        }
        assert_eq!(
            state.fail(&unreachable(), now + WARNING_PERIOD),
            Some(Line::Lost)
        );
    }

    #[test]
    fn a_backend_that_refuses_from_the_start_is_worth_a_warning() {
        let (mut state, now) = (state(), Instant::now());
        assert_eq!(
            state.fail(&ExportError::refused("peer", PeerStatus::Http(401)), now),
            Some(Line::Lost)
        );
    }

    #[test]
    fn a_certificate_that_is_not_trusted_is_worth_a_warning_from_the_start() {
        let (mut state, now) = (state(), Instant::now());
        let error = ExportError::new(ExportErrorKind::Tls, "the certificate has expired");
        assert_eq!(state.fail(&error, now), Some(Line::Lost));
    }

    #[test]
    fn a_complaint_is_told_once_a_reason() {
        let (mut state, now) = (state(), Instant::now());
        assert!(state.complain("too old", now));
        assert!(!state.complain("too old", now + 2 * WARNING_PERIOD));
        assert!(state.complain("too new", now + 2 * WARNING_PERIOD));
        assert!(!state.complain("too odd", now + 2 * WARNING_PERIOD));
    }

    #[test]
    fn causes_are_on_one_line() {
        let error = unreachable().with_source(std::io::Error::other("refused\nERROR"));
        assert_eq!(
            Chain(&error).to_string(),
            "cannot reach peer: refused\\nERROR"
        );
        let error = unreachable().with_source("ä".repeat(1000));
        assert_eq!(
            Chain(&error).to_string().chars().count(),
            MAX_TEXT_CHARS + 1
        );
    }
}
