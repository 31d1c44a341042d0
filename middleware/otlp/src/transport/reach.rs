//! Whether a collector can be reached, without sending it anything.

use std::time::Duration;

use crate::{ClientOptions, Endpoint, ExportError};

/// Makes one connection to a collector, with TLS where the endpoint or the options ask for it, and
/// closes it again: nothing is sent.
///
/// It blocks the calling thread, at most for `deadline`, and works on any runtime and on none: the
/// connection is made on a thread of its own. Where there is nobody to connect to, as for files and
/// the console, the answer is `Ok` at once.
///
/// With TLS 1.3 a server may look at our certificate after the handshake, so that one it does not
/// accept is found only when it is asked for something.
///
/// # Errors
///
/// [`ExportError`], as an attempt to export would end: the peer is named, and the sources say why
/// it cannot be reached. A client that cannot be made is of the kind
/// [`Other`](crate::ExportErrorKind::Other), with the [`TransportError`](crate::TransportError) as
/// its source.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use towline_otlp::{ClientOptions, Endpoint, reach};
///
/// // Nobody listens on port 1.
/// # #[cfg(feature = "grpc")]
/// # {
/// let endpoint = Endpoint::parse("grpc://127.0.0.1:1")?;
/// let error = reach(&endpoint, &ClientOptions::new(), Duration::from_secs(5)).unwrap_err();
/// assert!(error.to_string().contains("127.0.0.1:1"));
/// # }
/// # Ok::<(), towline_otlp::EndpointError>(())
/// ```
pub fn reach(
    endpoint: &Endpoint,
    options: &ClientOptions,
    deadline: Duration,
) -> Result<(), ExportError> {
    if endpoint.authority().is_none() {
        return Ok(());
    }
    connect(endpoint, options, deadline)
}

#[cfg(not(feature = "_hyper"))]
fn connect(
    endpoint: &Endpoint,
    options: &ClientOptions,
    _deadline: Duration,
) -> Result<(), ExportError> {
    match crate::BoxTransport::connect_with(endpoint, options) {
        Ok(_) => Ok(()),
        Err(error) => Err(unusable(endpoint, error)),
    }
}

#[cfg(feature = "_hyper")]
fn connect(
    endpoint: &Endpoint,
    options: &ClientOptions,
    deadline: Duration,
) -> Result<(), ExportError> {
    use std::sync::mpsc::{self, RecvTimeoutError};

    use tower_service::Service;

    use super::client::{self, Parts, Protocol};

    let protocol = match endpoint.scheme() {
        #[cfg(feature = "grpc")]
        crate::Scheme::Grpc | crate::Scheme::Grpcs | crate::Scheme::Unix => Protocol::Http2,
        #[cfg(feature = "http")]
        crate::Scheme::Http | crate::Scheme::Https => Protocol::Http1,
        #[allow(
            unreachable_patterns,
            reason = "which are left depends on what is compiled in"
        )]
        _ => {
            let made = crate::BoxTransport::connect_with(endpoint, options);
            return made.map(drop).map_err(|error| unusable(endpoint, error));
        }
    };
    let options = options
        .clone()
        .connect_timeout(options.connect_timeout.min(deadline));
    let Parts {
        uri, mut connector, ..
    } = Parts::new(endpoint, &options, protocol).map_err(|error| unusable(endpoint, error))?;
    let peer = endpoint.to_string();
    let (done, answer) = mpsc::sync_channel(1);
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let result = match runtime {
            Ok(runtime) => {
                let connected = runtime.block_on(async {
                    std::future::poll_fn(|cx| connector.poll_ready(cx)).await?;
                    connector.call(uri).await.map(drop)
                });
                // A lookup of the name may still block, and must not keep the thread.
                runtime.shutdown_background();
                connected
            }
            Err(error) => Err(error.into()),
        };
        // Nobody waits any more once the deadline has passed.
        drop(done.send(result));
    };
    std::thread::Builder::new()
        .name("towline-reach".to_owned())
        .spawn(run)
        .map_err(|error| client::unreachable(&peer, error))?;
    let result = match answer.recv_timeout(deadline) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => Err(format!("no connection within {deadline:?}").into()),
        Err(gone) => Err(gone.into()),
    };
    result.map_err(|error| client::unreachable(&peer, error))
}

fn unusable(endpoint: &Endpoint, error: crate::TransportError) -> ExportError {
    ExportError::new(
        crate::ExportErrorKind::Other,
        format!("spans cannot be sent to {endpoint}"),
    )
    .with_source(error)
}
