//! The packs that `kt policy init` writes: the files of `kt/templates`, as they are.

/// A pack with its tests.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) name: &'static str,
    /// What it is for, in one line.
    pub(crate) about: &'static str,
    /// Each with its path below the directory of the pack.
    pub(crate) files: &'static [File],
}

#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: &'static str,
    pub(crate) text: &'static str,
}

macro_rules! template {
    ($name:literal, $about:literal, [$($path:literal),*]) => {
        Template {
            name: $name,
            about: $about,
            files: &[$(File { path: $path, text: include_str!(concat!("../templates/", $name, "/", $path)) }),*],
        }
    };
}

pub(crate) const TEMPLATES: &[Template] = &[
    template!(
        "default",
        "OpenAI, with attacks blocked and personal data redacted",
        ["policy-config.yaml", "tests/harmless.json", "tests/injection.json", "tests/personal-data.json"]
    ),
    template!(
        "healthcare",
        "As default, with record numbers of patients redacted too",
        ["policy-config.yaml", "tests/harmless.json", "tests/injection.json", "tests/personal-data.json"]
    ),
    template!(
        "local",
        "As default, for a model on this machine (Ollama, vLLM)",
        ["policy-config.yaml", "tests/harmless.json", "tests/injection.json", "tests/personal-data.json"]
    ),
    template!(
        "shadow",
        "Everything recorded and nothing changed, to begin with",
        ["policy-config.yaml", "tests/nothing-changes.json"]
    ),
    template!(
        "strict",
        "Personal data blocked, attacks blocked and marked for review",
        [
            "policy-config.yaml",
            "tests/harmless.json",
            "tests/injection.json",
            "tests/internal.json",
            "tests/personal-data.json"
        ]
    ),
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use policy_config::PolicyDocument;
    use policy_engine::{Engine, Secrets, read_golden};

    use super::*;

    #[test]
    fn every_file_of_the_directory_is_in_its_template() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
        let mut there = Vec::new();
        for template in std::fs::read_dir(&root).expect("the templates").flatten() {
            for dir in [template.path(), template.path().join("tests")] {
                let entries = std::fs::read_dir(dir).expect("a template has tests").flatten();
                there.extend(entries.map(|entry| entry.path()).filter(|path| path.is_file()));
            }
        }
        there.sort();
        let mut known: Vec<_> = TEMPLATES
            .iter()
            .flat_map(|template| template.files.iter().map(|file| root.join(template.name).join(file.path)))
            .collect();
        known.sort();
        assert_eq!(there, known);
        assert!(TEMPLATES.is_sorted_by_key(|template| template.name));
    }

    #[test]
    fn every_template_is_a_pack_without_findings_that_passes_its_own_tests() {
        for template in TEMPLATES {
            let text =
                |path: &str| template.files.iter().find(|file| file.path == path).map(|file| file.text);
            let source = text("policy-config.yaml").expect("a template has a pack");
            let (config, report) = PolicyDocument::new(source).parse();
            assert_eq!(report.findings, [], "{}", template.name);
            let engine = Engine::compile(&config.expect("a pack"), Secrets::new()).expect("it compiles");
            engine.self_test().expect("it tests itself");
            for file in template.files.iter().filter(|file| file.path.starts_with("tests/")) {
                let (cases, report) = read_golden(file.text.as_bytes());
                for case in cases.unwrap_or_else(|| panic!("{}: {report:?}", file.path)) {
                    let outcome = engine.run_case(&case).expect("a request");
                    assert!(outcome.passed, "{} {} {}: {outcome:?}", template.name, file.path, case.name);
                }
            }
        }
    }
}
