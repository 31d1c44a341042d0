//! Compression, as far as it is compiled in.

use super::TransportError;
use crate::{Compression, Endpoint};

/// An error unless the feature for it is there.
pub(super) fn check(endpoint: &Endpoint, compression: Compression) -> Result<(), TransportError> {
    let is_compiled = match compression {
        Compression::Gzip => cfg!(feature = "gzip"),
        Compression::Zstd => cfg!(feature = "zstd"),
    };
    match is_compiled {
        true => Ok(()),
        false => {
            Err(TransportError::feature(endpoint, compression.as_str()).with_option("compression"))
        }
    }
}

/// The body in compressed form; the capacity is that of an average batch, so that it is not grown
/// bit by bit.
#[cfg(feature = "http")]
pub(super) fn compress(compression: Compression, body: &[u8]) -> std::io::Result<Vec<u8>> {
    match compression {
        #[cfg(feature = "gzip")]
        Compression::Gzip => {
            use std::io::Write;

            let out = Vec::with_capacity(body.len() / 4);
            // The level that tonic takes for gRPC.
            let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::new(6));
            encoder.write_all(body)?;
            encoder.finish()
        }
        #[cfg(feature = "zstd")]
        Compression::Zstd => zstd::bulk::compress(body, zstd::DEFAULT_COMPRESSION_LEVEL),
        // Refused before, by `check`.
        #[allow(
            unreachable_patterns,
            reason = "with every feature there is nothing left"
        )]
        _ => {
            let _ = body;
            Err(std::io::ErrorKind::Unsupported.into())
        }
    }
}
