use http::Method;

/// The known methods: RFC 9110's, PATCH (RFC 5789) and QUERY (a draft), as the conventions list them.
const KNOWN: [&str; 10] = [
    "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE", "QUERY",
];

/// Which methods are recorded by their name; the rest are `_OTHER`, so that a caller cannot make up
/// new ones without end.
#[derive(Clone, Debug, Default)]
pub(super) enum Methods {
    /// Those that the conventions list.
    #[default]
    Conventional,
    /// A list of the user's own, in place of the other.
    Only(Vec<Method>),
}

impl Methods {
    pub(super) fn is_known(&self, method: &Method) -> bool {
        match self {
            Self::Conventional => static_name(method).is_some(),
            Self::Only(list) => list.contains(method),
        }
    }
}

/// The name of a well-known method, which lives for ever.
pub(super) fn static_name(method: &Method) -> Option<&'static str> {
    KNOWN.into_iter().find(|known| *known == method.as_str())
}
