//! `docs/reference/cli.md` is what `kt … --help` says; `UPDATE_REFERENCE=1` writes it anew.

use std::fmt::Write;
use std::path::Path;

use tests::kt::Kt;

const HEAD: &str = "\
# The command line of `kt`

Made from `kt … --help`; a test of `tests/cli` keeps it true and writes it anew with `UPDATE_REFERENCE=1`.

* stdout is data, stderr is talk. With `--json`, stdout holds JSON and nothing else, and an error is
  `{\"error\":{code, message, field?, hint?, findings[]?}}` on stderr.
* Exit codes: [exit-codes.md](exit-codes.md).
* `kt` proves itself to a control plane with the token in the file that `KT_TOKEN_FILE` names, else in `operator.token`
  in the control plane's default data directory (`/var/lib/kt/control-plane` as root, else
  `$XDG_DATA_HOME/kt/control-plane`, else `~/.local/share/kt/control-plane`). The file's mode is 0600.
* Plain `http` is for loopback only.
* Durations are a number with `ms`, `s`, `m`, `h` or `d`, and sums of them: `30s`, `1h30m`. Times are RFC 3339.
* Colour follows `NO_COLOR` and `TERM=dumb`, and is only for terminals.
* A gateway of this host lies in `gateways/<name>` below `KT_HOME`. `kt gateway start` leaves a supervisor behind, a
  process of its own session: it holds the listening socket, so that connections wait while one process follows another;
  starts a gateway again that ended unasked, at once and then with pauses up to 5 s, each time with the environment that
  `start` was given; and puts `logs/gateway.log` away at 8 MiB, five files of it. A first start that fails leaves nothing
  running; a gateway that runs and has no pack to serve is left, so that it can be told one, and `start` exits with 1.
* `kt gateway status` of one that does not come up again says when it is tried next, and why. With `--json` the fields of
  the gateway are followed by `supervisor{state, pid, reason, restarts, next_try}` where it has one, `state` being
  `starting`, `running`, `restarting` or `stopping`. `last_failure` of a gateway that is down is that of the start that
  failed; its `stage` is empty where it came to none. `kt gateway list --json` has `state` (also `stopped` and `spoiled`)
  and, where something is wrong, `problem`.
* `kt gateway logs --json` prints a line `{\"line\"}` for each; `kt gateway install --print-systemd-unit --json` prints
  `{name, unit, installed, install}`. `kt gateway run --json` answers in JSON what can be known before `kt-gateway` takes
  over; what that says afterwards is its log.

| variable | meaning |
|---|---|
| `KT_CONTROL_PLANE` | the control plane, when `--control-plane` is not given; else `http://127.0.0.1:7443` |
| `KT_TOKEN_FILE` | the file with the operator token |
| `KT_HOME` | where gateways and `kt dev` keep their state; else `$XDG_STATE_HOME/kt`, else `~/.local/state/kt`, as root without `HOME` `/var/lib/kt` |
| `KT_PG_BIN`, `DATABASE_URL` | of the control plane: where PostgreSQL's programs are, which server to use; `kt doctor` looks at both |
";

#[test]
fn the_reference_is_what_help_says() {
    let kt = Kt::new();
    let mut text = HEAD.to_owned();
    describe(&kt, &mut Vec::new(), &mut text);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/cli.md");
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, &text).expect("the reference can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == text, "docs/reference/cli.md is not what --help says; run with UPDATE_REFERENCE=1");
}

/// The help of a command, then of those below it.
fn describe(kt: &Kt, command: &mut Vec<String>, text: &mut String) {
    let mut words = command.clone();
    words.push("--help".to_owned());
    let help = kt.run(&words).ok().stdout;
    let title = std::iter::once("kt").chain(command.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    let lines: Vec<_> = help.trim_end().lines().map(str::trim_end).collect();
    write!(text, "\n## `{title}`\n\n```text\n{}\n```\n", lines.join("\n")).expect("a string grows");
    for below in subcommands(&help) {
        command.push(below);
        describe(kt, command, text);
        command.pop();
    }
}

fn subcommands(help: &str) -> Vec<String> {
    let list = help.split_once("\nCommands:\n").map_or("", |(_, after)| after);
    list.lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}
