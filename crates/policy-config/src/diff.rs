//! What differs between two packs, by section, over their canonical forms.

use std::collections::BTreeMap;
use std::fmt;

use crate::canonical::{self, Value};
use crate::schema::PolicyConfig;

/// Differences by section; empty exactly when the canonical forms are equal ("no effective change").
/// Shown as lines of `- path: before` and `+ path: after` under the section's name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigDiff {
    pub sections: Vec<SectionDiff>,
}

/// One section that differs: `pack`, `providers`, `policies` or `policy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionDiff {
    pub section: &'static str,
    /// Never empty; in the order of the newer form, removals at their place in the older one last.
    pub changes: Vec<Change>,
}

/// One value that differs, in canonical notation; `None` where it is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// As `providers.targets[openai-primary].timeout`; list items are named by id where they have one.
    pub path: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

/// What changes between `old` and `new`.
pub fn diff(old: &PolicyConfig, new: &PolicyConfig) -> ConfigDiff {
    let sections = canonical::sections(old)
        .iter()
        .zip(&canonical::sections(new))
        .filter(|((_, before), (_, after))| before != after)
        .map(|((section, before), (_, after))| SectionDiff {
            section,
            changes: changes(section, before, after),
        })
        .collect();
    ConfigDiff { sections }
}

// === impl ConfigDiff ===

impl ConfigDiff {
    /// True when nothing that the engine sees differs.
    pub fn is_empty(&self) -> bool {
        self.sections.is_empty()
    }
}

impl fmt::Display for ConfigDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for SectionDiff { section, changes } in &self.sections {
            writeln!(f, "@@ {section} @@")?;
            for Change { path, before, after } in changes {
                if let Some(before) = before {
                    writeln!(f, "- {path}: {before}")?;
                }
                if let Some(after) = after {
                    writeln!(f, "+ {path}: {after}")?;
                }
            }
        }
        Ok(())
    }
}

fn changes(section: &str, before: &Value, after: &Value) -> Vec<Change> {
    let (mut old, mut new) = (Vec::new(), Vec::new());
    flatten(section, before, &mut old);
    flatten(section, after, &mut new);
    let old_by_path: BTreeMap<&str, &String> =
        old.iter().map(|(path, value)| (path.as_str(), value)).collect();
    let new_by_path: BTreeMap<&str, &String> =
        new.iter().map(|(path, value)| (path.as_str(), value)).collect();
    let changed_or_added = new.iter().filter_map(|(path, after)| {
        let before = old_by_path.get(path.as_str()).copied();
        (before != Some(after)).then(|| Change {
            path: path.clone(),
            before: before.cloned(),
            after: Some(after.clone()),
        })
    });
    let removed = old
        .iter()
        .filter(|(path, _)| !new_by_path.contains_key(path.as_str()))
        .map(|(path, before)| Change { path: path.clone(), before: Some(before.clone()), after: None });
    changed_or_added.chain(removed).collect()
}

/// Every leaf with its path. A list of mappings with ids also yields their order, so that moving a target is a
/// change; of mappings without, each is a leaf; another list is one leaf.
fn flatten(path: &str, value: &Value, leaves: &mut Vec<(String, String)>) {
    match value {
        Value::Map(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                flatten(&format!("{path}.{key}"), value, leaves);
            }
        }
        Value::List(items) if items.iter().any(has_id) => {
            let ids: Vec<String> = items.iter().map(id_of).collect();
            leaves.push((path.to_owned(), format!("[{}]", ids.join(", "))));
            for (id, item) in ids.iter().zip(items) {
                flatten(&format!("{path}[{id}]"), item, leaves);
            }
        }
        Value::List(items) if items.iter().any(|item| matches!(item, Value::Map(_))) => {
            for (at, item) in items.iter().enumerate() {
                leaves.push((format!("{path}[{at}]"), canonical::inline(item)));
            }
        }
        leaf => leaves.push((path.to_owned(), canonical::inline(leaf))),
    }
}

fn has_id(item: &Value) -> bool {
    matches!(item, Value::Map(entries) if entries.iter().any(|(key, _)| key == "id"))
}

fn id_of(item: &Value) -> String {
    let Value::Map(entries) = item else { return canonical::inline(item) };
    match entries.iter().find(|(key, _)| key == "id") {
        Some((_, Value::Text(id))) => id.clone(),
        _ => canonical::inline(item),
    }
}
