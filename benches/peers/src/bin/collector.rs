//! A collector in a process of its own, whose processor time is nobody's: it counts the spans that arrive, by OTLP/gRPC or
//! OTLP/HTTP, and throws them away.
//!
//! It says its port, and ends with its standard input. `GET /spans` says how many have arrived. With `hanging` it takes
//! requests and never answers.

use std::convert::Infallible;
use std::io::Read;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;
use towline_otlp::Batch;

static SPANS: AtomicUsize = AtomicUsize::new(0);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let is_hanging = std::env::args().any(|argument| argument == "hanging");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a port is free");
    println!("{}", listener.local_addr().expect("it is bound").port());
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        // As tonic's server and others do; without it small answers wait for acknowledgements.
        let _ = stream.set_nodelay(true);
        let service = service_fn(move |request| answer(request, is_hanging));
        tokio::spawn(async move {
            let builder = Builder::new(TokioExecutor::new());
            // A client that goes away is nobody's fault.
            let _ = builder
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

type Answer = Result<Response<BoxBody<Bytes, Infallible>>, Infallible>;

async fn answer(request: Request<Incoming>, is_hanging: bool) -> Answer {
    if request.method() == Method::GET {
        let count = SPANS.load(Ordering::SeqCst).to_string();
        return Ok(Response::new(Full::new(Bytes::from(count)).boxed()));
    }
    if is_hanging {
        return std::future::pending().await;
    }
    let content_type = request.headers().get("content-type");
    let is_grpc = content_type.is_some_and(|it| it.as_bytes().starts_with(b"application/grpc"));
    let Ok(body) = request.into_body().collect().await else {
        return Ok(status(StatusCode::BAD_REQUEST));
    };
    let mut body = body.to_bytes();
    if is_grpc && body.len() >= 5 {
        body.advance(5);
    }
    let Ok(batch) = Batch::parse(body) else {
        return Ok(status(StatusCode::BAD_REQUEST));
    };
    SPANS.fetch_add(batch.spans(), Ordering::SeqCst);
    if !is_grpc {
        return Ok(status(StatusCode::OK));
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let message = Full::new(Bytes::from_static(&[0; 5]));
    let body = message
        .with_trailers(std::future::ready(Some(Ok(trailers))))
        .boxed();
    let response = Response::builder()
        .header("content-type", "application/grpc")
        .body(body);
    Ok(response.expect("the head is valid"))
}

fn status(status: StatusCode) -> Response<BoxBody<Bytes, Infallible>> {
    let mut response = Response::new(Empty::new().boxed());
    *response.status_mut() = status;
    response
}
