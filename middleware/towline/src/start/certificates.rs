//! Certificates and keys: each is read on its own, so that all that is wrong is told, by its key and its file.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use towline_otlp::ClientOptions;

use super::target::Target;
use crate::config::{Origin, Problem, Problems, Settings};
use crate::{KeyPair, StartErrorKind};

/// Leaves out the environment's where they have no effect: by the configuration certificates make TLS of `http` and `grpc`
/// too, as Teleport does; by the environment they are for what is TLS anyway, as the specification has it.
pub(super) fn drop_unused(settings: &mut Settings, target: Option<&Target>) {
    let is_tls = target
        .and_then(Target::collector)
        .is_some_and(|endpoint| endpoint.is_tls());
    if is_tls {
        return;
    }
    if is_of_environment(settings.ca_certs.as_ref().map(|said| &said.origin)) {
        settings.ca_certs = None;
    }
    if is_of_environment(settings.https_keypairs.as_ref().map(|said| &said.origin)) {
        settings.https_keypairs = None;
    }
}

/// Reads all that are named. Some that nobody would look at are a mistake: somebody has asked for TLS.
pub(super) fn check(settings: &Settings, target: Option<&Target>, problems: &mut Problems) {
    let origins = || {
        let ca_certs = settings.ca_certs.as_ref();
        let pairs = settings.https_keypairs.as_ref();
        let ca_certs = ca_certs.filter(|said| !said.value.is_empty());
        let pairs = pairs.filter(|said| !said.value.is_empty());
        let origins = [
            ca_certs.map(|said| &said.origin),
            pairs.map(|said| &said.origin),
        ];
        origins.into_iter().flatten()
    };
    if let Some(target) = target.filter(|target| target.collector().is_none()) {
        for origin in origins() {
            let rest =
                format!(" has no effect, since spans go to {target}: expected no certificates");
            problems.push(Problem::of(StartErrorKind::Certificates, origin, rest));
        }
        return;
    }
    #[cfg(not(feature = "tls"))]
    let before = problems.count();
    if let Some(said) = &settings.ca_certs {
        for (index, file) in said.value.iter().enumerate() {
            let origin = said.part(&format!("[{index}]"));
            if is_there(&origin, file, problems) {
                check_authority(&origin, file, problems);
            }
        }
    }
    if let Some(said) = &settings.https_keypairs {
        for (index, pair) in said.value.iter().enumerate() {
            let part = |name| said.part(&format!("[{index}]{name}"));
            let origins = [part(""), part(".key_file"), part(".cert_file")];
            let [_, key, cert] = &origins;
            let has_key = is_there(key, pair.key_file(), problems);
            if is_there(cert, pair.cert_file(), problems) && has_key {
                check_pair(&origins, pair, problems);
            }
        }
    }
    #[cfg(not(feature = "tls"))]
    if let Some(endpoint) = target.and_then(Target::collector)
        && problems.count() == before
        && !endpoint.is_tls()
    {
        // Without certificates the transport itself refuses what asks for TLS.
        for origin in origins() {
            let rest = format!(
                " asks for TLS to {endpoint}, which needs the feature `tls`: expected no certificates"
            );
            problems.push(Problem::of(StartErrorKind::Certificates, origin, rest));
        }
    }
}

/// What a file of authorities holds.
#[cfg(feature = "tls")]
fn check_authority(origin: &Origin, file: &Path, problems: &mut Problems) {
    if let Err(error) = towline_otlp::Tls::new().ca_cert(file).check() {
        problems.push(unusable(origin, &error));
    }
}

/// What the files of a pair hold, by the names of the pair, its key and its certificate.
#[cfg(feature = "tls")]
fn check_pair([both, key, cert]: &[Origin; 3], pair: &KeyPair, problems: &mut Problems) {
    let tls = towline_otlp::Tls::new().key_pair(pair.cert_file(), pair.key_file());
    if let Err(error) = tls.check() {
        let is_about = |file: &Path| error.file() == Some(file);
        let origin = match (is_about(pair.key_file()), is_about(pair.cert_file())) {
            (true, false) => key,
            (false, true) => cert,
            // One file for both, or none of them.
            _ => both,
        };
        problems.push(unusable(origin, &error));
    }
}

#[cfg(feature = "tls")]
fn unusable(origin: &Origin, error: &towline_otlp::TransportError) -> Problem {
    let rest = format!(": {error}");
    Problem::of(StartErrorKind::Certificates, origin, rest).with_causes_of(error)
}

#[cfg(not(feature = "tls"))]
fn check_authority(_origin: &Origin, _file: &Path, _problems: &mut Problems) {}

#[cfg(not(feature = "tls"))]
fn check_pair(_origins: &[Origin; 3], _pair: &KeyPair, _problems: &mut Problems) {}

/// The options with the certificates.
#[cfg(feature = "tls")]
pub(super) fn set_on(options: ClientOptions, settings: &Settings) -> ClientOptions {
    let mut tls = towline_otlp::Tls::new();
    let mut is_said = false;
    for file in settings.ca_certs.iter().flat_map(|said| &said.value) {
        (tls, is_said) = (tls.ca_cert(file), true);
    }
    for pair in settings.https_keypairs.iter().flat_map(|said| &said.value) {
        (tls, is_said) = (tls.key_pair(pair.cert_file(), pair.key_file()), true);
    }
    if is_said { options.tls(tls) } else { options }
}

/// Nothing: what would use them was refused.
#[cfg(not(feature = "tls"))]
pub(super) fn set_on(options: ClientOptions, _settings: &Settings) -> ClientOptions {
    options
}

fn is_of_environment(origin: Option<&Origin>) -> bool {
    origin.is_some_and(Origin::is_variable)
}

fn is_there(origin: &Origin, file: &Path, problems: &mut Problems) -> bool {
    let found = readable(file);
    let is_there = found.is_ok();
    if let Err(error) = found {
        let rest = format!(" is {file:?}, which cannot be read: expected a PEM file");
        let problem = Problem::of(StartErrorKind::Certificates, origin, rest);
        problems.push(problem.with_source(Arc::new(error) as Arc<_>));
    }
    is_there
}

fn readable(file: &Path) -> io::Result<()> {
    let metadata = File::open(file)?.metadata()?;
    if metadata.is_file() {
        Ok(())
    } else {
        Err(io::Error::other("it is not a file"))
    }
}
