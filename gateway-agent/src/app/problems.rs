//! How the problems of a start read: every finding with its place, and what to do about an address.

use std::io;
use std::path::Path;

use fleet_core::offer::NackReason;

/// Every finding with its place, as compilers write them.
pub(super) fn located(path: &Path, reason: &NackReason) -> String {
    let path = path.display();
    let mut text = format!("`{path}` is refused at stage {}: {}", reason.stage, reason.reason);
    for finding in &reason.findings {
        let place = match finding.location.line {
            0 => format!("{path}"),
            line => format!("{path}:{line}:{}", finding.location.column),
        };
        text.push_str(&format!("\n{place}: {}[{}]: {}", finding.severity, finding.code, finding.message));
        if !finding.suggestion.is_empty() {
            text.push_str(&format!("\n  help: {}", finding.suggestion));
        }
    }
    text
}

pub(super) fn bind_problem(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "the address is in use; stop what listens there, or choose another port".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "this user may not listen there; choose a port from 1024 up".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => {
            "this host does not have that address; write for example 127.0.0.1:41002".to_owned()
        }
        _ => error.to_string(),
    }
}
