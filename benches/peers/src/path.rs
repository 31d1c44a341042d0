//! The paths through a layer, as the project's budgets have them.

/// One way that a request can take through a layer.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// What it is called on the command line.
    pub id: &'static str,
    /// What it is called in a table.
    pub title: &'static str,
    /// What is spoken.
    pub protocol: Protocol,
    /// Whether the layer sends requests in place of receiving them.
    pub is_client: bool,
    /// Whether tracing is switched on.
    pub is_on: bool,
    /// Who calls: for a client, the context that is current.
    pub caller: Caller,
    /// Whether the caller sends a `tracestate` of two members.
    pub tracestate: bool,
    /// Whether each request is from another client program, so that nothing can be used again.
    pub is_varied: bool,
    /// Whether roots are sampled.
    pub roots: bool,
    /// How often the service inside is pending before it answers.
    pub pending: u8,
    /// Whether spans are encoded in batches and handed to a transport, in place of being dropped when they end.
    pub is_exported: bool,
    /// What ours may cost.
    pub budget: Budget,
}

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP: an answer of one frame.
    Http,
    /// A unary gRPC call: one message, and trailers.
    Grpc,
    /// A call that is answered by a stream of [`STREAM`] messages, and trailers.
    GrpcStream,
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Somebody without trace context.
    Unknown,
    /// A trace that is not sampled.
    NotSampled,
    /// A trace that is sampled.
    Sampled,
}

/// What a layer may cost over the bare service.
#[derive(Clone, Copy, Debug, Default)]
pub struct Budget {
    /// In parts of what the plain layer costs.
    pub of_plain: Option<f64>,
    /// In nanoseconds.
    pub nanos: Option<f64>,
    /// In allocations of one request.
    pub allocations: Option<u64>,
}

/// All of them.
pub const PATHS: &[Path] = &[
    Path {
        is_on: false,
        budget: Budget {
            of_plain: None,
            nanos: Some(30.0),
            allocations: Some(0),
        },
        ..Path::new("off", "switched off, no traceparent")
    },
    Path {
        is_on: false,
        caller: Caller::Sampled,
        budget: Budget::of_plain(0.30, 1),
        ..Path::new("off-caller", "switched off, traceparent")
    },
    Path {
        budget: Budget::of_plain(0.55, 1),
        ..Path::new("root-unsampled", "root that is not sampled")
    },
    Path {
        caller: Caller::NotSampled,
        budget: Budget::of_plain(0.32, 1),
        ..Path::new("caller-unsampled", "caller that is not sampled")
    },
    Path {
        caller: Caller::Sampled,
        budget: Budget::of_plain(0.75, 8),
        ..Path::new(
            "caller-sampled",
            "caller that is sampled, span dropped when it ends",
        )
    },
    Path {
        caller: Caller::Sampled,
        is_varied: true,
        ..Path::new(
            "varied",
            "caller that is sampled, another user-agent each time, span dropped when it ends",
        )
    },
    Path {
        roots: true,
        ..Path::new(
            "root-sampled",
            "root that is sampled, span dropped when it ends",
        )
    },
    Path {
        caller: Caller::Sampled,
        tracestate: true,
        ..Path::new(
            "tracestate",
            "caller that is sampled, tracestate of two members, span dropped when it ends",
        )
    },
    Path {
        caller: Caller::Sampled,
        pending: 2,
        ..Path::new(
            "pending",
            "caller that is sampled, one more pending poll, span dropped when it ends",
        )
    },
    Path {
        caller: Caller::Sampled,
        is_exported: true,
        budget: Budget {
            of_plain: Some(0.35),
            nanos: None,
            allocations: None,
        },
        ..Path::new(
            "exported",
            "caller that is sampled, span encoded in a batch and handed to a transport",
        )
    },
    Path {
        is_client: true,
        caller: Caller::Sampled,
        budget: Budget {
            of_plain: Some(0.70),
            nanos: None,
            allocations: None,
        },
        ..Path::new(
            "client-sampled",
            "client under a sampled parent, span dropped when it ends",
        )
    },
    Path {
        is_client: true,
        caller: Caller::NotSampled,
        budget: Budget {
            of_plain: Some(0.30),
            nanos: None,
            allocations: None,
        },
        ..Path::new(
            "client-unsampled",
            "client under a parent that is not sampled",
        )
    },
];

/// Those of gRPC.
pub const GRPC_PATHS: &[Path] = &[
    Path {
        is_on: false,
        ..Path::grpc("grpc-off", "switched off, no traceparent")
    },
    Path {
        is_on: false,
        caller: Caller::Sampled,
        ..Path::grpc("grpc-off-caller", "switched off, traceparent")
    },
    Path::grpc("grpc-root-unsampled", "root that is not sampled"),
    Path {
        caller: Caller::NotSampled,
        ..Path::grpc("grpc-caller-unsampled", "caller that is not sampled")
    },
    Path {
        caller: Caller::Sampled,
        ..Path::grpc(
            "grpc-caller-sampled",
            "caller that is sampled, span dropped when it ends",
        )
    },
    Path {
        caller: Caller::Sampled,
        is_exported: true,
        ..Path::grpc(
            "grpc-exported",
            "caller that is sampled, span encoded in a batch and handed to a transport",
        )
    },
    Path {
        protocol: Protocol::GrpcStream,
        ..Path::grpc(
            "grpc-stream-root-unsampled",
            "stream of 100 messages, root that is not sampled",
        )
    },
    Path {
        protocol: Protocol::GrpcStream,
        caller: Caller::Sampled,
        ..Path::grpc(
            "grpc-stream-caller-sampled",
            "stream of 100 messages, caller that is sampled, span dropped when it ends",
        )
    },
];

/// Messages of a stream.
pub const STREAM: usize = 100;

/// The trace of every caller.
pub const TRACE_ID: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;

/// The span of every caller.
pub const PARENT_ID: u64 = 0xb7ad_6b71_6920_3331;

/// The `tracestate` of a caller that has one.
pub const TRACESTATE: &str = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE";

// === impl Path ===

impl Path {
    const fn new(id: &'static str, title: &'static str) -> Self {
        Self {
            id,
            title,
            protocol: Protocol::Http,
            is_client: false,
            is_on: true,
            caller: Caller::Unknown,
            tracestate: false,
            is_varied: false,
            roots: false,
            pending: 1,
            is_exported: false,
            budget: Budget {
                of_plain: None,
                nanos: None,
                allocations: None,
            },
        }
    }

    const fn grpc(id: &'static str, title: &'static str) -> Self {
        Self {
            protocol: Protocol::Grpc,
            ..Self::new(id, title)
        }
    }

    /// The path with this id.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn by_id(id: &str) -> &'static Self {
        let found = PATHS.iter().chain(GRPC_PATHS).find(|path| path.id == id);
        found.unwrap_or_else(|| panic!("there is no path {id:?}"))
    }

    /// Whether a request that goes this way is recorded.
    pub fn is_recorded(&self) -> bool {
        self.is_on
            && match self.caller {
                Caller::Unknown => self.roots,
                Caller::NotSampled => false,
                Caller::Sampled => true,
            }
    }
}

// === impl Caller ===

impl Caller {
    /// The value of the header.
    pub fn traceparent(self) -> Option<String> {
        let flags = match self {
            Self::Unknown => return None,
            Self::NotSampled => 0,
            Self::Sampled => 1,
        };
        Some(format!("00-{TRACE_ID:032x}-{PARENT_ID:016x}-{flags:02x}"))
    }
}

// === impl Budget ===

impl Budget {
    const fn of_plain(of_plain: f64, allocations: u64) -> Self {
        Self {
            of_plain: Some(of_plain),
            nanos: None,
            allocations: Some(allocations),
        }
    }
}
