use http::Method;

/// Which methods are recorded by their name; the rest are `_OTHER`, so that a caller cannot make up
/// new ones without end.
#[derive(Clone, Debug, Default)]
pub(super) enum Methods {
    /// Those that the conventions list: RFC 9110's, PATCH (RFC 5789) and QUERY (a draft).
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
    Some(match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ if method.as_str() == "QUERY" => "QUERY",
        _ => return None,
    })
}
