//! Which command lines are valid, and what is said of the others.

use std::os::unix::fs::PermissionsExt;

use clap::Parser;

use super::*;

fn settings(line: &[&str], variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let args = Args::try_parse_from(std::iter::once(&"kt-gateway").chain(line)).expect("clap accepts it");
    let home = [("HOME", "/home/somebody")];
    Settings::from_args(args, Environment::fixed(home.iter().chain(variables).copied()))
}

#[test]
fn a_file_or_a_fleet_is_the_source() {
    let local =
        settings(&["--policy-config", "p.yaml"], &[("KT_CONTROL_PLANE", "http://127.0.0.1:1")]).unwrap();
    assert!(matches!(local.source, Source::File(path) if path == Path::new("p.yaml")));
    assert_eq!(local.listen, "127.0.0.1:41002".parse().unwrap());
    assert_eq!(local.home, Path::new("/home/somebody/.local/state/kt"));
    assert_eq!(local.max_body, 16 * 1024 * 1024);
    assert!(local.secret_globs[0].matches("OPENAI_API_KEY"));

    for (line, variables, expected) in [
        (&["--fleet", "prod"][..], &[][..], "http://127.0.0.1:7443/"),
        (&["--fleet", "prod"], &[("KT_CONTROL_PLANE", "http://[::1]:9")], "http://[::1]:9/"),
        (&["--fleet", "prod", "--control-plane", "http://localhost:8"], &[], "http://localhost:8/"),
    ] {
        let managed = settings(line, variables).unwrap();
        let Source::ControlPlane(source) = managed.source else { panic!("{line:?}") };
        assert_eq!(source.url.as_str(), expected);
    }
}

#[test]
fn what_is_not_valid_is_named_with_what_to_write() {
    let file = ["--policy-config", "p.yaml"];
    for (line, says) in [
        (&[][..], "--policy-config FILE, or --control-plane URL --fleet FLEET"),
        (&["--policy-config", "p.yaml", "--fleet", "prod"], "one source"),
        (&["--policy-config", "p.yaml", "--control-plane", "http://127.0.0.1:1"], "one source"),
        (&["--control-plane", "http://127.0.0.1:1"], "--fleet prod"),
        (&["--fleet", "Prod"], "--fleet: a fleet name is"),
        (&["--fleet", "prod", "--control-plane", "https://cp:7443"], "plain http on loopback only"),
        (&["--fleet", "prod", "--control-plane", "http://10.0.0.1:7443"], "loopback only"),
        (&["--fleet", "prod", "--control-plane", "http://127.0.0.1.evil.example:7443"], "loopback only"),
        (&["--fleet", "prod", "--control-plane", "http://u:p@127.0.0.1:7443"], "host and port alone"),
        (&["--fleet", "prod", "--control-plane", "127.0.0.1:7443"], "http://127.0.0.1:7443"),
        (&["--name", "A/b"], "--name: a gateway name is"),
        (&["--listen", "1.2.3.4"], "127.0.0.1:41002"),
        (&["--listen", "127.0.0.1:99999"], "127.0.0.1:41002"),
        (&["--listen", "[::1"], "127.0.0.1:41002"),
        (&["--metrics-listen", "0.0.0.0:1"], "loopback"),
        (&["--max-body", "12 MB"], "16MiB"),
        (&["--max-body", "0"], "16MiB"),
        (&["--max-body", "99999999999999999999"], "16MiB"),
        (&["--max-in-flight", "0"], "from 1 to 1000000"),
        (&["--max-connections", "1k"], "from 1 to 1000000"),
        (&["--label", "region"], "KEY=VALUE"),
        (&["--label", "a=1", "--label", "a=2"], "twice"),
        (&["--label", "BAD=1"], "--label"),
        (&["--secret-env", ""], "*_API_KEY"),
        (&["--secret-env", "A B"], "*_API_KEY"),
    ] {
        let own_source = line.is_empty() || line.contains(&"--fleet") || line.contains(&"--control-plane");
        let line: Vec<&str> =
            if own_source { line.to_vec() } else { file.iter().chain(line).copied().collect() };
        let error = settings(&line, &[]).expect_err(&format!("{line:?}"));
        assert!(error.to_string().contains(says), "{line:?}: {error}");
        assert_eq!(error.exit_code(), 2, "{line:?}");
    }
}

#[test]
fn files_and_directories_that_are_named_must_be_there_and_private() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("keys.env");
    let line = ["--policy-config", "p.yaml", "--env-file", keys.to_str().unwrap()];
    assert_eq!(settings(&line, &[]).unwrap_err().exit_code(), 3);
    std::fs::write(&keys, "A=1\n").unwrap();
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o640)).unwrap();
    let error = settings(&line, &[]).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("0640") && error.to_string().contains("chmod 600"), "{error}");
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(settings(&line, &[]).is_ok());
    let fifo = dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    let line = ["--policy-config", "p.yaml", "--env-file", fifo.to_str().unwrap()];
    let error = settings(&line, &[("KT_TOKEN_FILE", fifo.to_str().unwrap())]).unwrap_err();
    assert!(error.to_string().contains("not a regular file"), "{error}");

    let gone = dir.path().join("gone");
    let line = ["--policy-config", "p.yaml", "--working-dir", gone.to_str().unwrap()];
    assert_eq!(settings(&line, &[]).unwrap_err().exit_code(), 3);
    assert!(!gone.exists());
}

#[test]
fn the_state_directory_follows_the_variables() {
    let line = ["--policy-config", "p.yaml", "--name", "edge-1"];
    for (variables, expected) in [
        (&[("KT_HOME", "/k"), ("XDG_STATE_HOME", "/x")][..], "/k/gateways/edge-1"),
        (&[("XDG_STATE_HOME", "/x")], "/x/kt/gateways/edge-1"),
        (&[("KT_HOME", "")], "/home/somebody/.local/state/kt/gateways/edge-1"),
    ] {
        assert_eq!(settings(&line, variables).unwrap().instance_dir(), Path::new(expected));
    }
}

#[test]
fn globs_match_whole_names() {
    for (glob, name, expected) in [
        ("*_API_KEY", "OPENAI_API_KEY", true),
        ("*_API_KEY", "API_KEY", false),
        ("*_API_KEY", "OPENAI_API_KEY_2", false),
        ("*", "HOME", true),
        ("A*B*C", "AxBxBxC", true),
        ("A*B*C", "ACB", false),
        ("A*A", "A", false),
        ("EXACT", "EXACT", true),
        ("EXACT", "EXACTLY", false),
    ] {
        assert_eq!(SecretGlob::new(glob).unwrap().matches(name), expected, "{glob} {name}");
    }
}
