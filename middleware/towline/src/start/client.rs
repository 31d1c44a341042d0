//! How the exporter connects: certificates, headers, compression.

use std::fs::File;
use std::io;
use std::path::Path;

use towline_otlp::{ClientOptions, Endpoint};

use super::origin::Origin;
use super::target::Target;
use crate::environment::NamedClient;
use crate::{Config, StartError, StartErrorKind};

/// What the configuration says, and, where it says nothing, the environment. `None` where there is nobody to connect to.
pub(super) fn options(
    config: &Config,
    named: NamedClient,
    target: &Target,
) -> Result<Option<ClientOptions>, StartError> {
    let endpoint = match target {
        Target::Endpoint(endpoint, _) if endpoint.authority().is_some() => endpoint,
        _ => {
            refuse_certificates(config, target)?;
            return Ok(None);
        }
    };
    let mut options = ClientOptions::new();
    for (name, value) in named.headers.iter() {
        options = options.header(name.clone(), value.clone());
    }
    if let Some((_, compression)) = named.compression {
        options = options.compression(compression);
    }
    with_certificates(options, config, &named, endpoint).map(Some)
}

/// Certificates that nobody would look at are a mistake: somebody has asked for TLS.
fn refuse_certificates(config: &Config, target: &Target) -> Result<(), StartError> {
    let Some(key) = certificates_key(config) else {
        return Ok(());
    };
    let origin = Origin::of(config, key);
    Err(StartError::new(
        StartErrorKind::Certificates,
        format!("{origin} has no effect, since spans go to {target}: expected no certificates"),
    ))
}

fn certificates_key(config: &Config) -> Option<&'static str> {
    if !config.ca_certs().is_empty() {
        Some("ca_certs")
    } else if !config.https_keypairs().is_empty() {
        Some("https_keypairs")
    } else {
        None
    }
}

#[cfg(not(feature = "tls"))]
fn with_certificates(
    options: ClientOptions,
    config: &Config,
    _named: &NamedClient,
    endpoint: &Endpoint,
) -> Result<ClientOptions, StartError> {
    find_all(config)?;
    // Without certificates the transport itself refuses what asks for TLS.
    match certificates_key(config) {
        Some(key) if !endpoint.is_tls() => Err(StartError::new(
            StartErrorKind::Certificates,
            format!(
                "{} asks for TLS to {endpoint}, which needs the feature `tls`: expected no certificates",
                Origin::of(config, key)
            ),
        )),
        _ => Ok(options),
    }
}

/// By the configuration certificates make TLS of `http` and `grpc` too, as Teleport does; by the environment they are for
/// what is TLS anyway, as the specification has it.
#[cfg(feature = "tls")]
fn with_certificates(
    options: ClientOptions,
    config: &Config,
    named: &NamedClient,
    endpoint: &Endpoint,
) -> Result<ClientOptions, StartError> {
    use towline_otlp::Tls;

    find_all(config)?;
    let by_environment = endpoint.is_tls();
    let mut tls = Tls::new();
    let mut is_said = false;
    for file in config.ca_certs() {
        (tls, is_said) = (tls.ca_cert(file), true);
    }
    for pair in config.https_keypairs() {
        (tls, is_said) = (tls.key_pair(pair.cert_file(), pair.key_file()), true);
    }
    if let Some((variable, file)) = &named.ca_cert
        && by_environment
        && config.ca_certs().is_empty()
    {
        find_by(&Origin::Variable(variable), file)?;
        (tls, is_said) = (tls.ca_cert(file), true);
    }
    if let Some(pair) = &named.key_pair
        && by_environment
        && config.https_keypairs().is_empty()
    {
        find_by(&Origin::Variable(pair.variable), &pair.cert_file)?;
        find_by(&Origin::Variable(pair.variable), &pair.key_file)?;
        (tls, is_said) = (tls.key_pair(&pair.cert_file, &pair.key_file), true);
    }
    Ok(if is_said { options.tls(tls) } else { options })
}

/// Finds every certificate and key that is named.
fn find_all(config: &Config) -> Result<(), StartError> {
    for (index, file) in config.ca_certs().iter().enumerate() {
        find(config, "ca_certs", &format!("[{index}]"), file)?;
    }
    for (index, pair) in config.https_keypairs().iter().enumerate() {
        for (part, file) in [
            ("key_file", pair.key_file()),
            ("cert_file", pair.cert_file()),
        ] {
            find(config, "https_keypairs", &format!("[{index}].{part}"), file)?;
        }
    }
    Ok(())
}

fn find(config: &Config, key: &'static str, place: &str, file: &Path) -> Result<(), StartError> {
    readable(file).map_err(|error| {
        // The place within the list goes inside the quotes of the key.
        let origin = Origin::of(config, key).to_string();
        let origin = origin.strip_suffix('`').unwrap_or(&origin);
        unreadable(format!("{origin}{place}`"), file, error)
    })
}

#[cfg(feature = "tls")]
fn find_by(origin: &Origin, file: &Path) -> Result<(), StartError> {
    readable(file).map_err(|error| unreadable(origin.to_string(), file, error))
}

fn unreadable(origin: String, file: &Path, error: io::Error) -> StartError {
    StartError::new(
        StartErrorKind::Certificates,
        format!("{origin} is {file:?}, which cannot be read: expected a PEM file"),
    )
    .with_source(error)
}

fn readable(file: &Path) -> io::Result<()> {
    let metadata = File::open(file)?.metadata()?;
    if metadata.is_file() {
        Ok(())
    } else {
        Err(io::Error::other("it is not a file"))
    }
}
