//! One descriptor, kept for when there is none: with it a connection is taken out of the backlog and sent away, where it
//! would wait for as long as the others stay.

use std::fs::File;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::task::Poll;

use tokio::net::{TcpListener, TcpStream};

pub(super) struct Spare(Option<File>);

/// Of what the client has sent by now; the rest may cost it the answer.
const HEARD: usize = 16 * 1024;

// === impl Spare ===

impl Spare {
    pub(super) fn new() -> Self {
        Self(open())
    }

    /// Takes one connection, gives it this answer and closes it. False where there is none, or not even this descriptor.
    pub(super) async fn turn_away(&mut self, listener: &TcpListener, answer: &[u8]) -> bool {
        drop(self.0.take());
        let accepted = poll_fn(|context| {
            let accepted = listener.poll_accept(context);
            Poll::Ready(if let Poll::Ready(Ok((stream, _))) = accepted { Some(stream) } else { None })
        });
        let taken = accepted.await.map(|stream| tell(stream, answer));
        self.0 = open();
        // Who was gone before the answer was is closed as well.
        taken.is_some()
    }
}

fn open() -> Option<File> {
    File::open("/dev/null").ok()
}

/// As much as the socket takes at once.
fn tell(stream: TcpStream, answer: &[u8]) -> io::Result<()> {
    let mut stream = stream.into_std()?;
    let mut heard = vec![0; HEARD];
    // It may have said nothing so far.
    let _ = stream.read(&mut heard);
    stream.write_all(answer)?;
    stream.shutdown(Shutdown::Write)
}
