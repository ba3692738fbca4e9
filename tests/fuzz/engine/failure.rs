//! What went wrong, with all that is needed to see it again.

use std::fmt;
use std::path::PathBuf;

use super::corpus;

/// In which way an input was not answered as it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Panic,
    Property,
    Slow,
    Stall,
    /// No input broke anything, but the run met too little to mean it.
    Hole,
}

/// The first input that was not answered as it must be.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    pub(crate) what: String,
    pub(crate) input: Vec<u8>,
    pub(crate) seed: u64,
    pub(crate) iteration: u64,
}

/// Of an input, this much is shown.
const SHOWN: usize = 400;

// === impl Failure ===

impl Failure {
    /// For the test's own output; the input goes into a file.
    pub(crate) fn told(&self, target: &str) -> String {
        let Self { kind, what, input, seed, iteration } = self;
        let mut told = format!("fuzz {target}: {kind}: {what}\nseed {seed}, input {iteration}");
        if *kind == Kind::Hole {
            return told;
        }
        let shown = input.get(..SHOWN).unwrap_or(input).escape_ascii();
        let kept = corpus::directory(target);
        told += &format!(", {} bytes: {shown}", input.len());
        match keep(target, *seed, *iteration, input) {
            Ok(path) => {
                let path = path.display();
                told += &format!(
                    "\nKT_FUZZ_INPUT={path} cargo test --workspace --test fuzz {target}\nruns it alone. Once \
                     understood it belongs in {}/regression-….",
                    kept.display()
                );
            }
            Err(error) => told += &format!("\nit could not be kept in a file: {error}"),
        }
        told
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Panic => "it panicked",
            Self::Property => "a property is broken",
            Self::Slow => "it is too slow",
            Self::Stall => "it does not come back",
            Self::Hole => "the run met too little",
        })
    }
}

/// The directory of a target's failing inputs; the build's own, so that nothing is left behind elsewhere.
pub(crate) fn directory(target: &str) -> std::io::Result<PathBuf> {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("fuzz").join(target);
    std::fs::create_dir_all(&directory)?;
    Ok(directory)
}

fn keep(target: &str, seed: u64, iteration: u64, input: &[u8]) -> std::io::Result<PathBuf> {
    let path = directory(target)?.join(format!("seed-{seed}-input-{iteration}"));
    std::fs::write(&path, input)?;
    Ok(path)
}
