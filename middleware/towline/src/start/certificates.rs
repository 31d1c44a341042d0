use std::fs::File;
use std::io;
use std::path::Path;

use super::origin::Origin;
use super::target::Target;
use crate::{Config, StartError, StartErrorKind};

/// Finds every certificate and key that is named, and refuses those that would have no effect: spans must not travel in
/// plaintext where somebody has asked for TLS.
pub(super) fn check(config: &Config, target: &Target) -> Result<(), StartError> {
    for (index, file) in config.ca_certs().iter().enumerate() {
        find(config, "ca_certs", &format!("[{index}]"), file)?;
    }
    for (index, pair) in config.https_keypairs().iter().enumerate() {
        find(
            config,
            "https_keypairs",
            &format!("[{index}].key_file"),
            pair.key_file(),
        )?;
        find(
            config,
            "https_keypairs",
            &format!("[{index}].cert_file"),
            pair.cert_file(),
        )?;
    }
    let key = if !config.ca_certs().is_empty() {
        "ca_certs"
    } else if !config.https_keypairs().is_empty() {
        "https_keypairs"
    } else {
        return Ok(());
    };
    let origin = Origin::of(config, key);
    let refused = match target {
        // Refused by its scheme already, in words of its own.
        Target::Endpoint(endpoint, _) if endpoint.is_tls() => return Ok(()),
        Target::Endpoint(endpoint, _) if endpoint.authority().is_some() => format!(
            "{origin} asks for TLS to {endpoint}, which this version does not have: expected no certificates"
        ),
        _ => {
            format!("{origin} has no effect, since spans go to {target}: expected no certificates")
        }
    };
    Err(StartError::new(StartErrorKind::Certificates, refused))
}

fn find(config: &Config, key: &'static str, place: &str, file: &Path) -> Result<(), StartError> {
    readable(file).map_err(|error| {
        // The place within the list goes inside the quotes of the key.
        let origin = Origin::of(config, key).to_string();
        let origin = origin.strip_suffix('`').unwrap_or(&origin);
        StartError::new(
            StartErrorKind::Certificates,
            format!("{origin}{place}` is {file:?}, which cannot be read: expected a PEM file"),
        )
        .with_source(error)
    })
}

fn readable(file: &Path) -> io::Result<()> {
    let metadata = File::open(file)?.metadata()?;
    if metadata.is_file() {
        Ok(())
    } else {
        Err(io::Error::other("it is not a file"))
    }
}
