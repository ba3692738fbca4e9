//! The credential of a gateway: one that others may have seen, or that is not its own file, is not used, and
//! the message says what to do.
#![cfg(test)]

use gateway_agent::control::identity::{IdentityError, IdentityStore};

use super::Lived;
use super::damage::Damage;

/// What becomes of it.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Used,
    /// The gateway enrols anew.
    None,
    SetAside,
    Refused(&'static str),
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_that_is_not_its_own_file_is_refused_with_the_fix() {
    let lived = Lived::make().await;
    let root = nix::unistd::geteuid().is_root();
    let text = std::fs::read_to_string(lived.own.join("credential.json")).expect("it enrolled");
    let length = text.len();
    let control_plane: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let control_plane = control_plane["control_plane"].as_str().expect("where it enrolled").to_owned();
    for (damage, outcome) in [
        (Damage::Older, Outcome::Used),
        (Damage::Missing, Outcome::None),
        (Damage::Foreign, Outcome::None),
        (Damage::Empty, Outcome::SetAside),
        (Damage::Cut(length / 2), Outcome::SetAside),
        (Damage::Garbage, Outcome::SetAside),
        (Damage::Mode(0o644), Outcome::Refused("chmod 600")),
        (Damage::Mode(0o640), Outcome::Refused("chmod 600")),
        (Damage::Owner, if root { Outcome::Refused("run `chown 0 ") } else { Outcome::Used }),
        (Damage::Link, Outcome::Refused("move it away")),
        (Damage::Directory, Outcome::Refused("move it away")),
        (Damage::Fifo, Outcome::Refused("move it away")),
        (Damage::Huge, Outcome::Refused("it holds more than")),
    ] {
        let home = lived.copy();
        let dir = home.path().join("state/gateways/edge-1");
        damage.apply(&dir, "credential.json", &lived, 7);
        let (fleet, name) = ("prod".parse().expect("a name"), "edge-1".parse().expect("a name"));
        let store = IdentityStore::new(&dir, &control_plane, fleet, name);
        let loaded = store.load();
        let found = match &loaded {
            Ok(Some(_)) => Outcome::Used,
            Ok(None) if dir.join("credential.json.bad-1").exists() => Outcome::SetAside,
            Ok(None) => Outcome::None,
            Err(error) => {
                let told = IdentityError::to_string(error);
                assert!(told.contains("credential.json"), "{damage:?}: {told}");
                let Outcome::Refused(fix) = outcome else { panic!("{damage:?}: {told}") };
                assert!(told.contains(fix), "{damage:?}: {told}");
                Outcome::Refused(fix)
            }
        };
        assert_eq!(found, outcome, "{damage:?}: {loaded:?}");
        println!("credential {damage:?}: {found:?}");
    }
}
