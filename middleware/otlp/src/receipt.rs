/// What the backend said to a batch that it took.
///
/// Taking a batch can still mean refusing some of its spans: OTLP calls that [*partial success*].
/// It is never retried.
///
/// [*partial success*]: https://github.com/open-telemetry/opentelemetry-proto/blob/v1.10.0/docs/specification.md#partial-success
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    rejected_spans: usize,
    too_large_spans: usize,
    message: String,
}

impl Receipt {
    /// Every span was taken.
    #[must_use]
    pub const fn accepted() -> Self {
        Self {
            rejected_spans: 0,
            too_large_spans: 0,
            message: String::new(),
        }
    }

    /// The backend refused `rejected_spans` of the batch, or, where that is 0, has a warning to
    /// give.
    #[must_use]
    pub fn partial(rejected_spans: usize, message: impl Into<String>) -> Self {
        Self {
            rejected_spans,
            too_large_spans: 0,
            message: message.into(),
        }
    }

    /// So many of the rejected spans were too large.
    pub(crate) fn with_too_large(mut self, spans: usize) -> Self {
        self.too_large_spans = spans;
        self
    }

    /// How many spans the backend refused: 0 when it took them all.
    #[must_use]
    pub const fn rejected_spans(&self) -> usize {
        self.rejected_spans
    }

    /// How many of those were refused since each is larger than the backend takes: see
    /// [`SplitLayer`](crate::policy::SplitLayer).
    #[must_use]
    pub const fn too_large_spans(&self) -> usize {
        self.too_large_spans
    }

    /// Why, or a warning about spans that were taken. Comes from the backend, for people to read.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        Some(self.message.as_str()).filter(|message| !message.is_empty())
    }
}
