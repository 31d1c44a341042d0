use std::fmt;

use crate::outcome::Failure;

/// Tells from what the work gave back whether it failed.
///
/// Implemented by [`ErrorText`] and [`NoFailure`], and for closures `Fn(&Output) -> Option<Failure>`.
pub trait Classify<Output> {
    /// The failure that `output` stands for, or `None` if it is a success.
    fn failure(&self, output: &Output) -> Option<Failure>;
}

/// An `Err` is a failure, of the error's type and with its text. The default of
/// [`SpanLayer`](crate::SpanLayer).
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ErrorText;

/// Nothing that is given back is a failure.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct NoFailure;

impl<T, E: fmt::Display> Classify<Result<T, E>> for ErrorText {
    fn failure(&self, output: &Result<T, E>) -> Option<Failure> {
        output.as_ref().err().map(Failure::from_error)
    }
}

impl<Output> Classify<Output> for NoFailure {
    fn failure(&self, _output: &Output) -> Option<Failure> {
        None
    }
}

impl<F, Output> Classify<Output> for F
where
    F: Fn(&Output) -> Option<Failure>,
{
    fn failure(&self, output: &Output) -> Option<Failure> {
        self(output)
    }
}
