//! `docs/guides/policy-ci.yml` as a runner meets it: its steps, run by a shell, over good packs and bad ones.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tests::kt::{Kt, fresh_binary};

const WORKFLOW: &str = include_str!("../../docs/guides/policy-ci.yml");
const GUIDE: &str = include_str!("../../docs/guides/policy-ci.md");

#[derive(Debug)]
struct Step {
    job: String,
    name: String,
    run: String,
}

/// The steps with a `run:`, in their order. Reads what the file needs of YAML and no more.
fn steps() -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut job = String::new();
    let mut lines = WORKFLOW.lines().skip_while(|line| *line != "jobs:").peekable();
    while let Some(line) = lines.next() {
        let indent = line.len() - line.trim_start().len();
        let text = line.trim_start();
        if indent == 2 && text.ends_with(':') {
            job = text.trim_end_matches(':').to_owned();
        } else if let Some(name) = text.strip_prefix("- name: ") {
            steps.push(Step { job: job.clone(), name: name.to_owned(), run: String::new() });
        } else if let Some(run) = text.strip_prefix("run: ") {
            let step = steps.last_mut().expect("a run belongs to a named step");
            step.run = run.to_owned();
            if run == "|" {
                let within = |line: &&str| line.is_empty() || line.starts_with(&" ".repeat(indent + 1));
                let block = std::iter::from_fn(|| lines.next_if(within)).map(|line| line.trim_start());
                step.run = block.collect::<Vec<_>>().join("\n");
            }
        }
    }
    steps
}

fn check_steps() -> Vec<Step> {
    steps().into_iter().filter(|step| step.job == "check").collect()
}

/// A step as the runner's shell runs it, with `kt` on the PATH if it shall be there.
fn run(step: &Step, dir: &Path, kt: Option<&Path>, variables: &[(&str, String)]) -> Output {
    let path = std::env::var("PATH").unwrap_or_default();
    let path =
        kt.map_or(path.clone(), |kt| format!("{}:{path}", kt.parent().expect("a directory").display()));
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", &step.run]).current_dir(dir).env_clear();
    shell.env("PATH", path).env("HOME", dir).env("RUNNER_TEMP", dir);
    shell.envs(variables.iter().map(|(name, value)| (name, value))).output().expect("a shell")
}

/// The name of the first step that is red, and what every step said.
fn pipeline(dir: &Path) -> (Option<String>, String) {
    let kt = fresh_binary("kt");
    let mut said = String::new();
    for step in check_steps() {
        let output = run(&step, dir, Some(&kt), &[]);
        said += &String::from_utf8_lossy(&output.stdout);
        said += &String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return (Some(step.name), said);
        }
    }
    (None, said)
}

fn fresh_pack() -> Kt {
    let kt = Kt::new();
    let said = kt.run(&["policy", "init"]).ok();
    assert!(GUIDE.contains(&said.stdout), "the guide shows what init says");
    kt
}

fn edit(path: PathBuf, from: &str, to: &str) {
    let text = std::fs::read_to_string(&path).expect("a file");
    assert!(text.contains(from), "{} has no `{from}`", path.display());
    std::fs::write(path, text.replace(from, to)).expect("a file");
}

#[test]
fn the_check_job_needs_nothing_but_kt() {
    let names: Vec<_> = steps().into_iter().map(|step| format!("{}: {}", step.job, step.name)).collect();
    let expected = [
        "check: install kt",
        "check: lint",
        "check: test",
        "check: what changes",
        "load: load",
        "load: show",
    ];
    assert_eq!(names, expected);
    // No pack, but the one reader of YAML that there is says whether it is YAML.
    let kt = Kt::new();
    let said = kt.run(&["policy", "lint", "--file", &kt.file("workflow.yml", WORKFLOW), "--json"]).json();
    let codes: Vec<_> = said["errors"].as_array().expect("errors").iter().map(|e| &e["code"]).collect();
    assert!(codes.iter().all(|code| **code == "E002" || **code == "E004"), "{said}");
    for step in steps() {
        let parsed = Command::new("sh").args(["-n", "-c", &step.run]).status().expect("a shell");
        assert!(parsed.success(), "no shell reads {step:?}");
    }
}

#[test]
fn a_good_pack_is_green() {
    let kt = fresh_pack();
    let (red, said) = pipeline(kt.home());
    assert_eq!(red, None, "{said}");
    assert!(said.contains("7 cases passed") && said.contains("no policy-config.yaml on main yet"), "{said}");
    let tested = kt.run(&["policy", "test"]).ok();
    assert!(GUIDE.contains(&tested.stdout), "the guide shows what the tests say");
}

#[test]
fn a_pack_with_a_mistake_is_red_at_lint() {
    let kt = fresh_pack();
    edit(kt.home().join("policy-config.yaml"), "enabled: true", "enabled: yes");
    let (red, said) = pipeline(kt.home());
    assert_eq!(red.as_deref(), Some("lint"), "{said}");
    assert!(said.contains("policy-config.yaml:5:12"), "{said}");
}

#[test]
fn a_pack_that_does_something_else_is_red_at_test() {
    let kt = fresh_pack();
    edit(kt.home().join("policy-config.yaml"), "action: block\n", "action: log\n");
    let (red, said) = pipeline(kt.home());
    assert_eq!(red.as_deref(), Some("test"), "{said}");
    assert!(said.contains("expected block (prompt_injection.detected), got allow"), "{said}");
}

#[test]
fn a_pack_without_tests_is_red_at_test() {
    let kt = fresh_pack();
    std::fs::remove_dir_all(kt.home().join("tests")).expect("it is there");
    assert_eq!(pipeline(kt.home()).0.as_deref(), Some("test"));
}

#[test]
fn the_guide_shows_what_a_diff_says() {
    let kt = fresh_pack();
    let pack = kt.home().join("policy-config.yaml");
    std::fs::copy(&pack, kt.home().join("main.yaml")).expect("a copy");
    edit(pack.clone(), "version: 0.1.0", "version: 0.1.1");
    edit(pack, "    action: redact", "    mode: shadow");
    let said = kt.run(&["policy", "diff", "main.yaml", "policy-config.yaml"]).ok();
    assert!(GUIDE.contains(&said.stdout), "the guide does not show\n{}", said.stdout);
}

#[test]
fn a_reviewer_sees_what_changes_against_main() {
    let kt = fresh_pack();
    let git = |words: &[&str]| {
        let mut command = Command::new("git");
        command.args(words).current_dir(kt.home()).env("HOME", kt.home());
        command.output().is_ok_and(|output| output.status.success())
    };
    if !git(&["init", "--quiet"]) {
        return; // the other branch of the step, without git, is tried above
    }
    let me = ["-c", "user.name=me", "-c", "user.email=me@example.com"];
    assert!(git(&["add", "."]) && git(&[&me[..], &["commit", "--quiet", "-m", "a pack"]].concat()));
    assert!(git(&["update-ref", "refs/remotes/origin/main", "HEAD"]));
    let pack = kt.home().join("policy-config.yaml");
    edit(pack.clone(), "version: 0.1.0", "version: 0.1.1");
    edit(pack, "base_url: https://api.openai.com", "base_url: https://proxy.example.com");
    let (red, said) = pipeline(kt.home());
    assert_eq!(red, None, "a difference is no failure: {said}");
    assert!(said.contains("+ pack.version: \"0.1.1\"") && said.contains("error[R004]"), "{said}");
}

#[test]
fn kt_is_fetched_where_it_is_not_and_only_with_the_right_sum() {
    let has_curl = Command::new("curl").arg("--version").output().is_ok_and(|output| output.status.success());
    // A kt on the PATH is taken as it is, and so nothing would be fetched.
    let has_kt = Command::new("sh").args(["-c", "command -v kt"]).output().is_ok_and(|o| o.status.success());
    if !has_curl || has_kt {
        return;
    }
    let home = Kt::new();
    let dir = home.home();
    std::fs::create_dir_all(dir.join("kt-0/bin")).expect("a directory");
    home.file("kt-0/bin/kt", "a program");
    let tar = Command::new("tar").args(["-czf", "kt-0.tar.gz", "kt-0"]).current_dir(dir).status();
    assert!(tar.expect("tar").success());
    let sum =
        Command::new("sha256sum").arg("kt-0.tar.gz").current_dir(dir).output().expect("sha256sum").stdout;
    let sum = String::from_utf8(sum).expect("text").split(' ').next().expect("a sum").to_owned();
    let step = check_steps().remove(0);
    let fetch = |sum: String| {
        let variables = [
            ("KT_ARCHIVE_URL", format!("file://{}/kt-0.tar.gz", dir.display())),
            ("KT_ARCHIVE_SHA256", sum),
            ("GITHUB_PATH", dir.join("path").display().to_string()),
        ];
        run(&step, dir, None, &variables).status.success()
    };
    assert!(!fetch("0".repeat(64)), "a wrong sum is red");
    assert!(!dir.join("kt").exists() && !dir.join("path").exists(), "and nothing is unpacked");
    assert!(fetch(sum));
    assert_eq!(std::fs::read_to_string(dir.join("kt/bin/kt")).expect("unpacked"), "a program");
    let path = std::fs::read_to_string(dir.join("path")).expect("written");
    assert_eq!(path.trim(), dir.join("kt/bin").display().to_string());
}
