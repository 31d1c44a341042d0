//! What has become of everything, in one line.

use std::fmt;

use towline_forwarder::Stats;

/// The counts of a forwarder, as `name=value` with a space between, requests first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report(pub(crate) Stats);

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stats {
            requests, spans, ..
        } = self.0;
        write!(
            f,
            "requests: received={} acknowledged={} refused={} failed={} cancelled={}; \
             spans: received={} forwarded={} rejected={} discarded={} rate_limited={} failed={} cancelled={}",
            requests.received,
            requests.acknowledged,
            requests.refused.total(),
            requests.failed,
            requests.cancelled,
            spans.received,
            spans.forwarded,
            spans.rejected,
            spans.discarded,
            spans.rate_limited,
            spans.failed,
            spans.cancelled,
        )
    }
}
