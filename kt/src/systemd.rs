//! The systemd unit of a gateway: one text, filled in here for one gateway and by `cargo xtask dist` for all. Pure.

use std::path::Path;

/// What a unit is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unit<'a> {
    /// The gateway's name, as `--name` takes it.
    pub(crate) name: &'a str,
    /// The absolute path of `kt`.
    pub(crate) program: &'a Path,
    /// Whose process it is.
    pub(crate) user: &'a str,
    /// The absolute path of `$KT_HOME`.
    pub(crate) state_dir: &'a Path,
    /// The absolute path of the file with provider keys, handed on as `--env-file`.
    pub(crate) env_file: Option<&'a Path>,
    /// The absolute path of a decision log elsewhere: its directory may be written to.
    pub(crate) decision_log: Option<&'a Path>,
}

const TEXT: &str = include_str!("systemd/kt-gateway.service");

/// The text of the unit, to be saved as `/etc/systemd/system/kt-gateway-NAME.service`. Paths that are not UTF-8 are
/// written with replacement characters: systemd takes no others.
pub(crate) fn unit(unit: &Unit<'_>) -> String {
    let (keys, flags) = match unit.env_file {
        Some(file) => (
            "# Provider keys are read from --env-file again at each activation.",
            format!(" --env-file {}", word(&path(file))),
        ),
        None => (
            "# Provider keys: write NAME=VALUE lines to a file of mode 0600 and add --env-file FILE below.",
            String::new(),
        ),
    };
    let state = path(unit.state_dir);
    let log_dir = unit.decision_log.and_then(Path::parent).map(path);
    let writable = std::iter::once(&state).chain(&log_dir).map(|dir| quoted(&format!("-{dir}")));
    let writable: Vec<String> = writable.collect();
    TEXT.replace("@KEYS@", keys)
        .replace("@FLAGS@", &flags)
        .replace("@HOME@", &quoted(&format!("KT_HOME={state}")))
        .replace("@WRITABLE@", &format!("ReadWritePaths={}", writable.join(" ")))
        .replace("@STATE@", &specifiers(&state))
        .replace("@KT@", &word(&path(unit.program)))
        .replace("@USER@", &specifiers(unit.user))
        .replace("@NAME@", &specifiers(unit.name))
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A word of a command line, where `$` begins a variable.
fn word(text: &str) -> String {
    quoted(text).replace('$', "$$")
}

/// Text in quotes where it needs them.
fn quoted(text: &str) -> String {
    let text = specifiers(text);
    let plain = |c: char| c.is_alphanumeric() || "/._-=:,+@%$".contains(c);
    if text.chars().all(plain) {
        return text;
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// `%` begins what systemd fills in, and a line ends the value.
fn specifiers(text: &str) -> String {
    text.replace('%', "%%").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, program: &str, state_dir: &str, env_file: Option<&str>) -> String {
        unit(&Unit {
            name,
            program: Path::new(program),
            user: "kt",
            state_dir: Path::new(state_dir),
            env_file: env_file.map(Path::new),
            decision_log: None,
        })
    }

    #[test]
    fn a_decision_log_elsewhere_can_be_written() {
        let text = unit(&Unit {
            name: "a",
            program: Path::new("/kt"),
            user: "kt",
            state_dir: Path::new("/s"),
            env_file: None,
            decision_log: Some(Path::new("/var/log/my kt/a.jsonl")),
        });
        assert!(text.contains("\nReadWritePaths=-/s \"-/var/log/my kt\"\n"), "{text}");
    }

    #[test]
    fn a_unit_runs_the_gateway_from_its_state() {
        let text = of("edge-1", "/usr/local/bin/kt", "/srv/kt", Some("/etc/kt/keys.env"));
        for line in [
            "Description=kt gateway edge-1",
            "User=kt",
            "Environment=KT_HOME=/srv/kt",
            "ExecStart=/usr/local/bin/kt gateway run --name edge-1 --env-file /etc/kt/keys.env",
            "ReadWritePaths=-/srv/kt",
            "NoNewPrivileges=yes",
        ] {
            assert!(text.lines().any(|there| there == line), "{line}\n{text}");
        }
        assert_eq!(text.matches('@').count(), 1, "only @system-service is left: {text}");
        assert!(of("a", "/kt", "/s", None).contains("ExecStart=/kt gateway run --name a\n"));
    }

    #[test]
    fn nothing_of_a_path_is_read_as_anything_else() {
        let text = of("a", "/opt/my tools/k\"t", "/home/100%/$x y", Some("/a$b/c\nExecStart=/bin/evil"));
        for line in [
            "ExecStart=\"/opt/my tools/k\\\"t\" gateway run --name a --env-file \"/a$$b/c ExecStart=/bin/evil\"",
            "Environment=\"KT_HOME=/home/100%%/$x y\"",
            "ReadWritePaths=\"-/home/100%%/$x y\"",
            "WorkingDirectory=-/home/100%%/$x y",
        ] {
            assert!(text.lines().any(|there| there == line), "{line}\n{text}");
        }
    }
}
