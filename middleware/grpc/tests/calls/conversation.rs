//! The client's side of a call of each kind.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use bytes::{Buf, BufMut, Bytes};
use futures_util::stream;
use http::uri::PathAndQuery;
use http_body::Body as HttpBody;
use tonic::body::Body;
use tonic::client::{Grpc, GrpcService};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::{Request, Status, Streaming};
use tower::BoxError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Unary,
    ClientStream,
    ServerStream,
    Bidi,
}

/// What a client calls through.
pub trait Transport:
    GrpcService<Body, ResponseBody: HttpBody<Error: Into<BoxError>> + Send + 'static>
{
}

/// Messages are bytes. Remembers when it last read one.
#[derive(Clone, Debug, Default)]
pub struct Raw {
    last_read: Arc<Mutex<Option<SystemTime>>>,
}

impl Kind {
    pub const ALL: [Self; 4] = [
        Self::Unary,
        Self::ClientStream,
        Self::ServerStream,
        Self::Bidi,
    ];

    /// As the span's name has it.
    pub const fn method(self) -> &'static str {
        match self {
            Self::Unary => "towline.test.Echo/Unary",
            Self::ClientStream => "towline.test.Echo/ClientStream",
            Self::ServerStream => "towline.test.Echo/ServerStream",
            Self::Bidi => "towline.test.Echo/Bidi",
        }
    }

    pub fn path(self) -> PathAndQuery {
        format!("/{}", self.method()).parse().unwrap()
    }

    pub const fn requests(self) -> usize {
        match self {
            Self::Unary | Self::ServerStream => 1,
            Self::ClientStream | Self::Bidi => 3,
        }
    }

    pub const fn responses(self) -> usize {
        match self {
            Self::Unary | Self::ClientStream => 1,
            Self::ServerStream | Self::Bidi => 3,
        }
    }

    /// Calls the method and stays to the end. Answers how many messages came.
    pub async fn converse<T: Transport>(
        self,
        grpc: &mut Grpc<T>,
        metadata: &MetadataMap,
        codec: &Raw,
    ) -> Result<usize, Status> {
        ready(grpc).await?;
        let one = || request(metadata, message(0));
        let several = || request(metadata, stream::iter((0..self.requests()).map(message)));
        let (path, codec) = (self.path(), codec.clone());
        let response = match self {
            Self::Unary => {
                grpc.unary(one(), path, codec).await?;
                return Ok(1);
            }
            Self::ClientStream => {
                grpc.client_streaming(several(), path, codec).await?;
                return Ok(1);
            }
            Self::ServerStream => grpc.server_streaming(one(), path, codec).await?,
            Self::Bidi => grpc.streaming(several(), path, codec).await?,
        };
        let mut stream = response.into_inner();
        let mut received = 0;
        while let Some(_message) = stream.message().await? {
            received += 1;
        }
        Ok(received)
    }

    /// Calls the method and reads one message, whatever more there is.
    pub async fn begin<T: Transport>(
        self,
        grpc: &mut Grpc<T>,
        metadata: &MetadataMap,
        codec: &Raw,
    ) -> Result<Streaming<Bytes>, Status> {
        ready(grpc).await?;
        let messages = stream::iter((0..self.requests()).map(message));
        let response = grpc.streaming(request(metadata, messages), self.path(), codec.clone());
        let mut stream = response.await?.into_inner();
        assert!(stream.message().await?.is_some());
        Ok(stream)
    }
}

pub fn message(number: usize) -> Bytes {
    Bytes::from(format!("message {number}"))
}

fn request<M>(metadata: &MetadataMap, message: M) -> Request<M> {
    Request::from_parts(metadata.clone(), http::Extensions::new(), message)
}

async fn ready<T: Transport>(grpc: &mut Grpc<T>) -> Result<(), Status> {
    let ready = grpc.ready().await;
    ready.map_err(|error| Status::from_error(error.into()))
}

impl<T> Transport for T where
    T: GrpcService<Body, ResponseBody: HttpBody<Error: Into<BoxError>> + Send + 'static>
{
}

// === impl Raw ===

impl Raw {
    /// When it last read a message.
    pub fn last_read(&self) -> Option<SystemTime> {
        *self.last_read.lock().unwrap()
    }
}

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        self.clone()
    }

    fn decoder(&mut self) -> Self {
        self.clone()
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        *self.last_read.lock().unwrap() = Some(SystemTime::now());
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
