use crate::expected::Expected;

/// The spans of `GET /users/{id}`: proxy, app, cache, backend, and the greeter from both sides.
pub const USERS: &[Expected] = &[
    Expected::new("proxy", "server", "GET", None),
    Expected::new("proxy", "client", "GET", Some(0)),
    Expected::new("users", "server", "GET /users/{id}", Some(1)),
    Expected::new("users", "internal", "cache/Get", Some(2)),
    Expected::new("users", "client", "backend/Get", Some(2)),
    Expected::new("users", "client", "hello.Greeter/SayHello", Some(2)),
    Expected::new("greeter", "server", "hello.Greeter/SayHello", Some(5)),
];

/// The spans of `GET /events`.
pub const EVENTS: &[Expected] = &[
    Expected::new("proxy", "server", "GET", None),
    Expected::new("proxy", "client", "GET", Some(0)),
    Expected::new("users", "server", "GET /events", Some(1)),
];

/// The spans of `GET /broken`.
pub const BROKEN: &[Expected] = &[
    Expected::new("proxy", "server", "GET", None),
    Expected::new("proxy", "client", "GET", Some(0)),
    Expected::new("users", "server", "GET /broken", Some(1)),
];
