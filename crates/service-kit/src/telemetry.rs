//! Sets up the log of a program: to stderr (stdout is data), filtered, as text or JSON lines, with every
//! control character escaped, because names and reasons from the network end up in it. Whoever logs never waits for
//! whoever reads.

mod escaping;
mod queue;

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use escaping::EscapedQueue;
use queue::Queue;

/// What the end of a program waits for a reader that stalls.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(1);
/// And a defect, which may be one that ends it.
const WORST_WITHIN: Duration = Duration::from_millis(100);

/// The one of this process.
static QUEUE: OnceLock<Arc<Queue>> = OnceLock::new();

/// The log of this process, to be kept to its end: dropping it waits until what was said is written, for a moment.
#[must_use = "what is said after it was dropped may be lost"]
#[derive(Debug)]
pub struct Log {
    queue: Arc<Queue>,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Format {
    /// One line for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("`{filter}` is no log filter: {problem}; write for example `info` or `warn,control_plane=debug`")]
    Filter { filter: String, problem: String },
    #[error("`{0}` is no log format; write `text` or `json`")]
    Format(String),
    #[error("the log of this process was set up already")]
    AlreadySet,
    #[error("there is no thread to write the log: {0}")]
    Thread(#[from] io::Error),
}

/// Sets up the log of this process, once.
///
/// # Errors
/// The filter is not understood, a log was set up before, or there is no thread for it.
pub fn init(filter: &str, format: Format) -> Result<Log, TelemetryError> {
    let env_filter = EnvFilter::try_new(filter).map_err(|error| TelemetryError::Filter {
        filter: filter.escape_debug().to_string(),
        problem: error.to_string(),
    })?;
    let registry = tracing_subscriber::registry().with(env_filter);
    let queue = Arc::new(Queue::default());
    // Colour is off: the escapes that would make it are what is kept out of the log.
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(EscapedQueue(Arc::clone(&queue)))
        .with_ansi(false)
        .log_internal_errors(false);
    let set = match format {
        Format::Text => registry.with(layer).try_init(),
        Format::Json => registry.with(layer.json()).try_init(),
    };
    set.map_err(|_| TelemetryError::AlreadySet)?;
    let writing = Arc::clone(&queue);
    std::thread::Builder::new().name("log".to_owned()).spawn(move || writing.write_to(io::stderr()))?;
    let _ = QUEUE.set(Arc::clone(&queue));
    std::panic::set_hook(Box::new(log_panic));
    Ok(Log { queue })
}

/// Lines that were lost since the start, because whoever reads the log is too slow.
pub fn lost() -> u64 {
    QUEUE.get().map_or(0, |queue| queue.lost())
}

/// Where, and never the message: it may quote what a client sent.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(place, "a defect of this program stopped one of its tasks; please report it");
    say_before_the_worst();
}

/// What was said so far is written, unless its reader stalls: the next moment may be the last.
pub(crate) fn say_before_the_worst() {
    if let Some(queue) = QUEUE.get() {
        queue.wait_until_written(WORST_WITHIN);
    }
}

// === impl Log ===

impl Drop for Log {
    fn drop(&mut self) {
        self.queue.wait_until_written(LAST_WORDS_WITHIN);
    }
}

// === impl Format ===

impl FromStr for Format {
    type Err = TelemetryError;

    fn from_str(text: &str) -> Result<Self, TelemetryError> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(TelemetryError::Format(other.escape_debug().to_string())),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_filter_and_a_bad_format_say_what_to_write() {
        let error = init("control_plane=loud", Format::Text).unwrap_err();
        assert!(matches!(error, TelemetryError::Filter { .. }));
        assert!(error.to_string().contains("`control_plane=loud` is no log filter"), "{error}");
        let error = "yaml\u{1b}".parse::<Format>().unwrap_err();
        assert_eq!(error.to_string(), "`yaml\\u{1b}` is no log format; write `text` or `json`");
    }

    #[test]
    fn formats_round_trip() {
        for format in [Format::Text, Format::Json] {
            assert_eq!(format.to_string().parse::<Format>().unwrap(), format);
        }
    }
}
