//! The programs that belong to `kt`, and PostgreSQL's: which are found, in which version.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::setting::{Settings, Source};
use super::{Check, Status};
use crate::programs::{VERSION, is_executable, locate};

/// Where distributions put the server, a directory for each major.
const POSTGRES_ROOTS: [&str; 2] = ["/usr/lib/postgresql", "/usr/local/lib/postgresql"];
const OLDEST_POSTGRES: u32 = 15;

/// One of the three of the archive.
pub(super) async fn ours(name: &'static str) -> Check {
    let tell = |status, message: String| Check::new(name, status, message);
    let together = "install the three programs from one archive";
    let Some(program) = locate(name) else {
        return tell(Status::Warning, "neither beside kt nor on PATH".to_owned()).with_hint(together);
    };
    let shown = program.display();
    match version(&program).await {
        Ok(text) => match text.strip_prefix(name).map(str::trim) {
            Some(VERSION) => tell(Status::Ok, format!("{VERSION} at `{shown}`")),
            Some(other) => {
                tell(Status::Problem, format!("`{shown}` is version {other}, and kt is {VERSION}"))
                    .with_hint(together)
            }
            None => tell(Status::Problem, format!("`{shown}` is another program")).with_hint(together),
        },
        Err(why) => tell(Status::Problem, format!("`{shown}` {why}")).with_hint(together),
    }
}

/// The server that a control plane without `DATABASE_URL` runs for itself.
pub(super) async fn postgres(settings: &Settings) -> Check {
    let tell = |status, message: String| Check::new("postgres", status, message);
    let named = settings.pg_bin.source != Source::Default;
    let trouble = if named { Status::Problem } else { Status::Warning };
    let Some(program) = find_postgres(settings.pg_bin.value.as_deref()) else {
        return match &settings.pg_bin.value {
            Some(bin) => {
                tell(Status::Problem, format!("KT_PG_BIN is `{}`, and no `postgres` is there", bin.display()))
                    .with_hint("correct it or unset it")
            }
            None => tell(Status::Skipped, "no PostgreSQL server is installed".to_owned())
                .with_hint("a control plane needs PostgreSQL 15 or newer, here or at DATABASE_URL"),
        };
    };
    let shown = program.display();
    match version(&program).await {
        Ok(text) => match major(&text) {
            Some(major) if major >= OLDEST_POSTGRES => tell(Status::Ok, format!("{text} at `{shown}`")),
            Some(_) => tell(trouble, format!("{text} at `{shown}` is older than {OLDEST_POSTGRES}"))
                .with_hint("point KT_PG_BIN at a newer one"),
            None => tell(trouble, format!("`{shown}` does not say its version")),
        },
        Err(why) => tell(trouble, format!("`{shown}` {why}")),
    }
}

/// As the control plane looks for it.
fn find_postgres(chosen: Option<&Path>) -> Option<PathBuf> {
    if let Some(chosen) = chosen {
        return Some(chosen.join("postgres")).filter(|program| is_executable(program));
    }
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut installed: Vec<(u32, PathBuf)> = POSTGRES_ROOTS
        .iter()
        .filter_map(|root| std::fs::read_dir(root).ok())
        .flat_map(|entries| entries.flatten())
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    installed.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
    let places = std::env::split_paths(&on_path).chain(installed.into_iter().map(|(_, bin)| bin));
    places.map(|place| place.join("postgres")).find(|program| is_executable(program))
}

/// `postgres (PostgreSQL) 17.2 (Debian …)`
fn major(text: &str) -> Option<u32> {
    let number = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The first line of what `--version` prints. The program ends with this future.
async fn version(program: &Path) -> Result<String, String> {
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| format!("cannot be run: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line: String = text.lines().next().unwrap_or_default().trim().chars().take(80).collect();
    if line.is_empty() { Err("does not say its version".to_owned()) } else { Ok(line) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_is_the_first_number() {
        assert_eq!(major("postgres (PostgreSQL) 17.2 (Debian 17.2-1.pgdg120+1)"), Some(17));
        assert_eq!(major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major("something else"), None);
    }
}
