use std::borrow::Cow;
use std::collections::HashSet;

use opentelemetry::StringValue;
use towline_http::RequestHead;
use towline_http::attributes::shared;
use towline_span::{SpanName, truncate};

use crate::code::Code;

/// The method of a call: `package.Service/Method`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Method {
    full: StringValue,
    /// Where the service ends, if it has the form of a method.
    slash: Option<usize>,
    standing: Standing,
}

/// Whether a method is one that there is. Anybody can call anything, and only what there is may
/// become a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It is on the list of those that are served or called, or a generated client has named it.
    Known,
    /// It is taken for one unless the answer is UNIMPLEMENTED.
    Presumed,
    /// It is none.
    Unknown,
}

/// The methods that there are, as far as a user has listed them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Methods(Option<HashSet<String>>);

// === impl Method ===

impl Method {
    /// The method that a generated client of tonic's has named, else that in the path.
    pub(crate) fn of_request(request: RequestHead<'_>, methods: &Methods) -> Self {
        let path = request.uri.path();
        let path = path.strip_prefix('/').unwrap_or(path);
        let named = named(request, path);
        let full = named.as_deref().unwrap_or(path);
        let slash = full.split_once('/').and_then(|(service, method)| {
            let well_formed = !service.is_empty()
                && !method.is_empty()
                && !method.contains('/')
                && full.len() <= MAX_BYTES;
            well_formed.then_some(service.len())
        });
        let standing = match &methods.0 {
            _ if slash.is_none() => Standing::Unknown,
            Some(listed) if listed.contains(full) => Standing::Known,
            Some(_) => Standing::Unknown,
            None if named.is_some() => Standing::Known,
            None => Standing::Presumed,
        };
        Self {
            full: shared(truncate(full, MAX_BYTES)),
            slash,
            standing,
        }
    }

    /// Whether it may be recorded by its name; nothing if that depends on the answer.
    pub(crate) const fn is_known(&self) -> Option<bool> {
        match self.standing {
            Standing::Known => Some(true),
            Standing::Presumed => None,
            Standing::Unknown => Some(false),
        }
    }

    /// Whether it may be recorded by its name, now that there is an answer.
    pub(crate) fn was_known(&self, answer: Code) -> bool {
        self.is_known().unwrap_or(answer != Code::Unimplemented)
    }

    /// The name of the span: the method, or `grpc` where it is none that is known.
    pub(crate) fn span_name(&self, known: bool) -> SpanName<'_> {
        if known {
            SpanName::Text(self.full.as_str())
        } else {
            SpanName::Fixed("grpc")
        }
    }

    /// `package.Service/Method`.
    pub(crate) fn full(&self) -> StringValue {
        self.full.clone()
    }

    /// The same, borrowed.
    pub(crate) fn as_str(&self) -> &str {
        self.full.as_str()
    }

    /// `package.Service`.
    pub(crate) fn service(&self) -> StringValue {
        let service = self.slash.and_then(|slash| self.full.as_str().get(..slash));
        shared(service.unwrap_or_default())
    }

    /// `Method`.
    pub(crate) fn name(&self) -> StringValue {
        let name = self.slash.map(|slash| slash + 1);
        let name = name.and_then(|start| self.full.as_str().get(start..));
        shared(name.unwrap_or_default())
    }
}

// === impl Methods ===

impl Methods {
    /// Those on a list, with or without a slash before them.
    pub(crate) fn only<M: Into<String>>(methods: impl IntoIterator<Item = M>) -> Self {
        let strip = |method: String| match method.strip_prefix('/') {
            Some(stripped) => stripped.to_owned(),
            None => method,
        };
        Self(Some(
            methods.into_iter().map(Into::into).map(strip).collect(),
        ))
    }
}

/// What tonic's generated clients leave in the extensions; the path may have a prefix before it.
#[cfg(feature = "tonic")]
fn named<'a>(request: RequestHead<'a>, path: &'a str) -> Option<Cow<'a, str>> {
    let method = request.extensions.get::<tonic::GrpcMethod<'static>>()?;
    let (service, name) = (method.service(), method.method());
    let same = path
        .strip_prefix(service)
        .and_then(|rest| rest.strip_prefix('/'))
        .is_some_and(|rest| rest == name);
    Some(if same {
        Cow::Borrowed(path)
    } else {
        Cow::Owned(format!("{service}/{name}"))
    })
}

#[cfg(not(feature = "tonic"))]
fn named<'a>(_request: RequestHead<'a>, _path: &'a str) -> Option<Cow<'a, str>> {
    None
}

/// Longer than any method that a service defines.
const MAX_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn of(path: &str, methods: &Methods) -> Method {
        let request = Request::get(path).body(()).unwrap();
        Method::of_request(RequestHead::from(&request), methods)
    }

    #[test]
    fn tells_methods_from_other_paths() {
        for (path, expected) in [
            ("/a.B/C", Some(("a.B", "C"))),
            ("/B/C", Some(("B", "C"))),
            ("/a.B/C?query", Some(("a.B", "C"))),
            ("/a.B/", None),
            ("//C", None),
            ("/a.B", None),
            ("/a/b/c", None),
            ("/", None),
            ("*", None),
        ] {
            let method = of(path, &Methods::default());
            let (service, name) = (method.service(), method.name());
            let found = match method.is_known() {
                Some(false) => None,
                _ => Some((service.as_str(), name.as_str())),
            };
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn a_path_that_is_too_long_is_no_method_and_is_cut() {
        let method = of(&format!("/{}/C", "x".repeat(10_000)), &Methods::default());
        assert_eq!(method.is_known(), Some(false));
        assert_eq!(method.full().as_str(), "x".repeat(MAX_BYTES));
    }

    #[test]
    fn a_list_decides_and_without_one_the_answer_does() {
        let listed = Methods::only(["a.B/C", "/a.B/D"]);
        for (path, methods, code, known) in [
            ("/a.B/C", &listed, Code::Ok, true),
            ("/a.B/D", &listed, Code::Ok, true),
            ("/a.B/C", &listed, Code::Unimplemented, true),
            ("/a.B/E", &listed, Code::Ok, false),
            ("/a.B/C", &Methods::default(), Code::Ok, true),
            ("/a.B/C", &Methods::default(), Code::NotFound, true),
            ("/a.B/C", &Methods::default(), Code::Unimplemented, false),
            ("/a", &Methods::default(), Code::Ok, false),
        ] {
            let method = of(path, methods);
            assert_eq!(method.was_known(code), known, "{path} {code}");
        }
    }

    #[cfg(feature = "tonic")]
    #[test]
    fn a_generated_client_names_the_method_whatever_the_path() {
        for path in ["/a.B/C", "/prefix/a.B/C", "/", "/x.Y/Z"] {
            let mut request = Request::get(path).body(()).unwrap();
            let extension = tonic::GrpcMethod::new("a.B", "C");
            request.extensions_mut().insert(extension);
            let head = RequestHead::from(&request);
            let method = Method::of_request(head, &Methods::default());
            assert_eq!(method.full().as_str(), "a.B/C", "{path}");
            assert!(method.was_known(Code::Unimplemented), "{path}");
            let method = Method::of_request(head, &Methods::only(["x.Y/Z"]));
            assert!(!method.was_known(Code::Ok), "{path}");
        }
    }
}
