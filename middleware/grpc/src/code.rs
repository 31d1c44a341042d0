use std::fmt;

use http::StatusCode;

/// The status code of a gRPC call.
///
/// See [Status codes and their use in gRPC](https://github.com/grpc/grpc/blob/v1.76.0/doc/statuscodes.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_enums,
    reason = "the codes are fixed: what is not one of them is UNKNOWN"
)]
#[repr(u8)]
pub enum Code {
    /// `OK`
    Ok = 0,
    /// `CANCELLED`
    Cancelled = 1,
    /// `UNKNOWN`
    Unknown = 2,
    /// `INVALID_ARGUMENT`
    InvalidArgument = 3,
    /// `DEADLINE_EXCEEDED`
    DeadlineExceeded = 4,
    /// `NOT_FOUND`
    NotFound = 5,
    /// `ALREADY_EXISTS`
    AlreadyExists = 6,
    /// `PERMISSION_DENIED`
    PermissionDenied = 7,
    /// `RESOURCE_EXHAUSTED`
    ResourceExhausted = 8,
    /// `FAILED_PRECONDITION`
    FailedPrecondition = 9,
    /// `ABORTED`
    Aborted = 10,
    /// `OUT_OF_RANGE`
    OutOfRange = 11,
    /// `UNIMPLEMENTED`
    Unimplemented = 12,
    /// `INTERNAL`
    Internal = 13,
    /// `UNAVAILABLE`
    Unavailable = 14,
    /// `DATA_LOSS`
    DataLoss = 15,
    /// `UNAUTHENTICATED`
    Unauthenticated = 16,
}

impl Code {
    /// Every code, at the place of its number.
    pub const ALL: [Self; 17] = [
        Self::Ok,
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// The code of a `grpc-status` value. What is not the number of a code, in one or two decimal
    /// digits, is [`Unknown`](Self::Unknown).
    #[must_use]
    pub fn parse(value: &[u8]) -> Self {
        let number = match value {
            [ones] if ones.is_ascii_digit() => usize::from(ones - b'0'),
            [tens @ b'1', ones] if ones.is_ascii_digit() => {
                usize::from(tens - b'0') * 10 + usize::from(ones - b'0')
            }
            _ => return Self::Unknown,
        };
        Self::ALL.get(number).copied().unwrap_or(Self::Unknown)
    }

    /// The code that stands for an HTTP status where there is no `grpc-status`.
    ///
    /// See [HTTP to gRPC status code mapping](https://github.com/grpc/grpc/blob/v1.76.0/doc/http-grpc-status-mapping.md).
    #[must_use]
    pub fn from_http(status: StatusCode) -> Self {
        match status.as_u16() {
            400 | 431 => Self::Internal,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 => Self::Unimplemented,
            429 | 502 | 503 | 504 => Self::Unavailable,
            _ => Self::Unknown,
        }
    }

    /// The code that stands for the reason of an HTTP/2 `RST_STREAM` or `GOAWAY`.
    ///
    /// See [gRPC over HTTP/2, errors](https://github.com/grpc/grpc/blob/v1.76.0/doc/PROTOCOL-HTTP2.md#errors).
    #[must_use]
    pub(crate) fn from_reset(reason: h2::Reason) -> Self {
        match reason {
            h2::Reason::REFUSED_STREAM => Self::Unavailable,
            h2::Reason::CANCEL => Self::Cancelled,
            h2::Reason::ENHANCE_YOUR_CALM => Self::ResourceExhausted,
            h2::Reason::INADEQUATE_SECURITY => Self::PermissionDenied,
            _ => Self::Internal,
        }
    }

    /// The name, as gRPC writes it: `DEADLINE_EXCEEDED`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Cancelled => "CANCELLED",
            Self::Unknown => "UNKNOWN",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Aborted => "ABORTED",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::DataLoss => "DATA_LOSS",
            Self::Unauthenticated => "UNAUTHENTICATED",
        }
    }

    /// Whether a *server* that answers with this code has itself failed. A client's span is an error
    /// for every code but [`Ok`](Self::Ok).
    #[must_use]
    pub const fn is_server_error(self) -> bool {
        matches!(
            self,
            Self::Unknown
                | Self::DeadlineExceeded
                | Self::Unimplemented
                | Self::Internal
                | Self::Unavailable
                | Self::DataLoss
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_its_code_and_anything_else_is_unknown() {
        for (number, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, number);
            assert_eq!(Code::parse(number.to_string().as_bytes()), code);
        }
        for garbage in [
            "", "17", "99", "-1", "00", "01", "1 ", " 1", "+1", "x", "100", "0x1", "\u{ff}", "١",
        ] {
            assert_eq!(Code::parse(garbage.as_bytes()), Code::Unknown, "{garbage}");
        }
    }

    #[test]
    fn http_and_reset_codes_map_as_grpc_says() {
        for (status, code) in [
            (200, Code::Unknown),
            (400, Code::Internal),
            (401, Code::Unauthenticated),
            (403, Code::PermissionDenied),
            (404, Code::Unimplemented),
            (418, Code::Unknown),
            (429, Code::Unavailable),
            (431, Code::Internal),
            (500, Code::Unknown),
            (502, Code::Unavailable),
            (503, Code::Unavailable),
            (504, Code::Unavailable),
        ] {
            assert_eq!(Code::from_http(StatusCode::from_u16(status).unwrap()), code);
        }
        assert_eq!(Code::from_reset(h2::Reason::CANCEL), Code::Cancelled);
        assert_eq!(
            Code::from_reset(h2::Reason::REFUSED_STREAM),
            Code::Unavailable
        );
        assert_eq!(Code::from_reset(h2::Reason::NO_ERROR), Code::Internal);
    }

    #[test]
    fn six_codes_are_a_servers_own_fault() {
        let faults: Vec<_> = Code::ALL
            .into_iter()
            .filter(|code| code.is_server_error())
            .map(Code::as_str)
            .collect();
        assert_eq!(
            faults,
            [
                "UNKNOWN",
                "DEADLINE_EXCEEDED",
                "UNIMPLEMENTED",
                "INTERNAL",
                "UNAVAILABLE",
                "DATA_LOSS"
            ]
        );
    }
}
