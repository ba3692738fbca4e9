//! The server's log: its stderr through a pipe into a file that never grows past a bound, the full one kept
//! once as `.1`. The file is opened by the program, never by the server's user, so no link can redirect it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use crate::Error;

const MAX_BYTES: u64 = 8 * 1024 * 1024;
/// How long the last lines of a dead server may take to arrive; a left-over backend can keep the pipe open.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Copies one server's output into the log until the server has closed it.
#[derive(Debug)]
pub(crate) struct LogPump {
    path: PathBuf,
    ended: mpsc::Receiver<()>,
}

/// A file that is set aside as `.1` before it grows past a bound.
#[derive(Debug)]
struct BoundedFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    max_bytes: u64,
}

// === impl LogPump ===

impl LogPump {
    pub(crate) fn start(path: &Path, output: impl Read + Send + 'static) -> Result<Self, Error> {
        let file = BoundedFile::open(path, MAX_BYTES).map_err(Error::disk("open", path))?;
        let (end, ended) = mpsc::channel();
        std::thread::Builder::new()
            .name("postgres-log".into())
            .spawn(move || {
                pump(output, file);
                // The reader may have gone; then nobody wants to know.
                let _ = end.send(());
            })
            .map_err(Error::disk("start the thread that writes", path))?;
        Ok(Self { path: path.to_path_buf(), ended })
    }

    /// The last lines of a server that has ended.
    pub(crate) fn last_lines(&self, count: usize) -> String {
        let _ = self.ended.recv_timeout(LAST_LINES);
        let bytes = fs::read(&self.path).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(count)..).unwrap_or_default().join("\n")
    }
}

// === impl BoundedFile ===

impl BoundedFile {
    fn open(path: &Path, max_bytes: u64) -> io::Result<Self> {
        let file = open_append(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path: path.to_path_buf(), file, bytes, max_bytes })
    }

    fn append(&mut self, chunk: &[u8]) -> io::Result<()> {
        let length = chunk.len() as u64;
        if self.bytes > 0 && self.bytes + length > self.max_bytes {
            let mut aside = self.path.clone().into_os_string();
            aside.push(".1");
            fs::rename(&self.path, aside)?;
            self.file = open_append(&self.path)?;
            self.bytes = 0;
        }
        self.file.write_all(chunk)?;
        self.bytes += length;
        Ok(())
    }
}

fn open_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// A full disk must not stop the reading: the server would block on its own log.
fn pump(mut output: impl Read, mut file: BoundedFile) {
    let mut buffer = vec![0_u8; 16 * 1024];
    let mut complained = false;
    loop {
        let chunk = match output.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => buffer.get(..count).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        if let Err(error) = file.append(chunk)
            && !std::mem::replace(&mut complained, true)
        {
            tracing::warn!(path = %file.path.display(), %error, "cannot write PostgreSQL's log");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_never_grows_past_its_bound_and_keeps_the_newest_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("postgres.log");
        let mut file = BoundedFile::open(&path, 100).unwrap();
        for number in 0..50 {
            file.append(format!("line {number:03}\n").as_bytes()).unwrap();
        }
        let newest = fs::read_to_string(&path).unwrap();
        assert!(newest.ends_with("line 049\n"));
        assert!(newest.len() <= 100 && fs::metadata(dir.path().join("postgres.log.1")).unwrap().len() <= 100);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn the_last_lines_are_there_once_the_output_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("postgres.log");
        let pump = LogPump::start(&path, &b"one\ntwo\nthree\n"[..]).unwrap();
        assert_eq!(pump.last_lines(2), "two\nthree");
    }
}
