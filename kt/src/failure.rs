//! Why a command failed: what, where, why, what to do, and the one table of exit codes.
//!
//! A failure never holds a secret, SQL or a panic; text from elsewhere is cleaned when it is printed.

mod grpc;

use std::panic::Location;

use clap::error::ErrorKind;
use policy_config::Finding;

/// How a command ended. The numbers are a promise to scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    /// It ran, and the outcome is a failure.
    Failed,
    /// Bad usage or invalid input.
    Usage,
    NotFound,
    /// No credential, a wrong one, or not allowed.
    Forbidden,
    /// Unreachable or timed out.
    Unreachable,
    /// Conflict or precondition.
    Conflict,
}

/// A command that did not do what was asked.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    exit: Exit,
    /// Boxed: a failure travels through every result, and is rare.
    told: Box<Told>,
}

#[derive(Debug, Clone, Default)]
struct Told {
    /// Stable word for scripts, such as `not_found`.
    code: String,
    /// What, where and why; a sentence without a final full stop.
    message: String,
    /// The flag or wire field at fault.
    field: Option<String>,
    /// What to do.
    hint: Option<String>,
    /// What lint, here or at the server, has to say.
    findings: Vec<Finding>,
    /// The rendered excerpt of the findings, for people.
    report: Option<String>,
}

// === impl Exit ===

impl Exit {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Forbidden => 4,
            Self::Unreachable => 5,
            Self::Conflict => 6,
        }
    }

    /// What another program of ours ended with; a number that is not in the table is a failure.
    pub(crate) const fn of_code(code: u8) -> Self {
        match code {
            0 => Self::Done,
            2 => Self::Usage,
            3 => Self::NotFound,
            4 => Self::Forbidden,
            5 => Self::Unreachable,
            6 => Self::Conflict,
            _ => Self::Failed,
        }
    }
}

// === impl Failure ===

impl Failure {
    pub(crate) fn new(exit: Exit, code: &str, message: impl Into<String>) -> Self {
        let told = Told { code: code.to_owned(), message: message.into(), ..Told::default() };
        Self { exit, told: Box::new(told) }
    }

    /// Bad input: `field` is the flag or argument as typed.
    pub(crate) fn usage(field: &str, message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "invalid_argument", message).with_field(field)
    }

    /// A broken answer of a peer or a fault of this program's own.
    pub(crate) fn unexpected(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, "unexpected", message)
    }

    /// Where a defect of this program's own is; never its text, which may quote what was typed.
    pub(crate) fn of_defect(place: Option<&Location<'_>>) -> Self {
        let place = place.map(|place| format!(" at {place}")).unwrap_or_default();
        Self::new(Exit::Failed, "defect", format!("kt has a defect{place}"))
            .with_hint("please report it, with the command that was typed")
    }

    /// A command line that clap refused, for `--json`.
    pub(crate) fn of_command_line(problem: &clap::Error) -> Self {
        let text = problem.render().to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text);
        let message = match problem.kind() {
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "a command is missing".to_owned(),
            _ => {
                text.split("\n\n").next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
            }
        };
        Self::new(Exit::Usage, "usage", message).with_hint("see `kt --help`")
    }

    #[must_use]
    pub(crate) fn with_field(mut self, field: impl Into<String>) -> Self {
        self.told.field = Some(field.into());
        self
    }

    #[must_use]
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.told.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub(crate) fn with_findings(mut self, findings: Vec<Finding>) -> Self {
        self.told.findings = findings;
        self
    }

    /// `report` is printed above the error for people; `--json` has the findings instead.
    #[must_use]
    pub(crate) fn with_report(mut self, report: String) -> Self {
        self.told.report = Some(report);
        self
    }

    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }

    pub(crate) fn code(&self) -> &str {
        &self.told.code
    }

    pub(crate) fn message(&self) -> &str {
        &self.told.message
    }

    pub(crate) fn field(&self) -> Option<&str> {
        self.told.field.as_deref()
    }

    pub(crate) fn hint(&self) -> Option<&str> {
        self.told.hint.as_deref()
    }

    pub(crate) fn findings(&self) -> &[Finding] {
        &self.told.findings
    }

    pub(crate) fn report(&self) -> Option<&str> {
        self.told.report.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_codes_are_the_promised_ones() {
        let all = [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::NotFound,
            Exit::Forbidden,
            Exit::Unreachable,
            Exit::Conflict,
        ];
        assert_eq!(all.map(Exit::code), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(all.map(|exit| Exit::of_code(exit.code())), all);
        assert_eq!(Exit::of_code(101), Exit::Failed);
    }
}
