use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanBuilder, SpanKind};
use tonic::Status;
use tower::util::{BoxCloneSyncService, option_layer};
use tower::{ServiceBuilder, ServiceExt, service_fn};
use towline::{SpanLayer, Towline};

use crate::teleport::part::Part;

/// What the auth server knows: a cache over a backend, each a tower service with a span around every call.
#[derive(Clone)]
pub(crate) struct Store {
    cache: BoxCloneSyncService<Query, Records, io::Error>,
}

/// What the cache is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Query {
    Nodes,
    Node(String),
    User(String),
}

/// What the backend is asked for.
#[derive(Clone, Debug)]
enum Read {
    Get(String),
    /// All that begins so, as many at most.
    GetRange(String, usize),
}

/// Names, and what is kept under them.
type Records = Vec<(String, String)>;

// === impl Store ===

impl Store {
    /// A store of these records, by keys such as `/nodes/web-1`.
    pub(crate) fn new(
        records: BTreeMap<String, String>,
        tracing: &Towline,
        without: Option<Part>,
    ) -> Self {
        // Named by the operation, which is one of two. The key is not recorded: it may say whom this is about.
        let layer = Part::Backend.unless(without, || {
            SpanLayer::new(tracing.spans("backend"), |read: &Read| {
                SpanBuilder::from_name(read.span_name())
                    .with_kind(SpanKind::Client)
                    .with_attributes([KeyValue::new("limit", read.limit())])
            })
        });
        let records = Arc::new(records);
        let backend = ServiceBuilder::new()
            .layer(option_layer(layer))
            .service(service_fn(move |read: Read| {
                let found = read.of(&records);
                async move { io::Result::Ok(found) }
            }));

        let layer = Part::Cache.unless(without, || {
            SpanLayer::new(tracing.spans("cache"), |query: &Query| {
                SpanBuilder::from_name(query.span_name())
            })
        });
        let known = Arc::new(Mutex::new(HashMap::<Query, Records>::new()));
        let cache = ServiceBuilder::new()
            .layer(option_layer(layer))
            .service(service_fn(move |query: Query| {
                let (known, backend) = (Arc::clone(&known), backend.clone());
                async move {
                    let lock = || known.lock().unwrap_or_else(PoisonError::into_inner);
                    let hit = lock().get(&query).cloned();
                    if let Some(hit) = hit {
                        return Ok(hit);
                    }
                    let found = backend.oneshot(query.read()).await?;
                    // Not what is not there: who asks could ask for anything.
                    if !found.is_empty() {
                        lock().insert(query, found.clone());
                    }
                    io::Result::Ok(found)
                }
            }));
        Self {
            cache: BoxCloneSyncService::new(cache),
        }
    }

    pub(super) async fn read(&self, query: Query) -> Result<Records, Status> {
        let found = self.cache.clone().oneshot(query).await;
        found.map_err(|error| Status::unavailable(error.to_string()))
    }
}

// === impl Query ===

impl Query {
    const fn span_name(&self) -> &'static str {
        match self {
            Self::Nodes => "cache/GetNodes",
            Self::Node(_) => "cache/GetNode",
            Self::User(_) => "cache/GetUser",
        }
    }

    fn read(&self) -> Read {
        match self {
            Self::Nodes => Read::GetRange("/nodes/".to_owned(), 1_000),
            Self::Node(name) => Read::Get(format!("/nodes/{name}")),
            Self::User(name) => Read::Get(format!("/users/{name}")),
        }
    }
}

// === impl Read ===

impl Read {
    const fn span_name(&self) -> &'static str {
        match self {
            Self::Get(_) => "backend/Get",
            Self::GetRange(..) => "backend/GetRange",
        }
    }

    fn limit(&self) -> i64 {
        match self {
            Self::Get(_) => 1,
            Self::GetRange(_, limit) => i64::try_from(*limit).unwrap_or(i64::MAX),
        }
    }

    fn of(&self, records: &BTreeMap<String, String>) -> Records {
        let named = |(key, value): (&String, &String)| {
            let name = key.rsplit('/').next().unwrap_or_default();
            (name.to_owned(), value.clone())
        };
        match self {
            Self::Get(key) => records.get_key_value(key).map(named).into_iter().collect(),
            Self::GetRange(prefix, limit) => records
                .range(prefix.clone()..)
                .take_while(|(key, _)| key.starts_with(prefix))
                .take(*limit)
                .map(named)
                .collect(),
        }
    }
}
