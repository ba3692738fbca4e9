//! Named places where a test makes a real program die, stall or fail: `KT_FAILPOINTS="place=action;place=action"`,
//! or `KT_FAILPOINTS=@FILE`, a file of the same that is read again at every place, so that a program need not start
//! anew for the next case.
//!
//! They are there in a build with debug assertions and the feature `failpoints`, which nothing but the tests asks
//! for; elsewhere every call is nothing. An action is `return(abort)`, `return(error)` or `return(delay:MS)`, and may
//! be counted: `2*off->1*return(abort)` strikes the third time only. What strikes is logged, so that a test can
//! count what really happened.

use std::time::Duration;

/// The variable that arms them.
pub const VARIABLE: &str = "KT_FAILPOINTS";

/// A step that a test made fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a test made this step fail")]
pub struct Injected;

/// What a place was told to do, dying aside.
enum Action {
    Fail,
    Delay(Duration),
}

const ENABLED: bool = cfg!(all(debug_assertions, feature = "failpoints"));

/// Arms what the variable says, once, at the start of a program.
///
/// # Errors
/// What is wrong with its text.
pub fn arm(told: Option<&str>) -> Result<(), String> {
    let Some(told) = told.filter(|told| ENABLED && !told.is_empty()) else { return Ok(()) };
    tracing::warn!(told, "failpoints are armed");
    match told.strip_prefix('@') {
        Some(file) => {
            places::follow(file.into());
            Ok(())
        }
        None => places::configure(told).map_err(|problem| format!("{VARIABLE}: {problem}")),
    }
}

/// Passes a place of asynchronous code.
///
/// # Errors
/// A test says so.
pub async fn pass(place: &str) -> Result<(), Injected> {
    pass_in("", place).await
}

/// As [`pass()`], for a place in what many callers share: the caller's name stands before the place's.
///
/// # Errors
/// A test says so.
pub async fn pass_in(caller: &str, place: &str) -> Result<(), Injected> {
    match strike(caller, place) {
        None => Ok(()),
        Some(Action::Fail) => Err(Injected),
        Some(Action::Delay(delay)) => {
            tokio::time::sleep(delay).await;
            Ok(())
        }
    }
}

/// Passes a place on a thread that may block.
///
/// # Errors
/// A test says so.
pub fn pass_blocking(place: &str) -> Result<(), Injected> {
    match strike("", place) {
        None => Ok(()),
        Some(Action::Fail) => Err(Injected),
        Some(Action::Delay(delay)) => {
            let began = std::time::Instant::now();
            while let Some(left) = delay.checked_sub(began.elapsed()) {
                std::thread::park_timeout(left);
            }
            Ok(())
        }
    }
}

// === impl Injected ===

impl From<Injected> for std::io::Error {
    fn from(injected: Injected) -> Self {
        Self::other(injected)
    }
}

fn strike(caller: &str, place: &str) -> Option<Action> {
    if !ENABLED {
        return None;
    }
    let name = if caller.is_empty() { place.to_owned() } else { format!("{caller}.{place}") };
    let told = places::evaluate(&name)?;
    tracing::warn!(failpoint = name, action = told, "failpoint struck");
    match told.as_str() {
        "error" => Some(Action::Fail),
        "abort" => {
            crate::telemetry::say_before_the_worst();
            std::process::abort()
        }
        other => Some(Action::Delay(Duration::from_millis(other.strip_prefix("delay:")?.parse().ok()?))),
    }
}

#[cfg(feature = "failpoints")]
mod places {
    use std::path::PathBuf;
    use std::sync::{Mutex, PoisonError};

    /// The file that is followed, and what it said last.
    static FOLLOWED: Mutex<Option<(PathBuf, String)>> = Mutex::new(None);

    pub(super) fn follow(file: PathBuf) {
        *FOLLOWED.lock().unwrap_or_else(PoisonError::into_inner) = Some((file, String::new()));
    }

    /// These places and no others.
    pub(super) fn configure(told: &str) -> Result<(), String> {
        for (name, _) in fail::list() {
            fail::remove(name);
        }
        for point in told.split([';', '\n']).map(str::trim).filter(|point| !point.is_empty()) {
            let (place, actions) =
                point.split_once('=').ok_or_else(|| format!("`{point}` is no place=action"))?;
            fail::cfg(place.trim(), actions.trim())?;
        }
        Ok(())
    }

    pub(super) fn evaluate(name: &str) -> Option<String> {
        look_again();
        fail::fail_point!(name, |told| told);
        None
    }

    fn look_again() {
        let mut followed = FOLLOWED.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((file, said)) = followed.as_mut() else { return };
        let says = std::fs::read_to_string(file).unwrap_or_default();
        if says != *said {
            if let Err(problem) = configure(&says) {
                tracing::error!(problem, "failpoints cannot be armed");
            }
            *said = says;
        }
    }
}

#[cfg(not(feature = "failpoints"))]
mod places {
    pub(super) fn follow(_: std::path::PathBuf) {}

    pub(super) fn configure(_: &str) -> Result<(), String> {
        Ok(())
    }

    pub(super) fn evaluate(_: &str) -> Option<String> {
        None
    }
}

#[cfg(all(test, feature = "failpoints"))]
mod tests {
    use super::*;

    /// One test: what is armed is the whole process's.
    #[tokio::test(start_paused = true)]
    async fn a_place_does_what_it_is_told_as_often_as_it_is_told() {
        assert_eq!(pass("unit.quiet").await, Ok(()));
        arm(Some("unit.one=1*off->1*return(error); a.unit.two=1*return(delay:60000)")).unwrap();
        assert_eq!(pass("unit.one").await, Ok(()));
        assert_eq!(pass("unit.one").await, Err(Injected));
        assert_eq!(pass("unit.one").await, Ok(()));
        let began = tokio::time::Instant::now();
        assert_eq!(pass_in("a", "unit.two").await, Ok(()));
        assert_eq!(began.elapsed(), Duration::from_secs(60));
        for wrong in ["unit.one", "unit.one=explode"] {
            assert!(arm(Some(wrong)).is_err(), "{wrong}");
        }

        let file = std::env::temp_dir().join(format!("kt-failpoint-{}", std::process::id()));
        std::fs::write(&file, "unit.one=return(error)").unwrap();
        arm(Some(&format!("@{}", file.display()))).unwrap();
        assert_eq!(pass_blocking("unit.one"), Err(Injected));
        std::fs::write(&file, "").unwrap();
        assert_eq!(pass_blocking("unit.one"), Ok(()));
        std::fs::remove_file(&file).unwrap();
    }
}
