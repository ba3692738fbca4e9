//! The written side: what the documents promise is there, and nothing of a private machine is.

/// Places of one machine, and settings that replace the public registry.
pub(crate) fn machine_traces(path: &str, text: &str) -> Vec<String> {
    // Put together here, or this file would find itself.
    let traces = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/tmp/tar", "get"),
        concat!("sparse", "+http"),
    ];
    let settings = ["replace-with", "[source.", "[registries", "registry = "];
    let settings = settings.iter().filter(|_| path.ends_with(".toml"));
    text.lines()
        .enumerate()
        .flat_map(|(index, line)| {
            let trace = traces.iter().find(|trace| line.contains(**trace));
            let found = trace.or_else(|| settings.clone().find(|setting| line.starts_with(**setting)));
            found.map(|found| format!("{path}:{}: `{found}` is of one machine", index + 1))
        })
        .collect()
}

/// Every bullet below `## Invariants` names `file.rs` and, after it, the test function in it.
pub(crate) fn unheld_invariants<'a>(document: &str, find: impl Fn(&str) -> Option<&'a str>) -> Vec<String> {
    let section = document.split_once("\n## Invariants\n").map_or("", |(_, after)| after);
    let section = section.split("\n## ").next().unwrap_or_default();
    let bullets: Vec<&str> = section.split("\n- ").skip(1).collect();
    if bullets.is_empty() {
        return vec!["ARCHITECTURE.md: no bullet below `## Invariants`".to_owned()];
    }
    bullets
        .into_iter()
        .filter_map(|bullet| {
            let invariant = bullet.split("**").nth(1).unwrap_or(bullet);
            let mut quoted = bullet.split('`').skip(1).step_by(2).skip_while(|word| !word.ends_with(".rs"));
            let (Some(file), Some(function)) = (quoted.next(), quoted.next()) else {
                return Some(format!("`{invariant}` names no test"));
            };
            let held = find(file).is_some_and(|text| text.contains(&format!("fn {function}(")));
            (!held).then(|| format!("`{invariant}`: there is no test `{function}` in {file}"))
        })
        .collect()
}

/// The `cargo xtask` commands of the README, word for word, are lines of the CI script; of the demo, which
/// would stay up, the script adds `--once`.
pub(crate) fn commands_not_run(readme: &str, script: &str) -> Vec<String> {
    let mut commands: Vec<&str> =
        readme.lines().map(command).filter(|line| line.starts_with("cargo xtask ")).collect();
    commands.dedup();
    let mut problems: Vec<String> = ["cargo xtask demo", "cargo xtask test"]
        .iter()
        .filter(|wanted| !commands.contains(wanted))
        .map(|wanted| format!("README.md does not show `{wanted}`"))
        .collect();
    for shown in commands {
        let wanted = if shown == "cargo xtask demo" { "cargo xtask demo --once" } else { shown };
        if !script.lines().any(|line| line.trim() == wanted) {
            problems.push(format!(".ci/run has no line `{wanted}`, which the README shows"));
        }
    }
    problems
}

/// A shell line without the remark behind it.
fn command(line: &str) -> &str {
    line.split(" #").next().unwrap_or_default().trim()
}

#[test]
fn traces_of_a_machine_are_found() {
    assert_eq!(machine_traces("a", concat!("x = \"/wo", "rk/main\"\n")).len(), 1);
    assert_eq!(machine_traces(".cargo/config.toml", "[source.crates-io]\n").len(), 1);
    assert!(machine_traces("a.rs", "[source.len()]\n").is_empty());
    assert!(machine_traces("a", "a network of roots, below /root\n").is_empty());
}

#[test]
fn an_invariant_without_a_living_test_is_found() {
    let find = |path: &str| (path == "a/tests.rs").then_some("fn held() {}");
    let document = "# A\n\n## Invariants\n\nText.\n\n- **One.** By `a/tests.rs` `held`.\n\
                    - **Two.** By `a/tests.rs` `gone`.\n- **Three.** By hope.\n\n## Next\n- not one\n";
    let problems = unheld_invariants(document, find);
    assert_eq!(problems, ["`Two.`: there is no test `gone` in a/tests.rs", "`Three.` names no test"]);
    assert_eq!(unheld_invariants("# A\n", find).len(), 1);
}

#[test]
fn a_command_that_ci_does_not_run_is_found() {
    let readme = "```sh\ncargo xtask demo   # five minutes\ncargo xtask test\n```\n";
    assert!(commands_not_run(readme, "set -e\ncargo xtask test\ncargo xtask demo --once\n").is_empty());
    assert_eq!(commands_not_run(readme, "cargo xtask test --fast\ncargo xtask demo --once\n").len(), 1);
    assert_eq!(commands_not_run("nothing", "").len(), 2);
}
