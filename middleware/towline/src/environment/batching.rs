use std::time::Duration;

use towline_otlp::ExporterBuilder;
use towline_otlp::policy::Backoff;

use super::reader::Reader;

/// What the environment says about times and sizes of the exporter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Batching {
    flush_interval: Option<Duration>,
    max_elapsed: Option<Duration>,
    attempt_timeout: Option<Duration>,
    buffer_spans: Option<usize>,
    batch_spans: Option<usize>,
}

/// Reads the variables of the [batch span processor] and the timeout of the [OTLP exporter].
///
/// [batch span processor]: https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/configuration/sdk-environment-variables.md#batch-span-processor
/// [OTLP exporter]: https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/protocol/exporter.md
pub(super) fn batching(read: &mut Reader<'_>) -> Batching {
    let timeout = match read.milliseconds(TRACES_TIMEOUT) {
        None => read.milliseconds(TIMEOUT),
        timeout => timeout,
    };
    let mut batching = Batching {
        flush_interval: read.milliseconds(SCHEDULE_DELAY),
        max_elapsed: read.milliseconds(EXPORT_TIMEOUT),
        // Zero is no limit.
        attempt_timeout: timeout.map(|time| if time.is_zero() { Duration::MAX } else { time }),
        buffer_spans: read.count(MAX_QUEUE_SIZE),
        batch_spans: read.count(MAX_EXPORT_BATCH_SIZE),
    };
    if batching.flush_interval == Some(Duration::ZERO) {
        // At once, as far as a batch can be.
        batching.flush_interval = Some(Duration::from_millis(1));
    }
    if let (Some(batch), Some(buffer)) = (batching.batch_spans, batching.buffer_spans)
        && batch > buffer
    {
        read.complain(format!(
            "{MAX_EXPORT_BATCH_SIZE} is {batch}: expected at most {MAX_QUEUE_SIZE}, which is {buffer}"
        ));
        batching.batch_spans = Some(buffer);
    }
    batching
}

// === impl Batching ===

impl Batching {
    /// Sets the options that are said.
    pub(crate) fn apply(self, mut exporter: ExporterBuilder) -> ExporterBuilder {
        if let Some(interval) = self.flush_interval {
            exporter = exporter.flush_interval(interval);
        }
        if let Some(time) = self.max_elapsed {
            exporter = exporter.backoff(Backoff::new().max_elapsed(time));
        }
        if let Some(timeout) = self.attempt_timeout {
            exporter = exporter.attempt_timeout(timeout);
        }
        if let Some(spans) = self.buffer_spans {
            exporter = exporter.buffer_spans(spans);
        }
        if let Some(spans) = self.batch_spans {
            exporter = exporter.batch_spans(spans);
        }
        exporter
    }
}

const SCHEDULE_DELAY: &str = "OTEL_BSP_SCHEDULE_DELAY";
const EXPORT_TIMEOUT: &str = "OTEL_BSP_EXPORT_TIMEOUT";
const MAX_QUEUE_SIZE: &str = "OTEL_BSP_MAX_QUEUE_SIZE";
const MAX_EXPORT_BATCH_SIZE: &str = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
const TIMEOUT: &str = "OTEL_EXPORTER_OTLP_TIMEOUT";
const TRACES_TIMEOUT: &str = "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT";

#[cfg(test)]
mod tests {
    use super::super::Environment;
    use super::*;

    fn read(variables: &[(&str, &str)]) -> (Batching, Vec<String>) {
        let environment = variables.iter().copied().collect::<Environment>();
        let mut reader = Reader::new(&environment);
        let batching = batching(&mut reader);
        (batching, reader.into_complaints())
    }

    #[test]
    fn each_variable_has_its_option() {
        let (batching, complaints) = read(&[
            (SCHEDULE_DELAY, "250"),
            (EXPORT_TIMEOUT, "30000"),
            (TIMEOUT, "1000"),
            (TRACES_TIMEOUT, " 2000 "),
            (MAX_QUEUE_SIZE, "2048"),
            (MAX_EXPORT_BATCH_SIZE, "512"),
        ]);
        assert_eq!(
            batching,
            Batching {
                flush_interval: Some(Duration::from_millis(250)),
                max_elapsed: Some(Duration::from_secs(30)),
                attempt_timeout: Some(Duration::from_secs(2)),
                buffer_spans: Some(2048),
                batch_spans: Some(512),
            }
        );
        assert!(complaints.is_empty());
        assert_eq!(read(&[]).0, Batching::default());
    }

    #[test]
    fn zero_is_understood_where_it_means_something() {
        let (batching, complaints) =
            read(&[(SCHEDULE_DELAY, "0"), (EXPORT_TIMEOUT, "0"), (TIMEOUT, "0")]);
        assert_eq!(batching.flush_interval, Some(Duration::from_millis(1)));
        assert_eq!(batching.max_elapsed, Some(Duration::ZERO));
        assert_eq!(batching.attempt_timeout, Some(Duration::MAX));
        assert!(complaints.is_empty());
    }

    #[test]
    fn junk_is_told_and_ignored() {
        for (variable, value, expected) in [
            (
                SCHEDULE_DELAY,
                "5s",
                "expected a whole number of milliseconds",
            ),
            (TIMEOUT, "-1", "expected a whole number of milliseconds"),
            (MAX_QUEUE_SIZE, "0", "expected a whole number, at least 1"),
            (
                MAX_EXPORT_BATCH_SIZE,
                "many",
                "expected a whole number, at least 1",
            ),
        ] {
            let (batching, complaints) = read(&[(variable, value)]);
            assert_eq!(batching, Batching::default());
            assert_eq!(complaints, [format!("{variable} is {value:?}: {expected}")]);
        }
    }

    #[test]
    fn a_batch_is_no_larger_than_the_queue() {
        let (batching, complaints) = read(&[(MAX_QUEUE_SIZE, "10"), (MAX_EXPORT_BATCH_SIZE, "11")]);
        assert_eq!(
            (batching.buffer_spans, batching.batch_spans),
            (Some(10), Some(10))
        );
        assert_eq!(
            complaints,
            [
                "OTEL_BSP_MAX_EXPORT_BATCH_SIZE is 11: expected at most OTEL_BSP_MAX_QUEUE_SIZE, which is 10"
            ]
        );
    }
}
