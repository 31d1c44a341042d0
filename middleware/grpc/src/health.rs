use towline_http::Filter;

/// The calls of gRPC's [health checking protocol]: `Check`, and `Watch`, a stream that lasts as long as
/// its client.
///
/// ```
/// use http::Request;
/// use towline_http::RequestHead;
///
/// let check = Request::post("/grpc.health.v1.Health/Check").body(())?;
/// assert!(towline_grpc::health_checks().matches(RequestHead::from(&check)));
/// # Ok::<(), http::Error>(())
/// ```
///
/// [health checking protocol]: https://github.com/grpc/grpc/blob/v1.76.0/doc/health-checking.md
#[must_use]
pub fn health_checks() -> Filter {
    Filter::path_prefix("/grpc.health.v1.Health")
}
