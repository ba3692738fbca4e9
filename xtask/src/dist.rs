//! `dist`: one archive with the three release programs and what belongs to them, the same bytes for the same commit.

mod archive;
mod contents;

use std::fs;
use std::path::Path;

use crate::cargo::{cargo, root, succeed, target};
use crate::{Outcome, say};

/// What `kt` and `kt-gateway` may weigh, in bytes: a promise of the product.
const MOST_BYTES: u64 = 12_000_000;

pub(crate) fn build() -> Outcome {
    let programs = target().join("dist");
    build_programs()?;
    for program in contents::PROGRAMS {
        weigh(&programs.join(program), program)?;
    }
    let name = format!("kt-{}-{}", env!("CARGO_PKG_VERSION"), host()?);
    let plan = archive::Plan { name: &name, programs: &programs, into: &programs, time: archive::time() };
    let made = plan.make(&contents::list(&root())?)?;
    say(&format!("made {} ({} bytes)\nmade {}.sha256", made.display(), size(&made)?, made.display()));
    Ok(())
}

/// The three alone: with the whole workspace they would be built with the failpoints that the tests ask for.
fn build_programs() -> Outcome {
    let mut words: Vec<String> = ["build", "--profile", "dist", "--locked"].map(str::to_owned).into();
    for package in ["kt", "gateway-agent", "control-plane"] {
        words.extend(["--package".to_owned(), package.to_owned()]);
    }
    for program in contents::PROGRAMS {
        words.extend(["--bin".to_owned(), program.to_owned()]);
    }
    // Where this machine keeps its sources is nobody's business, and would make every machine's bytes its own.
    let remapped: Vec<String> =
        remaps().iter().map(|remap| format!("\"--remap-path-prefix={remap}\"")).collect();
    words.extend(["--config".to_owned(), format!("build.rustflags=[{}]", remapped.join(", "))]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    succeed(&mut cargo(&words))
}

fn remaps() -> Vec<String> {
    let home =
        std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")));
    let home = home.into_iter().map(|home| format!("{home}=/cargo"));
    home.chain([format!("{}=/kt", root().display())]).filter(|remap| !remap.contains(['"', '\\'])).collect()
}

fn weigh(file: &Path, program: &str) -> Outcome {
    let bytes = size(file)?;
    let content = fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    if holds(&content, &format!("{}/", root().display())) {
        return Err(format!("{program} tells where it was built; see `remaps` in xtask/src/dist.rs"));
    }
    say(&format!("{program}: {bytes} bytes"));
    if bytes > MOST_BYTES && program != "kt-control-plane" {
        return Err(format!("{program} has {bytes} bytes; it may have {MOST_BYTES}"));
    }
    Ok(())
}

fn holds(content: &[u8], text: &str) -> bool {
    content.windows(text.len()).any(|part| part == text.as_bytes())
}

fn size(file: &Path) -> Result<u64, String> {
    let metadata =
        fs::metadata(file).map_err(|error| format!("cannot look at {}: {error}", file.display()))?;
    Ok(metadata.len())
}

/// The target triple that cargo builds for unless told otherwise.
fn host() -> Result<String, String> {
    let output = crate::cargo::command("rustc").arg("-vV").output();
    let output = output.map_err(|error| format!("cannot run `rustc -vV`: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let triple = text.lines().find_map(|line| line.strip_prefix("host: "));
    triple.map(str::to_owned).ok_or_else(|| "`rustc -vV` names no host".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_program_was_built_is_seen_in_it() {
        assert!(holds(b"\0\0/home/me/kt/src/x.rs\0", "/home/me/kt/"));
        assert!(!holds(b"\0\0/kt/src/x.rs\0", "/home/me/kt/"));
        let here = format!("{}=/kt", root().display());
        assert!(remaps().contains(&here), "{here} is not in {:?}", remaps());
    }
}
