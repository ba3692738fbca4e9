//! The settings that are in force, each with its source; what may be secret in them is left out.

use std::ffi::OsString;
use std::path::PathBuf;

use http::Uri;
use serde::Serialize;

use crate::settings::{DEFAULT_CONTROL_PLANE, default_token_file, state_dir, variable};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Source {
    Flag,
    Environment,
    Default,
}

/// A value and who chose it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen<T> {
    pub(super) value: T,
    pub(super) source: Source,
}

#[derive(Debug)]
pub(super) struct Settings {
    pub(super) home: Chosen<PathBuf>,
    pub(super) control_plane: Chosen<String>,
    pub(super) token_file: Chosen<PathBuf>,
    pub(super) pg_bin: Chosen<Option<PathBuf>>,
    /// As it is, so never shown.
    pub(super) database_url: Chosen<Option<OsString>>,
}

/// `{name, value, source}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct View {
    pub(super) name: &'static str,
    pub(super) value: Option<String>,
    pub(super) source: Source,
}

// === impl Source ===

impl Source {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::Default => "default",
        }
    }
}

// === impl Settings ===

impl Settings {
    pub(super) fn resolve(control_plane: Option<&str>) -> Self {
        let chosen = |name: &str, default: fn() -> PathBuf| match variable(name) {
            Some(value) => Chosen { value: PathBuf::from(value), source: Source::Environment },
            None => Chosen { value: default(), source: Source::Default },
        };
        let optional = |name: &str| {
            let value = variable(name);
            let source = if value.is_some() { Source::Environment } else { Source::Default };
            Chosen { value, source }
        };
        let control_plane = match (control_plane, variable("KT_CONTROL_PLANE")) {
            (Some(flag), _) => Chosen { value: flag.to_owned(), source: Source::Flag },
            (None, Some(set)) => {
                Chosen { value: set.to_string_lossy().into_owned(), source: Source::Environment }
            }
            (None, None) => Chosen { value: DEFAULT_CONTROL_PLANE.to_owned(), source: Source::Default },
        };
        let pg_bin = optional("KT_PG_BIN");
        Self {
            home: chosen("KT_HOME", state_dir),
            control_plane,
            token_file: chosen("KT_TOKEN_FILE", default_token_file),
            pg_bin: Chosen { value: pg_bin.value.map(PathBuf::from), source: pg_bin.source },
            database_url: optional("DATABASE_URL"),
        }
    }

    pub(super) fn views(&self) -> Vec<View> {
        let path = |path: &PathBuf| Some(path.display().to_string());
        let database = self.database_url.value.as_ref();
        vec![
            View { name: "KT_HOME", value: path(&self.home.value), source: self.home.source },
            View {
                name: "KT_CONTROL_PLANE",
                value: Some(shown_url(&self.control_plane.value)),
                source: self.control_plane.source,
            },
            View {
                name: "KT_TOKEN_FILE",
                value: path(&self.token_file.value),
                source: self.token_file.source,
            },
            View {
                name: "KT_PG_BIN",
                value: self.pg_bin.value.as_ref().and_then(path),
                source: self.pg_bin.source,
            },
            View {
                name: "DATABASE_URL",
                value: database.map(|url| shown_database(&url.to_string_lossy())),
                source: self.database_url.source,
            },
        ]
    }
}

/// A URL that may hold a password where it holds none.
fn shown_url(url: &str) -> String {
    if url.contains('@') {
        "(not shown: it holds a user name or password)".to_owned()
    } else {
        url.to_owned()
    }
}

/// Scheme, host, port and database of a URL of PostgreSQL; a password may stand in all the rest.
pub(super) fn shown_database(url: &str) -> String {
    const HIDDEN: &str = "(set, and not shown: it reads as no URL with a host)";
    let Some(uri) = database_uri(url) else { return HIDDEN.to_owned() };
    let Some(host) = uri.host() else { return HIDDEN.to_owned() };
    let port = uri.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    format!("postgres://{host}{port}{}", uri.path())
}

/// `None` for what is no URL of PostgreSQL with a host, such as one with a socket's directory in its query.
pub(super) fn database_uri(url: &str) -> Option<Uri> {
    let uri: Uri = url.parse().ok()?;
    let is_postgres = matches!(uri.scheme_str(), Some("postgres" | "postgresql"));
    // what is more than a host is a password in the wrong place
    let is_host = |host: &str| !host.is_empty() && !host.contains('%');
    // one `@` ends the user; another one, or one in the path, is part of a password that should have been escaped
    let in_authority = uri.authority().map_or(0, |authority| authority.as_str().matches('@').count());
    let escaped = in_authority <= 1 && in_authority == url.matches('@').count();
    (is_postgres && uri.host().is_some_and(is_host) && escaped).then_some(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_database_nothing_secret_is_shown() {
        for (url, shown) in [
            (
                "postgres://kt:hunter2@db.example:5433/fleet?sslmode=require",
                "postgres://db.example:5433/fleet",
            ),
            ("postgresql://db/fleet?password=hunter2&user=kt", "postgres://db/fleet"),
            ("postgres://hunter2@db", "postgres://db/"),
            ("host=db password=hunter2", "(set"),
            ("postgres://kt:hun@ter2@db/fleet", "(set"),
            ("postgres://kt:hun/ter2@db/fleet", "(set"),
            ("postgres://kt/hunter2@db/fleet", "(set"),
            ("postgres:///fleet?host=/run/hunter2", "(set"),
            ("postgres://%2Frun%2Fhunter2/fleet", "(set"),
            ("hunter2", "(set"),
            ("mysql://kt:hunter2@db/x", "(set"),
        ] {
            let told = shown_database(url);
            assert!(told.starts_with(shown) && !told.contains("hunter2"), "{url}: {told}");
            assert!(!told.contains("ter2"), "{url}: {told}");
        }
        assert_eq!(shown_url("http://me:hunter2@h").find("hunter2"), None);
    }
}
