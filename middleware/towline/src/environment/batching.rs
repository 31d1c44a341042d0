use std::time::Duration;

use super::reader::Reader;
use crate::config::{Origin, Said, Settings};

/// Reads the variables of the [batch span processor] and the timeout of the [OTLP exporter].
///
/// [batch span processor]: https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/configuration/sdk-environment-variables.md#batch-span-processor
/// [OTLP exporter]: https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/protocol/exporter.md
pub(super) fn batching(read: &mut Reader<'_>, settings: &mut Settings) {
    let timeout = match read.said(TRACES_TIMEOUT, Reader::milliseconds) {
        None => read.said(TIMEOUT, Reader::milliseconds),
        timeout => timeout,
    };
    // Zero is no limit.
    settings.attempt_timeout = or_else(timeout, Duration::MAX);
    // Zero is at once, as far as a batch can be.
    let delay = read.said(SCHEDULE_DELAY, Reader::milliseconds);
    settings.flush_interval = or_else(delay, Duration::from_millis(1));
    settings.retry_max_elapsed = read.said(EXPORT_TIMEOUT, Reader::milliseconds);
    settings.buffer_spans = read.said(MAX_QUEUE_SIZE, Reader::count);
    settings.batch_spans = read.said(MAX_EXPORT_BATCH_SIZE, Reader::count);
    settings.concurrency = read.said(MAX_CONCURRENT_EXPORTS, Reader::count);
    if let (Some(batch), Some(buffer)) = (&mut settings.batch_spans, &settings.buffer_spans)
        && batch.value > buffer.value
    {
        read.complain(format!(
            "{MAX_EXPORT_BATCH_SIZE} is {}: expected at most {MAX_QUEUE_SIZE}, which is {}",
            batch.value, buffer.value
        ));
        *batch = Said::new(buffer.value, Origin::variable(MAX_EXPORT_BATCH_SIZE));
    }
}

/// What zero stands for.
fn or_else(said: Option<Said<Duration>>, zero: Duration) -> Option<Said<Duration>> {
    said.map(|said| match said.value.is_zero() {
        true => Said::new(zero, said.origin),
        false => said,
    })
}

const SCHEDULE_DELAY: &str = "OTEL_BSP_SCHEDULE_DELAY";
const EXPORT_TIMEOUT: &str = "OTEL_BSP_EXPORT_TIMEOUT";
const MAX_QUEUE_SIZE: &str = "OTEL_BSP_MAX_QUEUE_SIZE";
const MAX_EXPORT_BATCH_SIZE: &str = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
const MAX_CONCURRENT_EXPORTS: &str = "OTEL_BSP_MAX_CONCURRENT_EXPORTS";
const TIMEOUT: &str = "OTEL_EXPORTER_OTLP_TIMEOUT";
const TRACES_TIMEOUT: &str = "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT";

#[cfg(test)]
mod tests {
    use super::super::Environment;
    use super::*;

    fn read(variables: &[(&str, &str)]) -> (Settings, Vec<String>) {
        let environment = variables.iter().copied().collect::<Environment>();
        let mut reader = Reader::new(&environment);
        let mut settings = Settings::default();
        batching(&mut reader, &mut settings);
        (settings, reader.into_complaints())
    }

    fn value<T: Copy>(said: &Option<Said<T>>) -> Option<T> {
        said.as_ref().map(|said| said.value)
    }

    fn is_empty(settings: &Settings) -> bool {
        format!("{settings:?}") == format!("{:?}", Settings::default())
    }

    #[test]
    fn each_variable_has_its_option() {
        let (settings, complaints) = read(&[
            (SCHEDULE_DELAY, "250"),
            (EXPORT_TIMEOUT, "30000"),
            (TIMEOUT, "1000"),
            (TRACES_TIMEOUT, " 2000 "),
            (MAX_QUEUE_SIZE, "2048"),
            (MAX_EXPORT_BATCH_SIZE, "512"),
            (MAX_CONCURRENT_EXPORTS, "3"),
        ]);
        assert_eq!(
            (
                value(&settings.flush_interval),
                value(&settings.retry_max_elapsed),
                value(&settings.attempt_timeout),
                value(&settings.buffer_spans),
                value(&settings.batch_spans),
                value(&settings.concurrency),
            ),
            (
                Some(Duration::from_millis(250)),
                Some(Duration::from_secs(30)),
                Some(Duration::from_secs(2)),
                Some(2048),
                Some(512),
                Some(3),
            )
        );
        assert!(complaints.is_empty());
        assert!(is_empty(&read(&[]).0));
    }

    #[test]
    fn zero_is_understood_where_it_means_something() {
        let (settings, complaints) =
            read(&[(SCHEDULE_DELAY, "0"), (EXPORT_TIMEOUT, "0"), (TIMEOUT, "0")]);
        assert_eq!(
            value(&settings.flush_interval),
            Some(Duration::from_millis(1))
        );
        assert_eq!(value(&settings.retry_max_elapsed), Some(Duration::ZERO));
        assert_eq!(value(&settings.attempt_timeout), Some(Duration::MAX));
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
            let (settings, complaints) = read(&[(variable, value)]);
            assert!(is_empty(&settings), "{settings:?}");
            assert_eq!(complaints, [format!("{variable} is {value:?}: {expected}")]);
        }
    }

    #[test]
    fn a_batch_is_no_larger_than_the_queue() {
        let (settings, complaints) = read(&[(MAX_QUEUE_SIZE, "10"), (MAX_EXPORT_BATCH_SIZE, "11")]);
        assert_eq!(
            (value(&settings.buffer_spans), value(&settings.batch_spans)),
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
