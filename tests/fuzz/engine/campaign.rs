//! One run of one target: a worker asks, a watcher sees to it that the answers come.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::{Failure, Kind, Plan, Target, Watch, corpus, failure};
use crate::mutate;

/// What a run that found nothing did.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    pub(crate) seed: u64,
    pub(crate) inputs: u64,
    pub(crate) bytes: u64,
    /// How many inputs were answered in each way.
    pub(crate) kinds: BTreeMap<String, u64>,
    /// The slowest timed call, and the size of its input.
    pub(crate) slowest: (Duration, usize),
    pub(crate) slowest_input: Vec<u8>,
    pub(crate) took: Duration,
}

/// What the worker is at, for the watcher.
type Current = Arc<Mutex<(Instant, u64, Vec<u8>)>>;

struct Campaign<T> {
    target: T,
    plan: Plan,
    rng: Rng,
    pool: Vec<Vec<u8>>,
    figures: Figures,
    current: Current,
    /// Bytes tried in small inputs and in large ones.
    small: u64,
    large: u64,
}

/// An unoptimised build is ten to thirty times slower and may share its core with a whole test run; the bound
/// then still tells quadratic work from linear work. As in policy-config's own hostile tests.
const SLACK: u32 = if cfg!(debug_assertions) { 40 } else { 4 };
const BLOCK: usize = 64 * 1024;
/// A small input has at most so many bytes, and only small ones are grown from.
const SMALL: usize = 4 * 1024;
const POOL: usize = 4_000;
/// However slow the machine, a run has at least so many inputs, or it says nothing.
const LEAST: u64 = 300;
/// Of an answer's kind, so much is told apart.
const KIND: usize = 200;
/// A worker thread of a gateway has no more, and a recursion that needs more must be found.
const STACK: usize = 2 * 1024 * 1024;
const SHRINKS: usize = 3_000;
const SHRINK_FOR: Duration = Duration::from_secs(5);

/// Feeds the target as planned: the figures, or the first failure, made smaller.
pub(crate) fn hunt<T: Target>(target: T, plan: &Plan) -> Result<Figures, Failure> {
    let current: Current = Arc::new(Mutex::new((Instant::now(), 0, Vec::new())));
    let mut campaign = Campaign {
        target,
        plan: plan.clone(),
        rng: Rng::with_seed(plan.seed),
        pool: Vec::new(),
        figures: Figures { seed: plan.seed, ..Figures::default() },
        current: Arc::clone(&current),
        small: 0,
        large: 0,
    };
    let (done, outcome) = channel();
    let worker = move || {
        let _ = done.send(campaign.run());
    };
    std::thread::Builder::new().name("fuzz".to_owned()).stack_size(STACK).spawn(worker).unwrap();
    loop {
        match outcome.recv_timeout(Duration::from_millis(200)) {
            Ok(outcome) => return outcome,
            Err(RecvTimeoutError::Disconnected) => panic!("the fuzzer itself panicked; see above"),
            Err(RecvTimeoutError::Timeout) => {
                let (since, iteration, input) = current.lock().unwrap().clone();
                if since.elapsed() > plan.patience {
                    let what = format!("no answer after {:?}", plan.patience);
                    return Err(Failure { kind: Kind::Stall, what, input, seed: plan.seed, iteration });
                }
            }
        }
    }
}

// === impl Campaign ===

impl<T: Target> Campaign<T> {
    fn run(&mut self) -> Result<Figures, Failure> {
        let start = Instant::now();
        if let Some(path) = self.plan.only.clone() {
            self.attempt(std::fs::read(&path).unwrap())?;
            return Ok(self.figures.clone());
        }
        for input in corpus::inputs(self.target.name()).into_iter().chain(self.target.seeds()) {
            self.pool.push(input.clone());
            self.attempt(input)?;
        }
        while start.elapsed() < self.plan.time || self.figures.inputs < LEAST {
            let input = self.next();
            self.attempt(input)?;
        }
        self.figures.took = start.elapsed();
        self.holes()?;
        Ok(self.figures.clone())
    }

    fn next(&mut self) -> Vec<u8> {
        // counted in bytes, not in time, so that a seed is the same run everywhere
        if self.large <= self.small {
            let from = self.pick();
            let made = mutate::blow_up(&mut self.rng, &from, self.target.tokens(), self.target.largest());
            self.large += made.len() as u64;
            return made;
        }
        let mut made = if self.pool.is_empty() || self.rng.bool() {
            self.target.generate(&mut self.rng)
        } else {
            self.pick()
        };
        if self.rng.u8(0..4) > 0 {
            let other = if self.pool.is_empty() { Vec::new() } else { self.pick() };
            mutate::mutate(&mut self.rng, &mut made, &other, self.target.tokens());
        }
        made.truncate(SMALL);
        self.small += made.len() as u64;
        made
    }

    /// The newest are picked more often: they went further than what they were made from.
    fn pick(&mut self) -> Vec<u8> {
        let newest = self.pool.len().saturating_sub(64);
        let from = if self.rng.bool() { newest } else { 0 };
        let mut picked = if self.pool.is_empty() {
            Vec::new()
        } else {
            self.pool[self.rng.usize(from..self.pool.len())].clone()
        };
        picked.truncate(SMALL);
        picked
    }

    fn attempt(&mut self, input: Vec<u8>) -> Result<(), Failure> {
        self.figures.inputs += 1;
        self.figures.bytes += input.len() as u64;
        let (iteration, seed) = (self.figures.inputs, self.plan.seed);
        *self.current.lock().unwrap() = (Instant::now(), iteration, input.clone());
        if self.plan.traced {
            let trace = failure::directory(self.target.name()).unwrap().join("last-input");
            std::fs::write(trace, &input).unwrap();
        }
        match self.ask(&input) {
            Ok((answer, slowest)) => {
                if slowest > self.figures.slowest.0 {
                    // a machine that was busy with something else is no figure
                    let again = self.ask(&input).map_or(slowest, |(_, again)| again).min(slowest);
                    if again > self.figures.slowest.0 {
                        self.figures.slowest = (again, input.len());
                        self.figures.slowest_input = input.clone();
                    }
                }
                let kind: String = answer.chars().take(KIND).collect();
                let count = self.figures.kinds.entry(kind).or_default();
                *count += 1;
                if *count == 1 && input.len() <= SMALL && self.pool.len() < POOL {
                    self.pool.push(input);
                }
                Ok(())
            }
            Err((kind, what)) => {
                let (input, what) = self.shrink(input, kind, what);
                Err(Failure { kind, what, input, seed, iteration })
            }
        }
    }

    fn ask(&mut self, input: &[u8]) -> Result<(String, Duration), (Kind, String)> {
        let mut watch = Watch::default();
        let asked = catch_unwind(AssertUnwindSafe(|| self.target.check(input, &mut watch)));
        let answer = match asked {
            Ok(Ok(answer)) => answer,
            Ok(Err(broken)) => return Err((Kind::Property, broken)),
            Err(panic) => return Err((Kind::Panic, said(panic.as_ref()))),
        };
        let parts = u32::try_from(input.len() / BLOCK + 1).unwrap_or(u32::MAX);
        let bound = self.target.bound() * parts * SLACK;
        // a machine may be busy with something else, but not each time
        let mut best = watch.slowest();
        for _ in 0..3 {
            if best < bound {
                return Ok((answer, best));
            }
            let mut watch = Watch::default();
            let _ = catch_unwind(AssertUnwindSafe(|| self.target.check(input, &mut watch)));
            best = best.min(watch.slowest());
        }
        if best < bound {
            return Ok((answer, best));
        }
        Err((Kind::Slow, format!("{best:?} for {} bytes; at most {bound:?} are granted", input.len())))
    }

    /// Leaves out what is not needed to fail in the same way.
    fn shrink(&mut self, input: Vec<u8>, kind: Kind, what: String) -> (Vec<u8>, String) {
        let (mut least, mut seen) = (input, what);
        if matches!(kind, Kind::Slow | Kind::Stall) {
            return (least, seen);
        }
        let (start, mut tries) = (Instant::now(), 0);
        loop {
            let before = least.len();
            let mut part = before / 2;
            while part > 0 {
                let mut at = 0;
                while at < least.len() {
                    if tries >= SHRINKS || start.elapsed() > SHRINK_FOR {
                        return (least, seen);
                    }
                    tries += 1;
                    let mut fewer = least.clone();
                    fewer.drain(at..(at + part).min(fewer.len()));
                    *self.current.lock().unwrap() = (Instant::now(), self.figures.inputs, fewer.clone());
                    match self.ask(&fewer) {
                        Err((again, what)) if again == kind && property(&what) == property(&seen) => {
                            (least, seen) = (fewer, what);
                        }
                        _ => at += part,
                    }
                }
                part /= 2;
            }
            if least.len() == before {
                return (least, seen);
            }
        }
    }

    fn holes(&self) -> Result<(), Failure> {
        let met = |part: &str| self.figures.kinds.keys().any(|kind| kind.contains(part));
        let missed: Vec<_> = self.target.must_meet().iter().filter(|part| !met(part)).collect();
        if missed.is_empty() {
            return Ok(());
        }
        Err(Failure {
            kind: Kind::Hole,
            what: format!("no answer of the kinds {missed:?}; {}", self.figures),
            input: Vec::new(),
            seed: self.plan.seed,
            iteration: self.figures.inputs,
        })
    }
}

// === impl Figures ===

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, inputs, bytes, kinds, slowest, took, .. } = self;
        write!(
            f,
            "seed {seed}: {inputs} inputs, {} KiB in {:.1} s; {} kinds of answers; slowest call {:.1} ms (input of {} bytes)",
            bytes / 1024,
            took.as_secs_f64(),
            kinds.len(),
            slowest.0.as_secs_f64() * 1e3,
            slowest.1
        )
    }
}

/// Which property it is that broke.
fn property(what: &str) -> &str {
    what.split(':').next().unwrap_or_default()
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words").to_owned()
}
