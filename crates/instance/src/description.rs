//! `instance.json`: what a gateway was installed as, or what a `run` without an installation said of itself.

use std::io;
use std::path::{Path, PathBuf};

use policy_config::ConfigDigest;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::documents::Source;
use crate::{Place, durable};

/// The flags of one gateway, kept as they were typed but for paths, which are absolute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    pub name: String,
    pub source: Source,
    /// `IP:PORT`.
    pub listen: String,
    pub working_dir: PathBuf,
    /// What SIGHUP reads again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_config: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_plane: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<String>,
    /// `KEY=VALUE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_file: Option<PathBuf>,
    /// Globs; empty: the default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secret_env: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision_log: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics_listen: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_body: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_in_flight: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<String>,
    /// `None`: nobody installed it, it describes a `run`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installed: Option<Installed>,
}

/// An installation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Installed {
    #[serde(with = "crate::text::time")]
    pub at: OffsetDateTime,
    /// Of a gateway that runs from a file: the pack that its first start activates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pack: Option<InstalledPack>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstalledPack {
    pub version: String,
    #[serde(with = "crate::text::shown")]
    pub digest: ConfigDigest,
}

/// Larger than any that is written.
const LARGEST: u64 = 256 * 1024;

// === impl Description ===

impl Description {
    /// `None`: there is none.
    ///
    /// # Errors
    /// It is there and cannot be read, or it is not what its name says.
    pub fn read(place: &Place) -> io::Result<Option<Self>> {
        let bytes = match durable::read(&place.description(), LARGEST) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let found: Self = serde_json::from_slice(&bytes)?;
        if found.name == place.name() {
            Ok(Some(found))
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, "it is of another gateway"))
        }
    }

    /// # Errors
    /// The disk does not take it.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        durable::write(path, &text)
    }
}
