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
    WELL_KNOWN.get(usize::from(number(method)?)).copied()
}

/// What stands for a method where groups of attributes are told: a number, and its text if it has none.
pub(crate) fn form(method: &Method) -> (u8, &str) {
    match number(method) {
        Some(number) => (number + 1, ""),
        None => (0, method.as_str()),
    }
}

/// Which of the well-known methods it is.
fn number(method: &Method) -> Option<u8> {
    Some(match *method {
        Method::GET => 0,
        Method::POST => 1,
        Method::PUT => 2,
        Method::DELETE => 3,
        Method::HEAD => 4,
        Method::OPTIONS => 5,
        Method::PATCH => 6,
        Method::CONNECT => 7,
        Method::TRACE => 8,
        _ if method.as_str() == "QUERY" => 9,
        _ => return None,
    })
}

/// In the order of their [`number`]s.
const WELL_KNOWN: [&str; 10] = [
    "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE", "QUERY",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_methods_have_their_names() {
        for (at, name) in WELL_KNOWN.into_iter().enumerate() {
            let method: Method = name.parse().unwrap();
            assert_eq!(number(&method), Some(at as u8));
            assert_eq!(static_name(&method), Some(name));
            assert_eq!(form(&method), (at as u8 + 1, ""));
        }
        for name in ["get", "BREW", "PROPFIND", "GETT"] {
            let method: Method = name.parse().unwrap();
            assert_eq!(static_name(&method), None, "{name}");
            assert_eq!(form(&method), (0, name));
        }
    }
}
