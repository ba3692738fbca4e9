//! `sqlx`: what the query macros know of the database, made afresh from the migrations on a throwaway server,
//! then put into `.sqlx/` or compared with it. Needs `psql`; not sqlx's own command line.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use crate::cargo::{cargo, command, programs, root, succeed, target};
use crate::{Outcome, postgres, say};

/// This program, called again by `with_postgres` with `DATABASE_URL` set.
pub(crate) const INSIDE: &str = "sqlx-with-database";
pub(crate) const CHECK: &str = "check";
const WRITE: &str = "write";

pub(crate) fn with_database(check: bool) -> Outcome {
    postgres::ensure()?;
    // Alone, because the workspace does not build while `.sqlx/` is out of date.
    succeed(&mut cargo(&["build", "--quiet", "--locked", "-p", "pg-private", "--bin", "with_postgres"]))?;
    let this = std::env::current_exe().map_err(|error| format!("cannot tell my own path: {error}"))?;
    let mode = if check { CHECK } else { WRITE };
    succeed(command(programs().join("with_postgres")).arg(this).args([INSIDE, mode]))
}

pub(crate) fn inside(check: bool) -> Outcome {
    let url = std::env::var("DATABASE_URL").map_err(|_| "DATABASE_URL is not set".to_owned())?;
    migrate(&url)?;
    let fresh = target().join("sqlx-fresh");
    remake(&fresh)?;
    describe_queries(&url, &fresh)?;
    let committed = root().join(".sqlx");
    let (made, kept) = (contents(&fresh)?, contents(&committed)?);
    if made == kept {
        say(&format!("`.sqlx/` is up to date ({} queries)", made.len()));
        return Ok(());
    }
    if check {
        return Err(format!(
            "`.sqlx/` is out of date; run `cargo xtask sqlx` and commit it\n{}",
            changes(&kept, &made).join("\n")
        ));
    }
    remake(&committed)?;
    for (name, text) in &made {
        let file = committed.join(name);
        fs::write(&file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    }
    say(&format!("`.sqlx/` now holds {} queries", made.len()));
    Ok(())
}

fn migrate(url: &str) -> Outcome {
    let psql = postgres::find("psql").ok_or("`psql` is not installed; apt-get install postgresql-client")?;
    let migrations = root().join("migrations");
    for name in contents(&migrations)?.keys().filter(|name| name.ends_with(".sql")) {
        let mut apply = command(&psql);
        apply.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction", "--file"]);
        succeed(apply.arg(migrations.join(name)).arg(url))?;
    }
    Ok(())
}

/// The macros write as they are compiled, so the crate with the queries has to be compiled now.
fn describe_queries(url: &str, into: &Path) -> Outcome {
    let crate_root = root().join("control-plane/src/lib.rs");
    let touched =
        fs::File::options().append(true).open(&crate_root).and_then(|file| file.set_modified(now()));
    touched.map_err(|error| format!("cannot touch {}: {error}", crate_root.display()))?;
    let began = Instant::now();
    let mut check = cargo(&["check", "--quiet", "--locked", "-p", "control-plane", "--all-targets"]);
    check.env("SQLX_OFFLINE", "false").env("SQLX_OFFLINE_DIR", into).env("DATABASE_URL", url);
    succeed(&mut check)?;
    say(&format!("described the queries in {:.0?}", began.elapsed()));
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a file's time is wall time; a build tool has no clock to hold still"
)]
fn now() -> std::time::SystemTime {
    std::time::SystemTime::now()
}

fn remake(directory: &Path) -> Outcome {
    let shown = directory.display();
    if directory.exists() {
        fs::remove_dir_all(directory).map_err(|error| format!("cannot remove {shown}: {error}"))?;
    }
    fs::create_dir_all(directory).map_err(|error| format!("cannot make {shown}: {error}"))
}

/// Names and texts of the files in a directory; nothing when it is absent.
fn contents(directory: &Path) -> Result<BTreeMap<String, String>, String> {
    let Ok(entries) = fs::read_dir(directory) else { return Ok(BTreeMap::new()) };
    let mut found = BTreeMap::new();
    for entry in entries.flatten().filter(|entry| entry.path().is_file()) {
        let text = fs::read_to_string(entry.path())
            .map_err(|error| format!("cannot read {}: {error}", entry.path().display()))?;
        found.insert(entry.file_name().to_string_lossy().into_owned(), text);
    }
    Ok(found)
}

fn changes(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<String> {
    let gone = old.keys().filter(|name| !new.contains_key(*name)).map(|name| format!("  gone     {name}"));
    let other = new.iter().filter_map(|(name, text)| match old.get(name) {
        None => Some(format!("  new      {name}")),
        Some(before) if before != text => Some(format!("  changed  {name}")),
        Some(_) => None,
    });
    gone.chain(other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_difference_is_told() {
        let map = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
                .collect::<BTreeMap<_, _>>()
        };
        let (old, new) =
            (map(&[("a", "1"), ("b", "1"), ("c", "1")]), map(&[("b", "2"), ("c", "1"), ("d", "1")]));
        assert_eq!(changes(&old, &new), ["  gone     a", "  changed  b", "  new      d"]);
        assert!(changes(&old, &old).is_empty());
    }
}
