//! `demo`, `test` and `bench`: set up, build in the one shape, run.

use std::os::unix::process::CommandExt;
use std::process::Stdio;

use crate::cargo::{build_all, cargo, command, programs, show, succeed, target};
use crate::{Outcome, packages, postgres};

/// The demo takes this process's place, so ^C is its alone.
pub(crate) fn demo(arguments: &[&str]) -> Outcome {
    postgres::ensure()?;
    build_all()?;
    let mut demo = command(programs().join("demo"));
    demo.args(arguments);
    let error = demo.exec();
    Err(format!("cannot run `{}`: {error}", show(&demo)))
}

/// Suites of the workspace, then the examples in its documentation.
pub(crate) fn test() -> Outcome {
    postgres::ensure()?;
    packages::wish_for("strace", "strace");
    build_all()?;
    succeed(&mut cargo(&["test", "--workspace", "--locked", "--doc"]))?;
    // The suites come last: their summary is what the caller reads.
    if has_nextest() {
        succeed(&mut cargo(&["nextest", "run", "--workspace", "--all-targets", "--locked"]))
    } else {
        succeed(&mut cargo(&["test", "--workspace", "--all-targets", "--locked", "--no-fail-fast"]))
    }
}

/// What is measured is what is shipped: the profile of `dist`. It is built for this alone, so nothing is gained by building
/// all of it.
pub(crate) fn bench(arguments: &[&str]) -> Outcome {
    let programs = ["-p", "bench", "-p", "kt", "-p", "gateway-agent"];
    succeed(cargo(&["build", "--profile", "dist", "--locked"]).args(programs))?;
    succeed(command(target().join("dist/kt-bench")).args(arguments))
}

/// It is used when it is there and never installed: that takes longer than the tests.
fn has_nextest() -> bool {
    let mut version = cargo(&["nextest", "--version"]);
    version.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
