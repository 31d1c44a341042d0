//! A client and a server that do to HTTP/2 what a script says, and tell what they have heard.

use std::future::poll_fn;

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, client, server};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};

/// One step of a script. The head of a request is sent before the first.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// The head of a response.
    Head(Lines),
    /// The head of a response, and that is all.
    HeadOnly(Lines),
    Data(&'static str),
    LastData(&'static str),
    Trailers(Lines),
    Reset(Reason),
    /// Hears a data frame; of a response also its head.
    Hear,
    /// Hears whatever there is until the end.
    HearAll,
    /// Hears that the other side has reset the stream.
    HearReset,
}

pub type Lines = &'static [(&'static str, &'static [u8])];

/// What one side has heard, in order.
pub type Heard = Vec<String>;

pub fn headers(lines: Lines) -> HeaderMap {
    let line = |(name, value): &(&'static str, &[u8])| {
        let value = HeaderValue::from_bytes(value).unwrap();
        (HeaderName::from_static(name), value)
    };
    lines.iter().map(line).collect()
}

/// Makes one call over a connection.
pub async fn call<IO>(io: IO, lines: Lines, script: &[Step]) -> Heard
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut send, connection) = client::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let mut request = Request::post("http://service.test/a.B/C").body(()).unwrap();
    *request.headers_mut() = headers(lines);
    let ends = script.is_empty();
    let (response, mut to) = send.send_request(request, ends).unwrap();

    let (mut response, mut from) = (Some(response), None);
    let mut heard = Heard::new();
    for step in script {
        if let Step::Hear | Step::HearAll = step
            && let Some(response) = response.take()
        {
            match response.await {
                Ok(response) => {
                    let (head, body) = response.into_parts();
                    heard.push(format!("{} {}", head.status, told(&head.headers)));
                    if body.is_end_stream() {
                        heard.push("the end".to_owned());
                    }
                    from = Some(body);
                }
                Err(error) => heard.push(format!("error {:?}", error.reason())),
            }
        }
        act(step, &mut to, from.as_mut(), &mut heard).await;
    }
    heard
}

/// Answers one call over a connection.
pub async fn answer<IO>(io: IO, script: &[Step]) -> Heard
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut connection = server::handshake(io).await.unwrap();
    let (request, mut respond) = connection.accept().await.unwrap().unwrap();
    tokio::spawn(async move { while connection.accept().await.is_some() {} });

    let (head, mut from) = request.into_parts();
    let mut heard = vec![format!(
        "{} {} {}",
        head.method,
        head.uri.path(),
        told(&head.headers)
    )];
    if from.is_end_stream() {
        heard.push("the end".to_owned());
    }
    let mut to = None;
    for step in script {
        if let Step::Head(lines) | Step::HeadOnly(lines) = step {
            let mut response = Response::new(());
            *response.headers_mut() = headers(lines);
            let ends = matches!(step, Step::HeadOnly(_));
            to = Some(respond.send_response(response, ends).unwrap());
        } else if let Some(to) = &mut to {
            act(step, to, Some(&mut from), &mut heard).await;
        } else {
            hear(step, &mut from, &mut heard).await;
        }
    }
    heard
}

async fn act(
    step: &Step,
    to: &mut SendStream<Bytes>,
    from: Option<&mut RecvStream>,
    heard: &mut Heard,
) {
    match step {
        Step::Data(text) => to
            .send_data(Bytes::from_static(text.as_bytes()), false)
            .unwrap(),
        Step::LastData(text) => to
            .send_data(Bytes::from_static(text.as_bytes()), true)
            .unwrap(),
        Step::Trailers(lines) => to.send_trailers(headers(lines)).unwrap(),
        Step::Reset(reason) => to.send_reset(*reason),
        Step::HearReset => {
            let reason = poll_fn(|cx| to.poll_reset(cx)).await;
            heard.push(format!("reset {reason:?}"));
        }
        Step::Hear | Step::HearAll => {
            if let Some(from) = from {
                hear(step, from, heard).await;
            }
        }
        Step::Head(_) | Step::HeadOnly(_) => panic!("a request has had its head"),
    }
}

async fn hear(step: &Step, from: &mut RecvStream, heard: &mut Heard) {
    while let Some(data) = from.data().await {
        match data {
            Ok(data) => {
                from.flow_control().release_capacity(data.len()).unwrap();
                heard.push(String::from_utf8_lossy(&data).into_owned());
            }
            Err(error) => {
                heard.push(format!("error {:?}", error.reason()));
                return;
            }
        }
        if let Step::Hear = step {
            return;
        }
    }
    match from.trailers().await {
        Ok(Some(trailers)) => heard.push(told(&trailers)),
        Ok(None) => heard.push("no trailers".to_owned()),
        Err(error) => heard.push(format!("error {:?}", error.reason())),
    }
}

/// Every line, in the order of the wire; but for the time of day.
fn told(headers: &HeaderMap) -> String {
    let lines = headers.iter().map(|(name, value)| match name.as_str() {
        "date" => "date".to_owned(),
        name => format!("{name}: {}", value.as_bytes().escape_ascii()),
    });
    lines.collect::<Vec<_>>().join("\n  ")
}
