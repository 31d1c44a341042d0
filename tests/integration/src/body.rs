use std::error::Error;
use std::fmt;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use towline_test_support::{BodyStep, Probe, ScriptedBody};

/// Any body: of a request, or of a handler's response.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// Any error of a body.
// A type with a name: with `Box<dyn Error>` in the type of a request the compiler cannot tell that a client
// of it may be used in a task.
#[derive(Debug)]
pub struct BodyError(Box<dyn Error + Send + Sync>);

/// No body.
#[must_use]
pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A body of these bytes, of a known length.
#[must_use]
pub fn full(bytes: impl Into<Bytes>) -> Body {
    let body = Full::new(bytes.into());
    body.map_err(|never| match never {}).boxed_unsync()
}

/// A body of unknown length that does these steps, and what is seen of it.
#[must_use]
pub fn scripted(steps: impl IntoIterator<Item = BodyStep>) -> (Body, Probe) {
    let probe = Probe::new();
    let body = ScriptedBody::new(&probe, steps);
    (any(body), probe)
}

/// Any other body.
pub fn any<B>(body: B) -> Body
where
    B: http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    body.map_err(|error| BodyError(error.into())).boxed_unsync()
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for BodyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
