//! Sets up the log of a program: to stderr (stdout is data), filtered, as text or JSON lines, with every
//! control character escaped, because names and reasons from the network end up in it.

mod escaping;

use std::fmt;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use escaping::EscapedStderr;

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
}

/// Sets up the log of this process, once.
///
/// # Errors
/// The filter is not understood, or a log was set up before.
pub fn init(filter: &str, format: Format) -> Result<(), TelemetryError> {
    let env_filter = EnvFilter::try_new(filter).map_err(|error| TelemetryError::Filter {
        filter: filter.escape_debug().to_string(),
        problem: error.to_string(),
    })?;
    let registry = tracing_subscriber::registry().with(env_filter);
    // Colour is off: the escapes that would make it are what is kept out of the log.
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(EscapedStderr)
        .with_ansi(false)
        .log_internal_errors(false);
    let set = match format {
        Format::Text => registry.with(layer).try_init(),
        Format::Json => registry.with(layer.json()).try_init(),
    };
    set.map_err(|_| TelemetryError::AlreadySet)?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Where, and never the message: it may quote what a client sent.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(place, "a defect of this program stopped one of its tasks; please report it");
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
