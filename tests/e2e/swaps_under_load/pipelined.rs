//! A client that sends several requests at once on one connection and reads their answers in order.
#![cfg(test)]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;
use tests::http::Answer;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Kind, Progress, judge};

/// What is sent at once: whole answers, chunked ones and one that a policy ends.
const BATCH: [Kind; 5] = [Kind::Whole, Kind::Stream, Kind::Whole, Kind::Blocked, Kind::Whole];
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks batch after batch on one connection until it is over; answers how many requests were served.
pub(super) async fn ask(address: String, client: usize, progress: Arc<Progress>) -> u64 {
    let mut stream = BufStream::new(TcpStream::connect(&address).await.expect("it listens"));
    let mut served = 0;
    while !progress.stop.load(Ordering::SeqCst) {
        let prompts: Vec<_> = (0..BATCH.len())
            .map(|place| format!("client {client} asks number {served} at {place}."))
            .collect();
        let batch = BATCH.iter().zip(&prompts);
        let requests: Vec<u8> =
            batch.clone().flat_map(|(kind, prompt)| request(&address, &kind.body(prompt))).collect();
        let mut oldest = progress.done.load(Ordering::SeqCst);
        stream.write_all(&requests).await.expect("they are taken");
        stream.flush().await.expect("they are sent");
        for (kind, prompt) in batch {
            let answer = timeout(PATIENCE, read(&mut stream)).await.expect("an answer in time");
            // One after the other: none is of a pack that was over when the one before it was answered.
            let swap = judge(*kind, prompt, &answer);
            let newest = progress.begun.load(Ordering::SeqCst);
            assert!((oldest..=newest).contains(&swap), "{swap} was not active from {oldest} to {newest}");
            oldest = swap;
            served += 1;
        }
    }
    served
}

fn request(address: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let length = body.len();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

async fn read(stream: &mut BufStream<TcpStream>) -> Answer {
    let first = line(stream).await;
    let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).expect("a status line");
    let status: StatusCode = status.parse().expect("a status");
    let mut headers = HeaderMap::new();
    loop {
        let line = line(stream).await;
        let Some((name, value)) = line.split_once(": ") else { break };
        let name: HeaderName = name.parse().expect("a name");
        headers.append(name, HeaderValue::from_str(value).expect("a value"));
    }
    let mut body = Vec::new();
    if headers.get(TRANSFER_ENCODING).is_some_and(|coding| coding == "chunked") {
        loop {
            let length = usize::from_str_radix(&line(stream).await, 16).expect("the length of a chunk");
            some(stream, length, &mut body).await;
            assert_eq!(line(stream).await, "", "the end of a chunk");
            if length == 0 {
                break;
            }
        }
    } else {
        let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        some(stream, length.expect("the answer says how long it is"), &mut body).await;
    }
    Answer { status, headers, body: body.into() }
}

async fn some(stream: &mut BufStream<TcpStream>, length: usize, body: &mut Vec<u8>) {
    let from = body.len();
    body.resize(from + length, 0);
    stream.read_exact(&mut body[from..]).await.expect("no answer is torn");
}

async fn line(stream: &mut BufStream<TcpStream>) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).await.expect("no answer is torn");
    line.strip_suffix("\r\n").expect("no answer is torn").to_owned()
}
