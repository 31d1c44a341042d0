//! The few lines in the log that a sender can cause.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::OnRefusal;
use crate::authorize::{Refusal, RefusalKind};
use crate::limits::Keyed;

/// One WARN for each refused identity and minute, and one for all who are not known.
#[derive(Debug)]
pub(crate) struct Notices {
    senders: Mutex<Keyed<Notice>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Notice {
    last: Option<Instant>,
    /// Requests since then.
    silent: u64,
}

// === impl Notices ===

impl Notices {
    pub(crate) fn new() -> Self {
        Self {
            senders: Mutex::new(Keyed::new(MAX_SENDERS, Notice::default())),
        }
    }

    /// A request was refused.
    pub(crate) fn refused(&self, refusal: &Refusal, on_refusal: OnRefusal) {
        let who = refusal.who().map_or("", |who| who.as_str());
        let Some(silent) = self.silent(who) else {
            return;
        };
        let reason = refusal.reason();
        let answered = match on_refusal {
            OnRefusal::Reject => "an error",
            OnRefusal::Discard => "success",
        };
        match refusal.kind() {
            RefusalKind::Unauthenticated => tracing::warn!(
                reason,
                answered,
                silent,
                "spans of an unknown sender are not forwarded"
            ),
            RefusalKind::PermissionDenied => tracing::warn!(
                identity = who,
                reason,
                answered,
                silent,
                "spans of this sender are not forwarded"
            ),
        }
    }

    /// How many requests passed in silence since the last line, if there may be another now.
    fn silent(&self, who: &str) -> Option<u64> {
        let now = Instant::now();
        let due = |notice: &Notice| notice.last.is_none_or(|last| now >= last + INTERVAL);
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        let notice = senders.entry(who, now, Notice::default(), due);
        if due(notice) {
            notice.last = Some(now);
            return Some(std::mem::take(&mut notice.silent));
        }
        notice.silent += 1;
        None
    }
}

/// How many senders are told apart.
const MAX_SENDERS: usize = 1_000;

const INTERVAL: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_line_for_each_sender_and_minute() {
        let notices = Notices::new();
        assert_eq!(notices.silent("a"), Some(0));
        assert_eq!(notices.silent("a"), None);
        assert_eq!(notices.silent("b"), Some(0));
        assert_eq!(notices.silent(""), Some(0));
        advance(INTERVAL - Duration::from_millis(1)).await;
        assert_eq!(notices.silent("a"), None);
        advance(Duration::from_millis(1)).await;
        assert_eq!(notices.silent("a"), Some(2));
        assert_eq!(notices.silent("b"), Some(0));
        // What was said once is not said again.
        advance(INTERVAL).await;
        assert_eq!(notices.silent("a"), Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn any_number_of_senders_is_a_bounded_number_of_lines() {
        let notices = Notices::new();
        let lines = (0..10 * MAX_SENDERS)
            .filter(|n| notices.silent(&n.to_string()).is_some())
            .count();
        assert_eq!(lines, MAX_SENDERS + 1);
    }
}
