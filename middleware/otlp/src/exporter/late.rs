use std::error::Error;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Which parts an exporter still waits for.
#[derive(Debug)]
pub(super) struct Late {
    parts: Mutex<Parts>,
}

#[derive(Debug)]
struct Parts {
    resource: State,
    transport: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    NotAwaited,
    Awaited,
    Supplied,
}

/// A part that an exporter can be given after it has started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LatePart {
    /// Attributes of the resource.
    ResourceAttributes,
    /// The transport.
    Transport,
}

/// Why a part was not taken.
#[derive(Debug)]
pub struct LateError {
    kind: LateErrorKind,
    part: LatePart,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The cases of [`LateError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LateErrorKind {
    /// The exporter was built without asking for it.
    NotAwaited,
    /// It has been supplied before.
    AlreadySupplied,
    /// The exporter URL cannot be read; the source is an [`EndpointError`](crate::EndpointError).
    /// Another can be supplied.
    Endpoint,
    /// The transport for the URL cannot be had; the source is a
    /// [`TransportError`](crate::TransportError). Another can be supplied.
    Transport,
}

// === impl Late ===

impl Late {
    pub(super) fn new(resource: bool, transport: bool) -> Self {
        let state = |awaited| match awaited {
            true => State::Awaited,
            false => State::NotAwaited,
        };
        Self {
            parts: Mutex::new(Parts {
                resource: state(resource),
                transport: state(transport),
            }),
        }
    }

    /// Takes a part by `take`, if it is awaited.
    pub(super) fn supply(
        &self,
        part: LatePart,
        take: impl FnOnce() -> Result<(), LateError>,
    ) -> Result<(), LateError> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let state = match part {
            LatePart::ResourceAttributes => &mut parts.resource,
            LatePart::Transport => &mut parts.transport,
        };
        match *state {
            State::NotAwaited => Err(LateError::new(LateErrorKind::NotAwaited, part)),
            State::Supplied => Err(LateError::new(LateErrorKind::AlreadySupplied, part)),
            State::Awaited => {
                take()?;
                *state = State::Supplied;
                Ok(())
            }
        }
    }
}

// === impl LateError ===

impl LateError {
    const fn new(kind: LateErrorKind, part: LatePart) -> Self {
        Self {
            kind,
            part,
            source: None,
        }
    }

    pub(super) fn with_source(
        kind: LateErrorKind,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            source: Some(source.into()),
            ..Self::new(kind, LatePart::Transport)
        }
    }

    /// Which case it is.
    #[must_use]
    pub const fn kind(&self) -> LateErrorKind {
        self.kind
    }

    /// What was not taken.
    #[must_use]
    pub const fn part(&self) -> LatePart {
        self.part
    }
}

impl fmt::Display for LateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = self.part;
        match self.kind {
            LateErrorKind::NotAwaited => write!(
                f,
                "{part} cannot be supplied late: expected `{}` when the exporter was built",
                part.option()
            ),
            LateErrorKind::AlreadySupplied => {
                write!(f, "{part} cannot be supplied a second time")
            }
            LateErrorKind::Endpoint => f.write_str("the exporter url cannot be read"),
            LateErrorKind::Transport => f.write_str("spans cannot be sent to the exporter url"),
        }
    }
}

impl Error for LateError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}

// === impl LatePart ===

impl LatePart {
    /// The builder's method that asks for it.
    const fn option(self) -> &'static str {
        match self {
            Self::ResourceAttributes => "late_resource_attributes",
            Self::Transport => "late_transport",
        }
    }
}

impl fmt::Display for LatePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ResourceAttributes => "resource attributes",
            Self::Transport => "a transport",
        })
    }
}
