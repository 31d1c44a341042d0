//! Spans of others, sent on: the sender's identity stamped on OTLP requests, forged ones removed.
//!
//! A process that is trusted, such as an authentication server, takes spans from clients that the
//! collector would not know. Whatever a client writes into its spans, those who read them later must
//! be able to tell who sent them.
//!
//! - [`Identity`]: who sent them, as the one who authenticated the client knows it.
//! - [`stamp`]: writes it on every span, and removes what the client wrote in its place.
//!
//! # Examples
//!
//! ```
//! use bytes::Bytes;
//! use towline_forwarder::{Identity, Stamp};
//!
//! let stamp = Stamp::new(&Identity::new("alice")?);
//!
//! // resource_spans { scope_spans { spans {} } }, as it came from the client.
//! let request = Bytes::from_static(&[0x0a, 4, 0x12, 2, 0x12, 0]);
//! let batch = stamp.apply(&request)?;
//!
//! assert_eq!(batch.spans(), 1);
//! // On the resource, and on the span.
//! let text = String::from_utf8_lossy(batch.bytes());
//! assert_eq!(text.matches("teleport.forwarded.for").count(), 2);
//!
//! // A client that sends this on as its own gains nothing.
//! let mallory = Stamp::new(&Identity::new("mallory")?).apply(batch.bytes())?;
//! assert!(!String::from_utf8_lossy(mallory.bytes()).contains("alice"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

mod identity;
pub mod stamp;

pub use self::identity::{Identity, IdentityError, IdentityErrorKind};
pub use self::stamp::{Place, Stamp, StampError, StampErrorKind};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
