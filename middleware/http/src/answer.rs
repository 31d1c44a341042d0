use http::{Method, StatusCode};

use crate::exchange::Rest;

/// What a method says about the response to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It may have a body.
    Ordinary,
    /// It has none: `HEAD`.
    HeadOnly,
    /// It turns the connection into a tunnel: `CONNECT`.
    Tunnel,
}

impl Answer {
    pub(crate) fn to(method: &Method) -> Self {
        match *method {
            Method::HEAD => Self::HeadOnly,
            Method::CONNECT => Self::Tunnel,
            _ => Self::Ordinary,
        }
    }

    /// Whether the exchange goes on after a head with this status.
    ///
    /// 1xx, 204 and 304 have no body, and neither has any answer to `HEAD` ([RFC 9110, 6.4.1]). After
    /// 101, and after 2xx to `CONNECT`, what follows is no HTTP of this exchange.
    ///
    /// [RFC 9110, 6.4.1]: https://www.rfc-editor.org/rfc/rfc9110#section-6.4.1
    pub(crate) fn rest(self, status: StatusCode) -> Rest {
        let bare = status.is_informational()
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED;
        match self {
            _ if bare => Rest::Nothing,
            Self::HeadOnly => Rest::Nothing,
            Self::Tunnel if status.is_success() => Rest::Nothing,
            Self::Tunnel | Self::Ordinary => Rest::Body,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_heads_that_are_all_from_those_with_a_body() {
        for (method, status, expected) in [
            (Method::GET, 200, Rest::Body),
            (Method::GET, 404, Rest::Body),
            (Method::GET, 206, Rest::Body),
            (Method::GET, 101, Rest::Nothing),
            (Method::GET, 204, Rest::Nothing),
            (Method::GET, 304, Rest::Nothing),
            (Method::HEAD, 200, Rest::Nothing),
            (Method::HEAD, 500, Rest::Nothing),
            (Method::CONNECT, 200, Rest::Nothing),
            (Method::CONNECT, 502, Rest::Body),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(
                Answer::to(&method).rest(status),
                expected,
                "{method} {status}"
            );
        }
    }
}
