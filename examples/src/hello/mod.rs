//! The service `hello.Greeter`, as `tonic-prost-build` would make it of `hello.proto`, less the options
//! that no example uses.

mod client;
mod server;

pub use self::client::GreeterClient;
pub use self::server::{Greeter, GreeterServer};

/// Who is to be greeted.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HelloRequest {
    /// The name.
    #[prost(string, tag = "1")]
    pub name: String,
}

/// A greeting.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HelloReply {
    /// The whole of it.
    #[prost(string, tag = "1")]
    pub message: String,
}

const SERVICE: &str = "hello.Greeter";

const SAY_HELLO: &str = "/hello.Greeter/SayHello";

const SAY_HELLOS: &str = "/hello.Greeter/SayHellos";
