//! What the settings make of the exporter.

use std::error::Error;
use std::sync::Arc;

use towline_otlp::policy::Backoff;
use towline_otlp::{
    BuildError, ClientOptions, ExporterBuilder, TransportError, TransportErrorKind,
};

use super::certificates;
use super::target::{Target, unusable};
use crate::StartErrorKind;
use crate::config::{Origin, Problem, Problems, Settings};

/// How the exporter connects, where there is somebody to connect to.
pub(super) fn client(
    settings: &Settings,
    target: &Target,
    problems: &mut Problems,
) -> Option<ClientOptions> {
    if target.collector().is_none() {
        refuse(settings, target, problems);
        return None;
    }
    let mut options = ClientOptions::new();
    for (name, value) in settings.headers.iter().flat_map(|said| &said.value.0) {
        options = options.header(name.clone(), value.clone());
    }
    if let Some(compression) = settings.compression.as_ref().and_then(|said| said.value) {
        options = options.compression(compression);
    }
    if let Some(said) = &settings.user_agent {
        options = options.user_agent(said.value.clone());
    }
    if let Some(said) = &settings.connect_timeout {
        options = options.connect_timeout(said.value);
    }
    Some(certificates::set_on(options, settings))
}

/// What somebody has asked for, and nobody would send. The environment speaks to many programs, and is passed over.
fn refuse(settings: &Settings, target: &Target, problems: &mut Problems) {
    let headers = settings.headers.as_ref();
    let compression = settings.compression.as_ref();
    let origins = [
        headers
            .filter(|said| !said.value.0.is_empty())
            .map(|said| &said.origin),
        compression
            .filter(|said| said.value.is_some())
            .map(|said| &said.origin),
    ];
    for origin in origins.into_iter().flatten() {
        if !origin.is_variable() {
            let rest = format!(
                " has no effect, since spans go to {target}: expected it with a collector's URL"
            );
            problems.push(Problem::of(StartErrorKind::Exporter, origin, rest));
        }
    }
}

/// Sizes, times and retries.
pub(super) fn set_on(mut exporter: ExporterBuilder, settings: &Settings) -> ExporterBuilder {
    macro_rules! set {
        ($($name:ident => $option:ident;)*) => {
            $(if let Some(said) = &settings.$name {
                exporter = exporter.$option(said.value);
            })*
        };
    }
    set! {
        attempt_timeout => attempt_timeout;
        flush_interval => flush_interval;
        buffer_bytes => buffer_bytes;
        buffer_spans => buffer_spans;
        batch_bytes => batch_bytes;
        batch_spans => batch_spans;
        max_message_bytes => max_message_bytes;
        forward_bytes => service_bytes;
        concurrency => concurrency;
    }
    let mut backoff = Backoff::new();
    if let Some(said) = &settings.retry_initial_delay {
        backoff = backoff.initial(said.value);
    }
    if let Some(said) = &settings.retry_max_delay {
        backoff = backoff.max_delay(said.value);
    }
    if let Some(said) = &settings.retry_max_elapsed {
        backoff = backoff.max_elapsed(said.value);
    }
    if backoff != Backoff::new() {
        exporter = exporter.backoff(backoff);
    }
    exporter
}

/// Why the exporter could not be built, with the setting that is to blame.
pub(super) fn problem(error: BuildError, settings: &Settings, target: Option<&Target>) -> Problem {
    let transport = error
        .source()
        .and_then(|source| source.downcast_ref::<TransportError>());
    if let Some(transport) = transport {
        let by_option = transport.option().and_then(|option| match option {
            "headers" => origin(&settings.headers),
            "compression" => origin(&settings.compression),
            "user_agent" => origin(&settings.user_agent),
            _ => None,
        });
        let problem = match (by_option, target) {
            (Some(origin), _) => blame(origin, &transport.to_string()),
            // It names the file, which is more than where spans go.
            (None, _) if transport.kind() == TransportErrorKind::Tls => {
                Problem::new(StartErrorKind::Certificates, transport.to_string())
            }
            (None, Some(Target::Endpoint(_, origin))) => unusable(origin, transport),
            (None, _) => Problem::new(StartErrorKind::Exporter, transport.to_string()),
        };
        return problem.with_causes_of(transport);
    }
    let by_option = error.option().and_then(|option| match option {
        "buffer_bytes" => origin(&settings.buffer_bytes)
            .or_else(|| origin(&settings.batch_bytes))
            .or_else(|| origin(&settings.concurrency)),
        "buffer_spans" => origin(&settings.buffer_spans).or_else(|| origin(&settings.batch_spans)),
        "batch_bytes" => origin(&settings.batch_bytes),
        "batch_spans" => origin(&settings.batch_spans),
        "max_message_bytes" => origin(&settings.max_message_bytes),
        "concurrency" => origin(&settings.concurrency),
        "flush_interval" => origin(&settings.flush_interval),
        "attempt_timeout" => origin(&settings.attempt_timeout),
        _ => None,
    });
    match by_option {
        Some(origin) => blame(origin, &error.to_string()),
        None => {
            let problem = Problem::new(StartErrorKind::Exporter, error.to_string());
            problem.with_source(Arc::new(error) as Arc<_>)
        }
    }
}

/// A text that may begin with the name of the setting.
fn blame(origin: &Origin, text: &str) -> Problem {
    match text.strip_prefix(origin.name()) {
        Some(rest) => Problem::of(StartErrorKind::Exporter, origin, rest),
        None => unusable(origin, text),
    }
}

fn origin<T>(said: &Option<crate::config::Said<T>>) -> Option<&Origin> {
    said.as_ref().map(|said| &said.origin)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use towline_otlp::Exporter;

    use super::*;
    use crate::Config;

    #[test]
    fn every_setting_reaches_its_option() {
        let ms = Duration::from_millis;
        let config = Config::new()
            .with_attempt_timeout(ms(1))
            .with_flush_interval(ms(2))
            .with_buffer_bytes(3)
            .with_buffer_spans(4)
            .with_batch_bytes(5)
            .with_batch_spans(6)
            .with_max_message_bytes(7)
            .with_forward_bytes(8)
            .with_concurrency(9)
            .with_retry_initial_delay(ms(10))
            .with_retry_max_delay(ms(11))
            .with_retry_max_elapsed(ms(12));
        let expected = Exporter::builder()
            .attempt_timeout(ms(1))
            .flush_interval(ms(2))
            .buffer_bytes(3)
            .buffer_spans(4)
            .batch_bytes(5)
            .batch_spans(6)
            .max_message_bytes(7)
            .service_bytes(8)
            .concurrency(9)
            .backoff(
                Backoff::new()
                    .initial(ms(10))
                    .max_delay(ms(11))
                    .max_elapsed(ms(12)),
            );
        let exporter = set_on(Exporter::builder(), &config.settings);
        assert_eq!(format!("{exporter:?}"), format!("{expected:?}"));
        let untouched = set_on(Exporter::builder(), &Config::new().settings);
        assert_eq!(
            format!("{untouched:?}"),
            format!("{:?}", Exporter::builder())
        );
    }

    #[test]
    fn every_setting_of_the_connection_reaches_the_client() {
        let origin = Origin::code("exporter_url");
        let endpoint = towline_otlp::Endpoint::parse("grpc://collector").unwrap();
        let target = Target::Endpoint(endpoint, origin);
        let header = || {
            let name = http::HeaderName::from_static("x-team");
            (name, http::HeaderValue::from_static("users"))
        };
        let config = Config::new()
            .with_headers([header()])
            .with_compression(towline_otlp::Compression::Zstd)
            .with_user_agent("users/1.0")
            .with_connect_timeout(Duration::from_secs(7));
        let mut problems = Problems::default();
        let options = client(&config.settings, &target, &mut problems).unwrap();
        let expected = ClientOptions::new()
            .header(header().0, header().1)
            .compression(towline_otlp::Compression::Zstd)
            .user_agent("users/1.0")
            .connect_timeout(Duration::from_secs(7));
        assert_eq!(format!("{options:?}"), format!("{expected:?}"));
        assert!(problems.is_empty());
    }
}
