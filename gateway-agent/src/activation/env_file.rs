//! `--env-file`: `NAME=VALUE` lines with provider keys, read anew at each activation.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use instance::durable;

/// What the file says. Its values are secrets: they are never printed.
#[derive(Default)]
pub struct EnvFile(BTreeMap<String, String>);

/// Why the file cannot be used. Never holds a value.
#[derive(Debug, thiserror::Error)]
pub enum EnvFileError {
    #[error("there is no `{}`", .0.display())]
    Missing(PathBuf),
    #[error("`{}` has mode {mode:04o} and would show its keys to others; run `chmod 600 {}`", path.display(), path.display())]
    Mode { path: PathBuf, mode: u32 },
    #[error("`{}` cannot be read: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("`{}` line {line}: {problem}", path.display())]
    Line { path: PathBuf, line: usize, problem: &'static str },
}

const LARGEST: u64 = 256 * 1024;

// === impl EnvFileError ===

impl EnvFileError {
    /// What to do with the file.
    pub fn help(&self) -> String {
        match self {
            Self::Missing(path) => {
                format!("put `{}` there with mode 600, or start without --env-file", path.display())
            }
            Self::Mode { path, .. } => format!("run `chmod 600 {}`", path.display()),
            Self::Unreadable { path, .. } => {
                format!("make `{}` a regular file that the gateway's user may read", path.display())
            }
            Self::Line { path, line, .. } => {
                format!("write line {line} of `{}` as NAME=VALUE", path.display())
            }
        }
    }
}

// === impl EnvFile ===

impl EnvFile {
    /// # Errors
    /// It is missing, its mode is not 0600, or a line is not `NAME=VALUE`.
    pub fn read(path: &Path) -> Result<Self, EnvFileError> {
        let unreadable = |error| EnvFileError::Unreadable { path: path.to_owned(), error };
        let file = durable::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => EnvFileError::Missing(path.to_owned()),
            _ => unreadable(error),
        })?;
        let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o7777;
        if mode != 0o600 {
            return Err(EnvFileError::Mode { path: path.to_owned(), mode });
        }
        let bytes = durable::read_open(&file, LARGEST).map_err(unreadable)?;
        let bad = |line, problem| EnvFileError::Line { path: path.to_owned(), line, problem };
        let text = String::from_utf8(bytes).map_err(|_| bad(1, "the file is not UTF-8"))?;
        let mut pairs = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let line = line.strip_prefix("export ").unwrap_or(line);
            let (name, value) = line
                .split_once('=')
                .map(|(name, value)| (name.trim(), value.trim()))
                .filter(|(name, _)| is_name(name))
                .ok_or_else(|| {
                    bad(index + 1, "a line is NAME=VALUE, with a name of letters, digits and _")
                })?;
            let value = unquote(value).ok_or_else(|| bad(index + 1, "a quote is not closed"))?;
            // As in a shell, the last one counts.
            pairs.insert(name.to_owned(), value.to_owned());
        }
        Ok(Self(pairs))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl fmt::Debug for EnvFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A value in single or double quotes is what stands between them; nothing is expanded.
fn unquote(value: &str) -> Option<&str> {
    for quote in ['"', '\''] {
        if let Some(opened) = value.strip_prefix(quote) {
            return opened.strip_suffix(quote);
        }
    }
    Some(value)
}
