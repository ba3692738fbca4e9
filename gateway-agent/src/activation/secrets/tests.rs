//! Which keys a pack may name, and what is said when one is not there.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use policy_config::PolicyDocument;
use policy_config::schema::TargetId;

use super::*;

const CANARY: &str = "sk-canary-value";

fn config(reference: &str) -> PolicyConfig {
    let source = format!(
        "pack: {{name: p, version: 1.0.0, enabled: true}}\n\
         providers:\n  targets:\n    - {{id: t, provider: openai-compatible, model: m, \
         base_url: \"https://127.0.0.1:1\", secret_key_ref: {reference}}}\n\
         policies: {{chain: [audit-logger]}}\npolicy: {{audit-logger: {{}}}}\n"
    );
    let (config, report) = PolicyDocument::new(source).parse();
    config.unwrap_or_else(|| panic!("{report:?}"))
}

fn rules(dir: &Path, environment: &[(&str, &str)]) -> SecretRules {
    fs::create_dir_all(dir.join("secrets")).unwrap();
    SecretRules {
        env_file: None,
        environment: Environment::fixed(environment.iter().copied()),
        globs: vec![SecretGlob::new("*_API_KEY").unwrap()],
        dir: dir.join("secrets"),
    }
}

/// The key of the one target, or what is said about it.
fn resolve(rules: &SecretRules, reference: &str) -> Result<String, String> {
    let resolved = rules.resolve(&config(reference));
    match resolved.secrets.get(&TargetId("t".to_owned())) {
        Some(secret) => Ok(secret.expose().to_owned()),
        None => {
            let reason = refusal(resolved.missing);
            assert_eq!(reason.stage, Stage::Secrets);
            assert!(!format!("{reason:?}").contains(CANARY), "a value leaked: {reason:?}");
            Err(reason.reason)
        }
    }
}

fn env_file(dir: &Path, text: &str, mode: u32) -> std::path::PathBuf {
    let path = dir.join("keys.env");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path
}

#[test]
fn the_env_file_goes_before_the_environment_and_is_read_anew() {
    let dir = tempfile::tempdir().unwrap();
    let mut rules = rules(dir.path(), &[("A_API_KEY", "from-process")]);
    assert_eq!(resolve(&rules, "{env: A_API_KEY}").as_deref(), Ok("from-process"));
    rules.env_file = Some(env_file(dir.path(), "# keys\n\nexport A_API_KEY='from file'\n", 0o600));
    assert_eq!(resolve(&rules, "{env: A_API_KEY}").as_deref(), Ok("from file"));
    env_file(dir.path(), "A_API_KEY=changed\r\nA_API_KEY=last\n", 0o600);
    assert_eq!(resolve(&rules, "{env: A_API_KEY}").as_deref(), Ok("last"));
}

#[test]
fn an_env_file_that_others_may_read_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut rules = rules(dir.path(), &[("A_API_KEY", CANARY)]);
    for mode in [0o644, 0o640, 0o400, 0o700] {
        rules.env_file = Some(env_file(dir.path(), &format!("A_API_KEY={CANARY}"), mode));
        let problem = resolve(&rules, "{env: A_API_KEY}").unwrap_err();
        assert!(problem.contains("chmod 600") && problem.contains("keys.env"), "{problem}");
    }
    rules.env_file = Some(env_file(dir.path(), &format!("ok=1\n{CANARY}\n"), 0o600));
    let problem = resolve(&rules, "{env: A_API_KEY}").unwrap_err();
    assert!(problem.contains("line 2"), "{problem}");
}

#[test]
fn a_pack_names_only_what_the_operator_opened() {
    let dir = tempfile::tempdir().unwrap();
    let mut rules = rules(dir.path(), &[("HOME", CANARY), ("API_KEY", CANARY), ("X_API_KEY", "x")]);
    assert_eq!(resolve(&rules, "{env: X_API_KEY}").as_deref(), Ok("x"));
    for name in ["HOME", "API_KEY"] {
        let problem = resolve(&rules, &format!("{{env: {name}}}")).unwrap_err();
        assert!(problem.contains(name) && problem.contains("*_API_KEY"), "{problem}");
    }
    rules.globs.push(SecretGlob::new("API_*").unwrap());
    assert_eq!(resolve(&rules, "{env: API_KEY}").as_deref(), Ok(CANARY));
}

#[test]
fn the_help_is_about_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let mut rules = rules(dir.path(), &[("HOME", CANARY)]);
    let help = |rules: &SecretRules, name: &str| {
        rules.resolve(&config(&format!("{{env: {name}}}"))).missing.remove(0).suggestion
    };
    assert_eq!(help(&rules, "HOME"), "name it as *_API_KEY, or open it with --secret-env HOME");
    assert!(help(&rules, "A_API_KEY").starts_with("set A_API_KEY in --env-file"));
    let path = dir.path().join("keys.env");
    let shown = path.display();
    rules.env_file = Some(path.clone());
    let missing = format!("put `{shown}` there with mode 600, or start without --env-file");
    assert_eq!(help(&rules, "A_API_KEY"), missing);
    env_file(dir.path(), "A_API_KEY=a", 0o644);
    assert_eq!(help(&rules, "A_API_KEY"), format!("run `chmod 600 {shown}`"));
    env_file(dir.path(), "# keys\nA_API_KEY\n", 0o600);
    assert_eq!(help(&rules, "A_API_KEY"), format!("write line 2 of `{shown}` as NAME=VALUE"));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let no_file = format!("make `{shown}` a regular file that the gateway's user may read");
    assert_eq!(help(&rules, "A_API_KEY"), no_file);
}

#[test]
fn a_missing_empty_or_unsendable_key_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let rules = rules(dir.path(), &[("EMPTY_API_KEY", "\n"), ("BAD_API_KEY", "a\nb")]);
    for (name, says) in [
        ("GONE_API_KEY", "is not set on this gateway's host"),
        ("EMPTY_API_KEY", "is empty"),
        ("BAD_API_KEY", "no header can carry"),
    ] {
        let problem = resolve(&rules, &format!("{{env: {name}}}")).unwrap_err();
        assert!(problem.contains(name) && problem.contains(says), "{problem}");
    }
}

#[test]
fn a_file_is_a_plain_name_beneath_secrets_and_no_link() {
    let dir = tempfile::tempdir().unwrap();
    let rules = rules(dir.path(), &[]);
    fs::write(dir.path().join("outside"), CANARY).unwrap();
    fs::write(dir.path().join("secrets/key"), "sk-file\n").unwrap();
    fs::create_dir(dir.path().join("secrets/dir")).unwrap();
    symlink(dir.path().join("outside"), dir.path().join("secrets/link")).unwrap();
    fs::write(dir.path().join("secrets/huge"), vec![b'a'; 20_000]).unwrap();
    nix::unistd::mkfifo(&dir.path().join("secrets/fifo"), Mode::S_IRUSR).unwrap();

    assert_eq!(rules.in_key_file("key").as_deref(), Ok("sk-file\n"));
    assert_eq!(resolve(&rules, "{file: key}").as_deref(), Ok("sk-file"));
    for (name, says) in [
        ("gone", "no file gone"),
        ("link", "symbolic link"),
        ("dir", "not a regular file"),
        ("fifo", "not a regular file"),
        ("huge", "more than"),
        ("../outside", "plain file name"),
        (".", "plain file name"),
        ("", "plain file name"),
        ("a\0b", "plain file name"),
    ] {
        let problem = rules.in_key_file(name).unwrap_err();
        assert!(problem.contains(says), "{name:?}: {problem}");
    }
    // The directory itself may not be led away either.
    fs::rename(dir.path().join("secrets"), dir.path().join("moved")).unwrap();
    symlink(dir.path().join("moved"), dir.path().join("secrets")).unwrap();
    assert!(rules.in_key_file("key").is_err());
}

#[test]
fn certificates_are_all_read_or_the_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let rules = rules(dir.path(), &[("A_API_KEY", "a")]);
    let certificate = || {
        let key = rcgen::KeyPair::generate().unwrap();
        rcgen::CertificateParams::new(Vec::<String>::new()).unwrap().self_signed(&key).unwrap().pem()
    };
    let resolved = |pem: &str| {
        fs::write(dir.path().join("secrets/ca.pem"), pem).unwrap();
        rules.resolve(&config("{env: A_API_KEY}, ca_file: {file: ca.pem}"))
    };
    let bundle = resolved(&format!("# ours\n{}{}", certificate(), certificate()));
    assert!(bundle.missing.is_empty(), "{:?}", bundle.missing);
    assert_eq!(bundle.secrets.authorities(&TargetId("t".to_owned())).unwrap().0.len(), 2);

    let spoiled = certificate().replace("-----END", "====END");
    let empty = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (pem, says) in [
        (String::new(), "holds no certificate"),
        (CANARY.to_owned(), "holds no certificate"),
        (spoiled, "ca.pem"),
        (format!("{}{empty}", certificate()), "certificate 2 of the file ca.pem"),
    ] {
        let [finding] = &resolved(&pem).missing[..] else { panic!("one finding: {pem}") };
        assert_eq!((finding.code.as_str(), finding.path.as_str()), ("S002", "providers.targets[0].ca_file"));
        assert!(finding.message.contains(says) && !finding.message.contains(CANARY), "{}", finding.message);
    }
    fs::remove_file(dir.path().join("secrets/ca.pem")).unwrap();
    let gone = rules.resolve(&config("{env: A_API_KEY}, ca_file: ca.pem"));
    let reason = refusal(gone.missing);
    assert!(reason.reason.contains("no file ca.pem"), "{}", reason.reason);
}
