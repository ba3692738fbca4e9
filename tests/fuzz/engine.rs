//! Feeds a target for a time: its corpus first, then what grammar and chance make of it. The same seed asks the
//! same questions in the same order; how far they go is a matter of time alone.

mod campaign;
mod corpus;
mod failure;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use fastrand::Rng;

pub(crate) use campaign::hunt;
pub(crate) use failure::{Failure, Kind};

/// One way into a program.
pub(crate) trait Target: Send + 'static {
    /// Also the name of its directory below `corpus/` and of its test.
    fn name(&self) -> &'static str;

    /// Inputs that code makes better than a file could hold them.
    fn seeds(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }

    /// Pieces of the input's language, to be dropped in anywhere.
    fn tokens(&self) -> &'static [&'static [u8]];

    /// An input by grammar: well formed for the most part.
    fn generate(&self, rng: &mut Rng) -> Vec<u8>;

    /// Holds the answer against every property. `Ok` says in a few words what kind of answer it was: an input
    /// with a kind not seen before is kept and grown from. `Err` is `property: what was seen`.
    fn check(&mut self, input: &[u8], watch: &mut Watch) -> Result<String, String>;

    /// Parts of kinds that the run must have met, or the net has a hole.
    fn must_meet(&self) -> &'static [&'static str];

    /// The most one timed call may take for 64 KiB in an optimised build on a free core.
    fn bound(&self) -> Duration {
        Duration::from_millis(50)
    }

    /// The largest input that is tried, in bytes.
    fn largest(&self) -> usize {
        64 * 1024
    }
}

/// Times the calls that are promised to be quick, apart from what the check itself costs.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    slowest: Duration,
}

/// How a target is fed.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) time: Duration,
    /// A call that has not come back after this long is taken for one that never will.
    pub(crate) patience: Duration,
    /// Try this one input and no other.
    pub(crate) only: Option<PathBuf>,
    /// Each input goes to a file before it is tried, for runs that die with their process.
    pub(crate) traced: bool,
}

const SECONDS: u64 = 4;
const SEED: u64 = 1;
/// Well over `bound` on a busy machine, well under a test's own limit.
const PATIENCE: Duration = Duration::from_secs(40);

/// Runs the target as a test: prints its figures, or panics with the failure.
pub(crate) fn run(target: impl Target) {
    let name = target.name();
    match hunt(target, &Plan::asked()) {
        Ok(figures) => {
            // to be timed alone
            let slowest = failure::directory(name).unwrap().join("slowest-input");
            std::fs::write(slowest, &figures.slowest_input).unwrap();
            println!("fuzz {name}: {figures}");
        }
        Err(failure) => panic!("{}", failure.told(name)),
    }
}

// === impl Plan ===

impl Plan {
    /// As the environment asks. The ordinary run begins at the same seed each time, so that it is no lottery;
    /// one for which time was asked begins anywhere.
    pub(crate) fn asked() -> Self {
        let seconds = asked("KT_FUZZ_SECONDS");
        let seed = asked("KT_FUZZ_SEED");
        Self {
            seed: seed.unwrap_or_else(|| if seconds.is_some() { fastrand::u64(..) } else { SEED }),
            time: Duration::from_secs(seconds.unwrap_or(SECONDS)),
            patience: PATIENCE,
            only: std::env::var_os("KT_FUZZ_INPUT").map(PathBuf::from),
            traced: seed.is_some(),
        }
    }
}

fn asked(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")))
}

// === impl Watch ===

impl Watch {
    pub(crate) fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let made = work();
        self.slowest = self.slowest.max(start.elapsed());
        made
    }

    pub(crate) fn slowest(&self) -> Duration {
        self.slowest
    }
}
