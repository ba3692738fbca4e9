//! Copies of the example packs that point at this machine's provider, and what was replaced in them.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::tell;

const PROVIDER: &str = "https://api.openai.com";
const KEY: &str = "OPENAI_API_KEY";

/// The three files of the story.
pub struct Packs {
    /// 0.1.0: blocks prompt injection.
    pub first: PathBuf,
    /// 0.1.1: also redacts PII.
    pub second: PathBuf,
    /// 0.1.2: names a key that no gateway here has.
    pub refused: PathBuf,
}

/// The variable that no gateway of the demo has.
pub const MISSING_KEY: &str = "DEMO_MISSING_API_KEY";

// === impl Packs ===

impl Packs {
    /// Writes the copies into `directory`.
    pub fn copy(directory: &Path, provider: &str) -> anyhow::Result<Self> {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
        let first = read(&examples.join("policy-config.yaml"))?;
        let second = read(&examples.join("policy-config-0.1.1.yaml"))?;
        let refused = replace(&replace(&second, "version: 0.1.1", "version: 0.1.2")?, KEY, MISSING_KEY)?;
        tell("  in all three copies:");
        tell(&format!("  -      base_url: {PROVIDER}"));
        tell(&format!("  +      base_url: {provider}"));
        let write = |name: &str, text: &str| -> anyhow::Result<PathBuf> {
            let path = directory.join(name);
            std::fs::write(&path, replace(text, PROVIDER, provider)?)
                .with_context(|| format!("cannot write {}", path.display()))?;
            Ok(path)
        };
        Ok(Self {
            first: write("policy-config.yaml", &first)?,
            second: write("policy-config-0.1.1.yaml", &second)?,
            refused: write("policy-config-0.1.2.yaml", &refused)?,
        })
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn replace(text: &str, from: &str, to: &str) -> anyhow::Result<String> {
    anyhow::ensure!(text.contains(from), "the example pack no longer holds `{from}`");
    Ok(text.replace(from, to))
}
