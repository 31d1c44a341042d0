use std::borrow::Cow;

use opentelemetry::StringValue;
use towline_http::RequestHead;
use towline_http::attributes::shared;
use towline_span::truncate;

/// The method of a call, as the path of its request names it: `package.Service/Method`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Method {
    full: StringValue,
    /// Where the service ends, if the path has the form of a method.
    slash: Option<usize>,
}

impl Method {
    /// From the path; what is longer than a name would be is cut.
    pub(crate) fn of_request(request: RequestHead<'_>) -> Self {
        Self::parse(request.uri.path())
    }

    fn parse(path: &str) -> Self {
        let full = path.strip_prefix('/').unwrap_or(path);
        let slash = full.split_once('/').and_then(|(service, method)| {
            let well_formed = !service.is_empty()
                && !method.is_empty()
                && !method.contains('/')
                && full.len() <= MAX_BYTES;
            well_formed.then_some(service.len())
        });
        Self {
            full: shared(truncate(full, MAX_BYTES)),
            slash,
        }
    }

    /// Whether the path has the form of a method at all.
    pub(crate) const fn is_well_formed(&self) -> bool {
        self.slash.is_some()
    }

    /// The name of the span: the method, or `grpc` where it is none that is known.
    pub(crate) fn span_name(&self, known: bool) -> Cow<'static, str> {
        if known {
            Cow::Owned(self.full.as_str().to_owned())
        } else {
            Cow::Borrowed("grpc")
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        self.full.as_str()
    }

    /// `package.Service/Method`.
    pub(crate) fn full(&self) -> StringValue {
        self.full.clone()
    }

    /// `package.Service`.
    pub(crate) fn service(&self) -> StringValue {
        let service = self.slash.and_then(|slash| self.as_str().get(..slash));
        shared(service.unwrap_or_default())
    }

    /// `Method`.
    pub(crate) fn name(&self) -> StringValue {
        let name = self.slash.and_then(|slash| self.as_str().get(slash + 1..));
        shared(name.unwrap_or_default())
    }
}

/// Longer than any method that a service defines.
const MAX_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_methods_from_other_paths() {
        for (path, expected) in [
            ("/a.B/C", Some(("a.B", "C"))),
            ("/B/C", Some(("B", "C"))),
            ("/a.B/", None),
            ("//C", None),
            ("/a.B", None),
            ("/a/b/c", None),
            ("/", None),
            ("", None),
        ] {
            let method = Method::parse(path);
            let (service, name) = (method.service(), method.name());
            let found = method
                .is_well_formed()
                .then_some((service.as_str(), name.as_str()));
            assert_eq!(found, expected, "{path}");
        }
        assert!(!Method::parse(&format!("/{}/C", "x".repeat(300))).is_well_formed());
        assert_eq!(Method::parse("/a.B/C").full().as_str(), "a.B/C");
    }
}
