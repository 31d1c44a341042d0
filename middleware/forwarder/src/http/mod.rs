//! OTLP/HTTP, as a service over `http::Request`.
//!
//! # Spans from browsers
//!
//! A page that comes from elsewhere may send spans only if the server says so, which is
//! [CORS](https://fetch.spec.whatwg.org/#http-cors-protocol): tower-http's layer around the service,
//! also around its authentication, since a browser asks before it has any credentials.
//!
//! ```
//! use http::{HeaderValue, Method, header};
//! use tower::ServiceBuilder;
//! use tower_http::cors::CorsLayer;
//! use towline_forwarder::Forwarder;
//!
//! let cors = CorsLayer::new()
//!     .allow_origin(HeaderValue::from_static("https://app.example.com"))
//!     .allow_methods([Method::POST])
//!     .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, header::CONTENT_ENCODING]);
//! let forwarder = Forwarder::builder().build();
//! let traces = ServiceBuilder::new().layer(cors).service(forwarder.http());
//! let app: axum::Router = axum::Router::new().route_service("/v1/traces", traces);
//! ```

mod respond;
mod service;

pub use self::service::HttpReceiver;
