//! A transport that is not compiled in is an error, and not another transport.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use towline::{Environment, StartErrorKind, Towline};

#[test]
fn an_exporter_url_whose_feature_is_off_is_an_error_that_names_the_feature() {
    for (url, feature, is_on) in [
        ("grpc://collector", "grpc", cfg!(feature = "grpc")),
        ("http://collector", "http", cfg!(feature = "http")),
        ("file:///nowhere/at/all", "file", cfg!(feature = "file")),
    ] {
        if is_on {
            continue;
        }
        let error = Towline::builder()
            .with_environment(Environment::empty())
            .with_exporter_url(url)
            .build()
            .unwrap_err();
        assert_eq!(error.kind(), StartErrorKind::Exporter);
        let text = error.to_string();
        assert!(
            text.contains(&format!("needs the feature `{feature}`")),
            "{text}"
        );
    }
}
