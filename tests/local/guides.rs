//! The guides: every `console` block is typed as it stands, in a new home, and answers as it says, but for times,
//! digests, ids and process numbers. `UPDATE_GUIDES=1` writes down what was really answered.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use regex::Regex;
use tests::host::Host;

/// Ends what one command said; no program of ours prints it.
const MARK: &str = "\u{1e}";

#[test]
fn hot_reload() {
    follow("hot-reload.md");
}

#[test]
fn managing_policy_changes() {
    follow("managing-policy-changes.md");
}

fn follow(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guides").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    let steps = steps(&text);
    assert!(steps.len() > 5, "{name} shows next to nothing");
    let host = Host::new();
    let said = type_all(&host, &steps);
    if std::env::var_os("UPDATE_GUIDES").is_some() {
        std::fs::write(&path, rewritten(&text, &said)).unwrap();
        return;
    }
    for (step, said) in steps.iter().zip(&said) {
        assert_eq!(filtered(&step.answer), filtered(said), "docs/guides/{name}: $ {}", step.command);
    }
}

/// A command, and what the guide says it answers.
struct Step {
    command: String,
    answer: String,
}

/// Lines of `console` blocks: `$ ` begins a command, `> ` goes on with it, the rest is its answer.
fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (is_console, line) in lines(text) {
        if !is_console {
            continue;
        }
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { command: command.to_owned(), answer: String::new() });
        } else if let Some(more) = line.strip_prefix("> ") {
            let step = steps.last_mut().expect("a command goes on");
            step.command.push('\n');
            step.command.push_str(more);
        } else if let Some(step) = steps.last_mut() {
            step.answer.push_str(line);
            step.answer.push('\n');
        }
    }
    steps
}

/// Each line, and whether it is inside a `console` block.
fn lines(text: &str) -> impl Iterator<Item = (bool, &str)> {
    let mut inside = false;
    text.lines().map(move |line| {
        if line.starts_with("```") {
            inside = !inside && line == "```console";
            return (false, line);
        }
        (inside, line)
    })
}

/// One shell types them all, so that a variable set in one is there in the next; answers what each said.
fn type_all(host: &Host, steps: &[Step]) -> Vec<String> {
    let mut script = String::from("exec 2>&1\n");
    for step in steps {
        script.push_str(&format!("{}\nprintf '%s' '{MARK}'\n", step.command));
    }
    let programs: PathBuf = host.kt().program().parent().unwrap().to_owned();
    let path = std::env::join_paths(
        std::iter::once(programs).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let output = host
        .kt()
        .command(Path::new("/bin/sh"))
        .args(["-c", &script])
        .env("PATH", path.unwrap())
        .env("COLUMNS", "80")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let said: Vec<String> = text.split(MARK).map(str::to_owned).collect();
    assert_eq!(said.len(), steps.len() + 1, "the shell broke off: {text}");
    let home = host.home().to_string_lossy().into_owned();
    said[..steps.len()].iter().map(|said| said.trim_end().replace(&home, "~")).collect()
}

/// The text with its answers replaced.
fn rewritten(text: &str, said: &[String]) -> String {
    let mut said = said.iter();
    let mut out = String::new();
    let mut pending: Option<&String> = None;
    let put = |out: &mut String, answer: Option<&String>| {
        if let Some(answer) = answer.filter(|answer| !answer.is_empty()) {
            out.push_str(answer);
            out.push('\n');
        }
    };
    let mut was_inside = false;
    for (inside, line) in lines(text) {
        if inside && line.starts_with("$ ") {
            put(&mut out, pending.take());
            pending = said.next();
        } else if inside && !line.starts_with("> ") {
            continue;
        } else if !inside && was_inside {
            put(&mut out, pending.take());
        }
        was_inside = inside;
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// What differs from one run to the next is the same word in both.
fn filtered(text: &str) -> String {
    const FILTERS: [(&str, &str); 6] = [
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>"),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?Z?", "<time>"),
        (r"sha256:[0-9a-f]{6,64}…?", "<digest>"),
        (r#"\bpid"?:? *\d+"#, "pid <pid>"),
        (r#"duration_ms"?: *\d+"#, "duration_ms <ms>"),
        (r"\b\d+(\.\d+)? ?m?s\b( ago)?", "<span>"),
    ];
    let mut text = text.trim_end().to_owned();
    for (pattern, replacement) in FILTERS {
        text = Regex::new(pattern).unwrap().replace_all(&text, replacement).into_owned();
    }
    // Columns of a table are as wide as what is in them.
    Regex::new(r" +|─+").unwrap().replace_all(&text, " ").into_owned()
}
