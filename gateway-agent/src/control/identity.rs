//! Who this gateway is to a control plane: enrolment with the operator's token, and the credential
//! that came of it, kept in the gateway's directory.
//!
//! A credential is bound to the control plane, the fleet and the name it was given for. It is never printed.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fleet_core::gateway::{FleetName, GatewayName, Labels};
use fleet_core::ids::GatewayId;
use proto::v1;
use proto::v1::gateway_service_client::GatewayServiceClient;
use serde::{Deserialize, Serialize};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use instance::durable;

/// Where the operator's token lies.
#[derive(Debug, Clone)]
pub enum TokenFile {
    /// `KT_TOKEN_FILE` names it.
    Named(PathBuf),
    /// In the control plane's default data directory.
    Default(PathBuf),
}

/// A bearer token as it travels; its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Bearer(MetadataValue<Ascii>);

/// An enrolled gateway.
#[derive(Debug, Clone)]
pub struct Identity {
    pub gateway: GatewayId,
    pub credential: Bearer,
}

/// Keeps the identity of one gateway on disk.
#[derive(Debug, Clone)]
pub struct IdentityStore {
    path: PathBuf,
    control_plane: String,
    fleet: FleetName,
    name: GatewayName,
}

/// Why there is no usable token or credential on this host.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("KT_TOKEN_FILE names `{}`, and there is no such file", .0.display())]
    NamedTokenMissing(PathBuf),
    #[error(
        "no token to enrol with: there is no `{}`; name the operator's token with KT_TOKEN_FILE",
        .0.display()
    )]
    NoToken(PathBuf),
    #[error("`{}` has mode {mode:04o} and would show a credential to others; run `chmod 600 {}`", path.display(), path.display())]
    Mode { path: PathBuf, mode: u32 },
    #[error("`{}` holds no token", .0.display())]
    NotAToken(PathBuf),
    #[error(
        "`{}` belongs to user {owner}, not to the one this gateway runs as ({here}); run `chown {here} {}`",
        path.display(),
        path.display()
    )]
    Foreign { path: PathBuf, owner: u32, here: u32 },
    #[error("`{}` is not a regular file; move it away, and the gateway enrols anew with the operator's token", .0.display())]
    NotAFile(PathBuf),
    #[error("`{}` cannot be used: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
}

/// Why the control plane did not take this gateway in.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("the control plane refused to enrol this gateway: {}", refusal(.0))]
    Refused(Box<Status>),
    #[error("the control plane's answer to the enrolment is not valid: {0}")]
    Answer(String),
}

/// `credential.json`.
#[derive(Serialize, Deserialize)]
struct Stored {
    control_plane: String,
    fleet: String,
    name: String,
    gateway_id: String,
    credential: String,
}

const LARGEST: u64 = 16 * 1024;
const ENROLL_TIMEOUT: Duration = Duration::from_secs(10);

// === impl TokenFile ===

impl TokenFile {
    fn read(&self) -> Result<Bearer, IdentityError> {
        let (Self::Named(path) | Self::Default(path)) = self;
        let text = read_private(path)?.ok_or_else(|| match self {
            Self::Named(path) => IdentityError::NamedTokenMissing(path.clone()),
            Self::Default(path) => IdentityError::NoToken(path.clone()),
        })?;
        Bearer::new(text.trim()).ok_or_else(|| IdentityError::NotAToken(path.clone()))
    }

    /// # Errors
    /// `KT_TOKEN_FILE` names a file that is not there; a default file may still come.
    pub fn check_named(&self) -> Result<(), IdentityError> {
        match self {
            Self::Named(_) => self.read().map(|_| ()),
            Self::Default(_) => Ok(()),
        }
    }
}

// === impl Bearer ===

impl Bearer {
    fn new(token: &str) -> Option<Self> {
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let mut value = MetadataValue::try_from(format!("Bearer {token}")).ok()?;
        value.set_sensitive(true);
        Some(Self(value))
    }

    /// A request that proves itself with this token.
    pub(super) fn sign<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.0.clone());
        request
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(…)")
    }
}

// === impl IdentityStore ===

impl IdentityStore {
    pub fn new(instance_dir: &Path, control_plane: &str, fleet: FleetName, name: GatewayName) -> Self {
        Self {
            path: instance_dir.join("credential.json"),
            control_plane: control_plane.to_owned(),
            fleet,
            name,
        }
    }

    /// What an earlier enrolment left, if it is for this control plane, fleet and name.
    ///
    /// # Errors
    /// The file can be read by others, or not by us. A spoiled one is set aside and counts as none.
    pub fn load(&self) -> Result<Option<Identity>, IdentityError> {
        let Some(text) = self.read_own()? else { return Ok(None) };
        let stored: Option<Stored> = serde_json::from_str(&text).ok();
        let read = stored.as_ref().and_then(|stored| {
            let gateway = stored.gateway_id.parse().ok()?;
            Some(Identity { gateway, credential: Bearer::new(&stored.credential)? })
        });
        let (Some(stored), Some(identity)) = (stored, read) else {
            tracing::warn!(path = %self.path.display(), "the credential is spoiled; it is set aside");
            let _ = durable::set_aside(&self.path);
            return Ok(None);
        };
        let ours = stored.control_plane == self.control_plane
            && stored.fleet == self.fleet.as_str()
            && stored.name == self.name.as_str();
        Ok(ours.then_some(identity))
    }

    /// The file that this gateway itself wrote: never through a link, nor what somebody else put there.
    fn read_own(&self) -> Result<Option<String>, IdentityError> {
        let failed = |error| IdentityError::File { path: self.path.clone(), error };
        let found = match fs::symlink_metadata(&self.path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        if !found.is_file() {
            return Err(IdentityError::NotAFile(self.path.clone()));
        }
        let here = nix::unistd::geteuid().as_raw();
        if found.uid() != here {
            return Err(IdentityError::Foreign { path: self.path.clone(), owner: found.uid(), here });
        }
        read_private(&self.path)
    }

    /// Makes this host the gateway (fleet, name), and keeps the credential for later starts.
    pub(super) async fn enroll(
        &self,
        channel: Channel,
        token: &TokenFile,
        labels: &Labels,
    ) -> Result<Identity, EnrollError> {
        let mut request = token.read()?.sign(v1::EnrollRequest {
            fleet: self.fleet.to_string(),
            name: self.name.to_string(),
            labels: labels.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        });
        request.set_timeout(ENROLL_TIMEOUT);
        let answer = GatewayServiceClient::new(channel)
            .enroll(request)
            .await
            .map_err(|status| EnrollError::Refused(Box::new(status)))?
            .into_inner();
        let gateway = answer.gateway_id.parse().map_err(|error| EnrollError::Answer(format!("{error}")))?;
        let credential = Bearer::new(&answer.credential)
            .ok_or_else(|| EnrollError::Answer("its credential is not a token".to_owned()))?;
        self.keep(&answer)?;
        tracing::info!(gateway = %gateway, path = %format!("{}/{}", self.fleet, self.name), "enrolled");
        Ok(Identity { gateway, credential })
    }

    fn keep(&self, answer: &v1::EnrollResponse) -> Result<(), IdentityError> {
        let stored = Stored {
            control_plane: self.control_plane.clone(),
            fleet: self.fleet.to_string(),
            name: self.name.to_string(),
            gateway_id: answer.gateway_id.clone(),
            credential: answer.credential.clone(),
        };
        serde_json::to_vec(&stored)
            .map_err(io::Error::from)
            .and_then(|text| durable::write(&self.path, &text))
            .map_err(|error| IdentityError::File { path: self.path.clone(), error })
    }
}

// === impl EnrollError ===

impl EnrollError {
    /// The exit code of a refusal that asking again does not change; `None`: it may.
    pub fn final_exit_code(&self) -> Option<u8> {
        match self {
            Self::Identity(IdentityError::File { .. }) => Some(1),
            Self::Identity(_) => Some(4),
            Self::Refused(status) => match status.code() {
                Code::Unauthenticated | Code::PermissionDenied => Some(4),
                Code::NotFound => Some(3),
                Code::InvalidArgument => Some(2),
                // The name is another gateway's, which lives.
                Code::FailedPrecondition => Some(6),
                _ => None,
            },
            Self::Answer(_) => None,
        }
    }

    /// Nobody answered, or the one who did could not ask its database: that passes by itself.
    pub fn is_for_want_of_an_answer(&self) -> bool {
        matches!(self, Self::Refused(status)
            if matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded))
    }
}

/// A text file that only its owner may read; `None` when it is not there.
fn read_private(path: &Path) -> Result<Option<String>, IdentityError> {
    let failed = |error| IdentityError::File { path: path.to_owned(), error };
    let file = match durable::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(IdentityError::Mode { path: path.to_owned(), mode });
    }
    let bytes = durable::read_open(&file, LARGEST).map_err(failed)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// What the control plane said, and what to do about it.
fn refusal(status: &Status) -> String {
    let said = match status.message() {
        "" => format!("{:?}", status.code()),
        message => message.to_owned(),
    };
    let advice = match status.code() {
        Code::Unauthenticated | Code::PermissionDenied => {
            "; name the operator.token of that control plane with KT_TOKEN_FILE"
        }
        Code::NotFound => "; create it with `kt fleet create`, or name another one with --fleet",
        Code::FailedPrecondition => "; stop the gateway that has this name, or choose another --name",
        _ => "",
    };
    format!("{said}{advice}")
}
