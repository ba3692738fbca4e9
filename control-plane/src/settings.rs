//! Validated settings; an error names the flag and says what to write instead.

use std::ffi::OsStr;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::args::{Args, Environment};

/// All that a control plane needs to know before it binds.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Made when absent.
    pub data_dir: PathBuf,
    /// Port 0 takes any free port.
    pub listen: SocketAddr,
    pub metrics_listen: SocketAddr,
    pub database: Database,
    pub timings: Timings,
}

/// Where the data is.
#[derive(Debug, Clone)]
pub enum Database {
    /// A Postgres of the installed binaries, in the data directory.
    Private,
    /// Somebody else's Postgres.
    Url(DatabaseUrl),
    /// As `Url`, on a server that may lose data at a crash (fsync off): its data is worth nothing, as a test's.
    Disposable(DatabaseUrl),
}

/// May hold a password, so it is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

/// How long things take; the defaults are the product's, tests shorten them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timings {
    /// How often an agent says that it is there.
    pub heartbeat: Duration,
    /// From an offer's sending until silence counts as an answer.
    pub offer_deadline: Duration,
    /// How long a new stream may stay silent before its Hello.
    pub hello: Duration,
    /// How long an agent's stream lives before it is asked to come again, give or take a tenth.
    pub stream_age: Duration,
    /// How long a connection may take to begin as HTTP/2 does.
    pub handshake: Duration,
    /// How long a connection may be without a call that carries a valid credential.
    pub stranger: Duration,
    /// How long a connection of a known caller may be without a call.
    pub idle: Duration,
    /// How long an answer may be left unread.
    pub unread: Duration,
    /// How long open streams get to end before the servers stop anyway.
    pub drain: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("{flag}: `{value}` is no address to listen on; write an IP address and a port, as {example}")]
    Address { flag: &'static str, value: String, example: &'static str },
    #[error(
        "{flag}: {address} is not a loopback address, and this control plane speaks plain text; \
         listen on 127.0.0.1 or [::1]"
    )]
    OffLoopback { flag: &'static str, address: SocketAddr },
    #[error("--metrics-listen: {0} is the address of --listen; choose another port")]
    SameAddress(SocketAddr),
    #[error("DATABASE_URL: {0}; write postgres://USER:PASSWORD@HOST:PORT/DATABASE, or unset it")]
    DatabaseUrl(&'static str),
    #[error("KT_ALLOW_UNSAFE_DATABASE: write 1 to lose confirmed versions at a crash, or unset it")]
    AllowUnsafe,
    #[error("--data-dir: neither XDG_DATA_HOME nor HOME is set, so there is no default; name a directory")]
    NoDataDir,
    #[error("--data-dir: the name is empty; name a directory")]
    EmptyDataDir,
}

// === impl Settings ===

impl Settings {
    /// Validates what was typed. `as_root` chooses the default data directory.
    ///
    /// # Errors
    /// The first flag or variable that is wrong.
    pub fn new(args: &Args, environment: &Environment, as_root: bool) -> Result<Self, SettingsError> {
        let listen = loopback("--listen", &args.listen, "127.0.0.1:7443")?;
        let metrics_listen = loopback("--metrics-listen", &args.metrics_listen, "127.0.0.1:7490")?;
        if listen == metrics_listen && listen.port() != 0 {
            return Err(SettingsError::SameAddress(listen));
        }
        let database = match &environment.database_url {
            None => Database::Private,
            Some(url) => {
                let url = DatabaseUrl::new(url)?;
                match environment.allow_unsafe_database.as_ref().map(|value| value == "1") {
                    None => Database::Url(url),
                    Some(true) => Database::Disposable(url),
                    Some(false) => return Err(SettingsError::AllowUnsafe),
                }
            }
        };
        let data_dir = match &args.data_dir {
            Some(dir) if dir.as_os_str().is_empty() => return Err(SettingsError::EmptyDataDir),
            Some(dir) => dir.clone(),
            None => default_data_dir(environment, as_root).ok_or(SettingsError::NoDataDir)?,
        };
        Ok(Self { data_dir, listen, metrics_listen, database, timings: Timings::default() })
    }
}

// === impl DatabaseUrl ===

impl DatabaseUrl {
    /// # Errors
    /// It is not UTF-8, or of another scheme than Postgres.
    pub fn new(text: &OsStr) -> Result<Self, SettingsError> {
        let text = text.to_str().ok_or(SettingsError::DatabaseUrl("it is not UTF-8"))?;
        let known = text.starts_with("postgres://") || text.starts_with("postgresql://");
        if known {
            Ok(Self(text.to_owned()))
        } else {
            Err(SettingsError::DatabaseUrl("it names no Postgres"))
        }
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}

// === impl Timings ===

impl Default for Timings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(5),
            offer_deadline: Duration::from_secs(30),
            hello: Duration::from_secs(10),
            stream_age: Duration::from_secs(3_600),
            handshake: Duration::from_secs(5),
            stranger: Duration::from_secs(30),
            idle: Duration::from_secs(120),
            unread: Duration::from_secs(60),
            drain: Duration::from_secs(5),
        }
    }
}

fn loopback(flag: &'static str, value: &str, example: &'static str) -> Result<SocketAddr, SettingsError> {
    let address = parse_address(value).ok_or_else(|| SettingsError::Address {
        flag,
        value: value.chars().take(200).flat_map(char::escape_debug).collect(),
        example,
    })?;
    if address.ip().is_loopback() { Ok(address) } else { Err(SettingsError::OffLoopback { flag, address }) }
}

/// `localhost` is taken for 127.0.0.1: resolving it could name another address tomorrow.
fn parse_address(value: &str) -> Option<SocketAddr> {
    if let Some(port) = value.strip_prefix("localhost:") {
        return Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port.parse().ok()?));
    }
    value.parse().ok()
}

fn default_data_dir(environment: &Environment, as_root: bool) -> Option<PathBuf> {
    if as_root {
        return Some(PathBuf::from("/var/lib/kt/control-plane"));
    }
    // The XDG specification tells to ignore a relative path.
    let xdg = environment.xdg_data_home.as_ref().map(Path::new).filter(|path| path.is_absolute());
    let home = || environment.home.as_ref().map(|home| Path::new(home).join(".local/share"));
    Some(xdg.map(Path::to_path_buf).or_else(home)?.join("kt/control-plane"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn settings(flags: &[&str], environment: &Environment, as_root: bool) -> Result<Settings, SettingsError> {
        let args = Args::try_parse_from(std::iter::once(&"kt-control-plane").chain(flags)).unwrap();
        Settings::new(&args, environment, as_root)
    }

    #[test]
    fn the_default_directory_follows_the_user() {
        let environment = Environment { home: Some("/home/ann".into()), ..Environment::default() };
        let dir = |environment: &Environment, as_root| {
            settings(&[], environment, as_root).map(|settings| settings.data_dir.display().to_string())
        };
        assert_eq!(dir(&environment, true), Ok("/var/lib/kt/control-plane".into()));
        assert_eq!(dir(&environment, false), Ok("/home/ann/.local/share/kt/control-plane".into()));
        let xdg = Environment { xdg_data_home: Some("/data".into()), ..environment.clone() };
        assert_eq!(dir(&xdg, false), Ok("/data/kt/control-plane".into()));
        let relative = Environment { xdg_data_home: Some("data".into()), ..environment };
        assert_eq!(dir(&relative, false), Ok("/home/ann/.local/share/kt/control-plane".into()));
        assert_eq!(dir(&Environment::default(), false), Err(SettingsError::NoDataDir));
    }

    #[test]
    fn only_loopback_addresses_are_listened_on() {
        let listen =
            |value: &str| settings(&["--data-dir", "/d", "--listen", value], &Environment::default(), true);
        for good in ["127.0.0.1:7443", "127.8.8.8:0", "[::1]:7443", "localhost:7443"] {
            assert!(listen(good).is_ok(), "{good}");
        }
        for bad in ["0.0.0.0", ":99999", "host:abc", "[::1", "127.0.0.1", "", "127.0.0.1:70000"] {
            assert!(matches!(listen(bad), Err(SettingsError::Address { flag: "--listen", .. })), "{bad}");
        }
        for far in ["0.0.0.0:7443", "[::]:7443", "10.0.0.1:7443"] {
            assert!(matches!(listen(far), Err(SettingsError::OffLoopback { flag: "--listen", .. })), "{far}");
        }
        assert!(matches!(listen("127.0.0.1:7490"), Err(SettingsError::SameAddress(_))));
    }

    #[test]
    fn a_database_url_is_postgres_and_never_shown() {
        let with = |url: &str| {
            let environment = Environment { database_url: Some(url.into()), ..Environment::default() };
            settings(&["--data-dir", "/d"], &environment, true)
        };
        let settings = with("postgres://kt:hunter2@db/kt").unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"));
        for bad in ["mysql://x:hunter2@y/z", "hunter2"] {
            let error = with(bad).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
