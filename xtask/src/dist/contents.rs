//! What the archive holds, path by path.

use std::fs;
use std::path::Path;

pub(crate) const PROGRAMS: [&str; 3] = ["kt", "kt-control-plane", "kt-gateway"];

/// One file of the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    /// Below the archive's one directory.
    pub(crate) path: String,
    pub(crate) source: Source,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// Built.
    Program(&'static str),
    /// Said by `kt completions SHELL`, once it is built.
    Completions(&'static str),
    /// Of the checkout, as it is.
    File(String),
    Text(String),
}

/// The one text of a gateway's unit; `kt gateway install --print-systemd-unit` fills it in for one gateway.
const GATEWAY_UNIT: &str = "kt/src/systemd/kt-gateway.service";

/// In the order of their paths.
pub(crate) fn list(root: &Path) -> Result<Vec<Item>, String> {
    let item = |path: &str, source| Item { path: path.to_owned(), source };
    let file = |path: &str, from: &str| item(path, Source::File(from.to_owned()));
    let mut items = vec![
        file("INSTALL.md", "docs/guides/installing.md"),
        file("LICENSE", "LICENSE"),
        file("README.md", "README.md"),
        item("completions/_kt", Source::Completions("zsh")),
        item("completions/kt.bash", Source::Completions("bash")),
        item("completions/kt.fish", Source::Completions("fish")),
        file("systemd/kt-control-plane.service", "kt/src/systemd/kt-control-plane.service"),
        item("systemd/kt-gateway@.service", Source::Text(gateway_unit(root)?)),
    ];
    items.extend(PROGRAMS.iter().map(|program| item(&format!("bin/{program}"), Source::Program(program))));
    for name in names(&root.join("examples"))? {
        items.push(file(&format!("examples/{name}"), &format!("examples/{name}")));
    }
    items.sort_by(|one, two| one.path.cmp(&two.path));
    Ok(items)
}

/// For any gateway: systemd puts the instance's name where `%i` stands.
fn gateway_unit(root: &Path) -> Result<String, String> {
    let path = root.join(GATEWAY_UNIT);
    let text =
        fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let filled = [
        ("@NAME@", "%i"),
        ("@KT@", "/usr/local/bin/kt"),
        ("@USER@", "kt"),
        ("@HOME@", "KT_HOME=/var/lib/kt"),
        ("@STATE@", "/var/lib/kt"),
        ("@KEYS@", "EnvironmentFile=-/etc/kt/gateway-%i.env"),
        ("@FLAGS@", ""),
        ("@WRITABLE@", "StateDirectory=kt\nStateDirectoryMode=0700"),
    ]
    .iter()
    .fold(text, |text, (blank, value)| text.replace(blank, value));
    Ok(filled)
}

/// The visible files of a directory, sorted.
fn names(directory: &Path) -> Result<Vec<String>, String> {
    let entries = fs::read_dir(directory)
        .map_err(|error| format!("cannot read {}: {error}", directory.display()))?
        .flatten()
        .filter(|entry| entry.path().is_file());
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cargo::root;

    #[test]
    fn everything_that_people_need_is_there_and_comes_from_somewhere() {
        let items = list(&root()).expect("a list");
        let paths: Vec<&str> = items.iter().map(|item| item.path.as_str()).collect();
        for wanted in [
            "INSTALL.md",
            "LICENSE",
            "README.md",
            "bin/kt",
            "bin/kt-control-plane",
            "bin/kt-gateway",
            "completions/_kt",
            "completions/kt.bash",
            "completions/kt.fish",
            "examples/policy-config.yaml",
            "systemd/kt-control-plane.service",
            "systemd/kt-gateway@.service",
        ] {
            assert!(paths.contains(&wanted), "{wanted} is not in {paths:?}");
        }
        assert!(paths.windows(2).all(|pair| pair[0] < pair[1]), "sorted, each once: {paths:?}");
        for item in &items {
            if let Source::File(from) = &item.source {
                assert!(root().join(from).is_file(), "{} comes from {from}, which is not there", item.path);
            }
        }
        let manifests = ["kt", "control-plane", "gateway-agent"]
            .map(|package| fs::read_to_string(root().join(package).join("Cargo.toml")).expect("a manifest"));
        for program in PROGRAMS {
            let named = format!("name = \"{program}\"");
            assert!(
                manifests.iter().any(|manifest| manifest.contains(&named)),
                "no package builds {program}"
            );
        }
    }

    #[test]
    fn the_unit_of_all_gateways_has_no_blank_left() {
        let unit = gateway_unit(&root()).expect("a unit");
        for line in [
            "ExecStart=/usr/local/bin/kt gateway run --name %i",
            "Environment=KT_HOME=/var/lib/kt",
            "EnvironmentFile=-/etc/kt/gateway-%i.env",
            "StateDirectory=kt",
        ] {
            assert!(unit.lines().any(|there| there == line), "{line}\n{unit}");
        }
        assert_eq!(unit.matches('@').count(), 1, "only @system-service is left: {unit}");
    }
}
