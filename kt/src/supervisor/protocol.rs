//! What is said over `supervisor.sock`: one line of JSON asks, one answers. A later release may add fields.

use std::path::PathBuf;
use std::time::Duration;

use instance::documents::{Finding, Status};
use serde::{Deserialize, Serialize};

use super::supervision::Supervision;
use crate::failure::{Exit, Failure};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub(crate) enum Ask {
    /// Have it run. The first one starts it; until then a supervisor does nothing.
    Start { limit_ms: u64 },
    /// End it, and the supervisor after it.
    Stop,
    /// Put a process of this program in its place.
    Restart { program: PathBuf, limit_ms: u64 },
    /// Say how it stands; answered at once, whatever else is being done.
    Status,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub(crate) enum Answer {
    Serves {
        status: Box<Status>,
        /// It ran before it was asked for.
        already: bool,
        /// It does not answer: the status is what its disk says.
        #[serde(default)]
        is_silent: bool,
        /// The process that was replaced, and finishes its requests now.
        #[serde(default)]
        leaving: Option<u32>,
        /// What went wrong beside it.
        #[serde(default)]
        warning: Option<String>,
    },
    Supervises(Supervision),
    Stopped {
        /// It did not end in order within its time, and was killed.
        killed: bool,
        #[serde(default)]
        warning: Option<String>,
    },
    Refused {
        exit: u8,
        code: String,
        message: String,
        #[serde(default)]
        hint: Option<String>,
        #[serde(default)]
        findings: Vec<Finding>,
    },
}

/// The one line that whoever started a supervisor reads on its stdout.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "supervisor", rename_all = "snake_case")]
pub(crate) enum Up {
    /// It listens.
    Listens,
    /// Another supervisor holds the place.
    Taken,
    Failed {
        answer: Answer,
    },
}

pub(crate) fn limit_ms(limit: Duration) -> u64 {
    u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)
}

// === impl Answer ===

impl Answer {
    pub(crate) fn of(failure: &Failure) -> Self {
        Self::Refused {
            exit: failure.exit().code(),
            code: failure.code().to_owned(),
            message: failure.message().to_owned(),
            hint: failure.hint().map(str::to_owned),
            findings: failure.findings().iter().map(Finding::from).collect(),
        }
    }
}

/// The failure that a refusal told.
pub(crate) fn failure(
    exit: u8,
    code: &str,
    message: String,
    hint: Option<String>,
    findings: &[Finding],
) -> Failure {
    let exit = Exit::of_code(exit);
    let failure = Failure::new(exit, code, message).with_findings(findings.iter().map(Into::into).collect());
    match hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_arrives_as_it_left() {
        let sent = Failure::new(Exit::Conflict, "address_taken", "127.0.0.1:1 is taken").with_hint("end it");
        let line = serde_json::to_string(&Answer::of(&sent)).unwrap();
        let Ok(Answer::Refused { exit, code, message, hint, findings }) = serde_json::from_str(&line) else {
            panic!("{line}");
        };
        let heard = failure(exit, &code, message, hint, &findings);
        assert_eq!((heard.exit(), heard.code(), heard.message()), (sent.exit(), sent.code(), sent.message()));
        assert_eq!(heard.hint(), sent.hint());
    }

    #[test]
    fn what_a_later_release_adds_is_passed_over() {
        let ask = serde_json::from_str::<Ask>(r#"{"ask":"start","limit_ms":5,"more":1}"#);
        assert!(matches!(ask, Ok(Ask::Start { limit_ms: 5 })), "{ask:?}");
    }
}
