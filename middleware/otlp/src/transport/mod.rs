//! What ships batches.

mod boxed;
#[cfg(feature = "_hyper")]
mod client;
#[cfg(feature = "_hyper")]
mod compress;
#[cfg(feature = "_hyper")]
mod connect;
#[cfg(feature = "console")]
mod console;
mod discard;
mod error;
#[cfg(feature = "file")]
mod file;
#[cfg(feature = "grpc")]
mod grpc;
#[cfg(feature = "_hyper")]
mod headers;
#[cfg(feature = "http")]
mod http;
mod reach;
#[cfg(feature = "_hyper")]
mod response;
#[cfg(feature = "tls")]
mod tls;

pub use self::boxed::{BoxTransport, BoxTransportFuture};
#[cfg(feature = "console")]
pub use self::console::{Console, ConsoleFuture};
pub use self::discard::Discard;
pub use self::error::{TransportError, TransportErrorKind};
#[cfg(feature = "file")]
pub use self::file::{File, FileBuilder, FileFuture};
#[cfg(feature = "grpc")]
pub use self::grpc::{Grpc, GrpcClient, GrpcFuture};
#[cfg(feature = "http")]
pub use self::http::{Http, HttpClient, HttpFuture};
pub use self::reach::reach;
#[cfg(feature = "tls")]
pub use self::tls::Tls;
