//! A port that is a control plane's until the test makes it something else: what a gateway may find where its control
//! plane was.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use service_kit::drain::{self, DrainTrigger};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Who answers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Who {
    /// The control plane at this address.
    ControlPlane(SocketAddr),
    /// Takes the connection and closes it.
    Closer,
    /// Bytes that are nothing.
    Garbage,
    /// A web server.
    Http1,
    /// Takes everything and says nothing.
    Silent,
    /// Begins as HTTP/2 does, a byte now and then.
    Drip,
    /// HTTP/2 whose settings never end.
    Settings,
}

pub(crate) struct Front {
    pub(crate) url: String,
    who: watch::Sender<Who>,
    dials: Arc<AtomicUsize>,
    _trigger: DrainTrigger,
}

// === impl Front ===

impl Front {
    pub(crate) async fn start(who: Who) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, receiver) = watch::channel(who);
        let dials = Arc::new(AtomicUsize::new(0));
        let (trigger, watcher) = drain::channel();
        let (counted, spawner) = (dials.clone(), watcher.clone());
        watcher.spawn("front", async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                spawner.spawn("front connection", serve(stream, receiver.clone()));
            }
        });
        Self { url, who: sender, dials, _trigger: trigger }
    }

    /// From now on somebody else answers; open connections are cut.
    pub(crate) fn become_another(&self, who: Who) {
        self.who.send_replace(who);
    }

    pub(crate) fn dials(&self) -> usize {
        self.dials.load(Ordering::Relaxed)
    }
}

async fn serve(mut stream: TcpStream, mut who: watch::Receiver<Who>) {
    let now = *who.borrow_and_update();
    tokio::select! {
        () = answer(&mut stream, now) => {}
        _ = who.changed() => {}
    }
}

async fn answer(stream: &mut TcpStream, who: Who) {
    // Whatever is written may find the peer gone.
    match who {
        Who::ControlPlane(address) => {
            let mut there = TcpStream::connect(address).await.unwrap();
            let _ = copy_bidirectional(stream, &mut there).await;
        }
        Who::Closer => {}
        Who::Garbage => {
            let _ = stream.write_all(&[0xa5; 64 * 1024]).await;
        }
        Who::Http1 => {
            let mut asked = [0; 1024];
            let _ = stream.read(&mut asked).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
        }
        Who::Silent => {
            let mut asked = [0; 1024];
            while stream.read(&mut asked).await.is_ok_and(|length| length > 0) {}
        }
        Who::Drip => {
            for byte in [0, 0, 0, 4, 0, 0, 0, 0].into_iter().cycle() {
                if stream.write_all(&[byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        }
        Who::Settings => {
            let many = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 255, 255].repeat(1_000);
            while stream.write_all(&many).await.is_ok() {}
        }
    }
}
