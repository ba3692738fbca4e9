//! The official SDKs, from their registries, in a directory of their own below `target/`; then the suite that uses them.

use std::fs;

use crate::Outcome;
use crate::cargo::{build_all, command, programs, root, succeed, target};

/// Needs Python and Node with npm; what is missing is named.
pub(crate) fn test() -> Outcome {
    build_all()?;
    let place = target().join("sdks");
    let (python, node) = (place.join("python"), place.join("node"));
    fs::create_dir_all(&node).map_err(|error| format!("cannot make {}: {error}", node.display()))?;
    let pip = python.join("bin/pip");
    if !pip.is_file() {
        succeed(command("python3").args(["-m", "venv"]).arg(&python))?;
    }
    let wanted = root().join("tests/sdks");
    succeed(command(pip).args(["install", "--quiet", "--requirement"]).arg(wanted.join("requirements.txt")))?;
    let package = node.join("package.json");
    fs::copy(wanted.join("package.json"), &package)
        .map_err(|error| format!("cannot write {}: {error}", package.display()))?;
    succeed(command("npm").args(["install", "--no-audit", "--no-fund", "--silent", "--prefix"]).arg(&node))?;
    succeed(command(programs().join("sdks")).env("KT_SDKS", &place))
}
