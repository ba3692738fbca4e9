//! The mock provider of `gateway`: one process, a fixed answer of about 500 bytes, or a short stream where the request
//! asks for one. It does as little as it can, so that what is measured is what stands before it.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use service_kit::drain;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::wire::whole_message;

/// A provider in a process of its own; killed when it is dropped.
pub(crate) struct Fixed {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// Words that a client waits for in a stream.
pub(crate) const FIRST_WORDS: &str = "Once upon a time";
/// The pause after the first words, so that a proxy that gathers a stream is seen to.
const PAUSE: Duration = Duration::from_millis(5);

// === impl Fixed ===

impl Fixed {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        // Bound here and handed down, so that the port is known and nobody waits for it.
        let listener = std::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = listener.local_addr()?;
        let child = Command::new(std::env::current_exe()?)
            .arg("provider")
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(listener)))
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self { child, address })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Fixed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves on the listening socket that is its stdin, until it is killed.
pub(crate) async fn serve() -> anyhow::Result<()> {
    use std::os::fd::AsFd;
    let listener = std::net::TcpListener::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let (_trigger, tasks) = drain::channel();
    loop {
        let (stream, _) = listener.accept().await?;
        tasks.spawn("connection", async move {
            let _ = answer(stream).await;
        });
    }
}

async fn answer(mut stream: TcpStream) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let whole = whole_answer();
    let mut buffer = Vec::with_capacity(64 * 1024);
    loop {
        let length = loop {
            if let Some(length) = whole_message(&buffer) {
                break length;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let asked = buffer.get(..length).context("a short buffer")?;
        let is_stream = asked.windows(13).any(|window| window == b"\"stream\":true");
        buffer.drain(..length);
        if is_stream {
            tell(&mut stream).await?;
        } else {
            stream.write_all(whole.as_bytes()).await?;
        }
    }
}

async fn tell(stream: &mut TcpStream) -> anyhow::Result<()> {
    const HEAD: &str =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let first =
        [event(r#"{"role":"assistant","content":""}"#), event(&format!(r#"{{"content":"{FIRST_WORDS} "}}"#))];
    stream.write_all([HEAD, &chunk(&first.concat())].concat().as_bytes()).await?;
    for word in ["there ", "was ", "a ", "fish."] {
        tokio::time::sleep(PAUSE).await;
        stream.write_all(chunk(&event(&format!(r#"{{"content":"{word}"}}"#))).as_bytes()).await?;
    }
    stream.write_all([chunk("data: [DONE]\n\n"), chunk("")].concat().as_bytes()).await?;
    Ok(())
}

fn event(delta: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\
         \"delta\":{delta},\"finish_reason\":null}}]}}\n\n"
    )
}

fn chunk(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n", data.len())
}

fn whole_answer() -> String {
    let words = "The lake is calm in winter, and the boats cross it twice a day. ".repeat(4);
    let body = format!(
        "{{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\
         \"message\":{{\"role\":\"assistant\",\"content\":\"{words}\"}},\"finish_reason\":\"stop\"}}],\"usage\":\
         {{\"prompt_tokens\":9,\"completion_tokens\":60,\"total_tokens\":69}}}}"
    );
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}
