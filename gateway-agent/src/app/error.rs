//! Why a gateway does not start, or ended: what is said of it, and the exit code.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use fleet_core::offer::{NackReason, Stage};

use super::take_over::TakeOverError;
use crate::activation::handle::OrderError;
use crate::activation::local_source::LocalSourceError;
use crate::control::identity::IdentityError;
use crate::control::link::NotTakenIn;
use crate::holding::HoldingError;
use crate::proxy::ProxyError;

#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error(transparent)]
    Holding(#[from] HoldingError),
    #[error(transparent)]
    PolicyFile(#[from] LocalSourceError),
    #[error("{}", located(path, reason))]
    Refused { path: PathBuf, reason: NackReason },
    #[error("`{}` is not loaded: {error}", path.display())]
    NotLoaded { path: PathBuf, error: Box<OrderError> },
    #[error("{flag} {address}: {}", bind_problem(error))]
    Bind { flag: &'static str, address: SocketAddr, error: io::Error },
    #[error("stdin is no socket to accept clients from: {0}; --supervised is for `kt`, which passes one")]
    Inherited(io::Error),
    #[error("decision events cannot be written to `{}`: {error}; name another file with --decision-log", path.display())]
    DecisionLog { path: PathBuf, error: io::Error },
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    NotTakenIn(#[from] NotTakenIn),
    #[error(transparent)]
    TakeOver(#[from] TakeOverError),
    #[error("a part of the gateway ended by itself: {0}")]
    Defect(&'static str),
}

// === impl AppError ===

impl AppError {
    /// Of the one table of exit codes.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Holding(HoldingError::InUse { .. }) => 6,
            Self::Holding(HoldingError::Foreign { .. } | HoldingError::Unreadable { .. }) => 4,
            Self::Holding(HoldingError::Unusable { error, .. }) => match error.kind() {
                io::ErrorKind::PermissionDenied => 4,
                _ => 1,
            },
            Self::PolicyFile(LocalSourceError::Missing(_)) => 3,
            Self::PolicyFile(LocalSourceError::Forbidden(_)) => 4,
            Self::PolicyFile(LocalSourceError::Unreadable { .. }) | Self::Inherited(_) => 2,
            Self::Refused { reason, .. } => match reason.stage {
                Stage::Verify | Stage::Lint => 2,
                Stage::Secrets | Stage::Compile | Stage::SelfTest | Stage::Storage => 1,
                Stage::Generation => 6,
            },
            Self::Bind { error, .. } => match error.kind() {
                io::ErrorKind::AddrInUse => 6,
                io::ErrorKind::PermissionDenied => 4,
                _ => 2,
            },
            Self::Identity(_) => 4,
            Self::NotTakenIn(refused) => refused.exit_code,
            Self::TakeOver(_) => 5,
            Self::NotLoaded { error, .. } if **error == OrderError::Stopping => 5,
            Self::NotLoaded { .. } => 6,
            Self::DecisionLog { .. } | Self::Proxy(_) | Self::Defect(_) => 1,
        }
    }
}

/// Every finding with its place, as compilers write them.
fn located(path: &Path, reason: &NackReason) -> String {
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

fn bind_problem(error: &io::Error) -> String {
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
