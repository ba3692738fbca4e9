//! The process environment as a value, so that a test brings its own: where state lives, where the
//! operator's token lies, and what a provider key's variable holds.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use nix::unistd::Uid;

use super::{SettingsError, invalid};
use crate::control::identity::TokenFile;

/// Answers what a variable holds.
#[derive(Clone)]
pub struct Environment(Lookup);

#[derive(Clone)]
enum Lookup {
    Process,
    Fixed(Arc<BTreeMap<String, OsString>>),
}

// === impl Environment ===

impl Environment {
    /// This process's own, asked anew each time.
    pub fn of_process() -> Self {
        Self(Lookup::Process)
    }

    /// Exactly these variables.
    pub fn fixed<K: Into<String>, V: Into<OsString>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let pairs = pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        Self(Lookup::Fixed(Arc::new(pairs)))
    }

    pub fn get(&self, name: &str) -> Option<OsString> {
        match &self.0 {
            Lookup::Process => std::env::var_os(name),
            Lookup::Fixed(pairs) => pairs.get(name).cloned(),
        }
    }

    /// A variable that is set, not empty, and UTF-8.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(|value| value.into_string().ok()).filter(|value| !value.is_empty())
    }

    /// `$KT_HOME`, else `$XDG_STATE_HOME/kt`, else `~/.local/state/kt`; as root without HOME `/var/lib/kt`.
    pub(super) fn state_home(&self) -> Result<PathBuf, SettingsError> {
        instance::place::state_home(|name| self.get(name), Uid::effective().is_root()).ok_or_else(|| {
            invalid("KT_HOME", "neither KT_HOME nor HOME is set; set KT_HOME to a directory of your own")
        })
    }

    /// `$KT_TOKEN_FILE`, else `operator.token` in the control plane's default data directory.
    pub(super) fn operator_token(&self) -> Result<TokenFile, SettingsError> {
        if let Some(named) = self.directory("KT_TOKEN_FILE") {
            return Ok(TokenFile::Named(named));
        }
        let data = if Uid::effective().is_root() {
            PathBuf::from("/var/lib")
        } else if let Some(data) = self.directory("XDG_DATA_HOME") {
            data
        } else if let Some(home) = self.directory("HOME") {
            home.join(".local/share")
        } else {
            return Err(invalid(
                "KT_TOKEN_FILE",
                "neither KT_TOKEN_FILE nor HOME is set; name the token's file",
            ));
        };
        Ok(TokenFile::Default(data.join("kt/control-plane/operator.token")))
    }

    fn directory(&self, name: &str) -> Option<PathBuf> {
        self.get(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment(…)")
    }
}
