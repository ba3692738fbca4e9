//! The keys of one mapping: which are known, which are missing, where each stands.

use crate::lint::collector::{Collector, echo, path_key};
use crate::lint::{rules, secrets};
use crate::location::Location;
use crate::tree::{Entry, Node, NodeKind};

/// A value with its place in the document.
#[derive(Debug, Clone)]
pub(crate) struct Field<'t> {
    pub(crate) path: String,
    pub(crate) node: &'t Node,
}

/// A mapping whose unknown keys were reported.
#[derive(Debug)]
pub(super) struct Fields<'t> {
    path: String,
    at: Location,
    entries: &'t [Entry],
}

// === impl Field ===

impl<'t> Field<'t> {
    /// A child in a list.
    pub(super) fn item(&self, index: usize, node: &'t Node) -> Self {
        Self { path: format!("{}[{index}]", self.path), node }
    }

    /// The entries of a mapping with free keys; another type is an error.
    pub(super) fn entries(&self, expected: &str, findings: &mut Collector) -> Option<&'t [Entry]> {
        match &self.node.kind {
            NodeKind::Mapping(entries) => Some(entries),
            _ => self.wrong_type(expected, findings),
        }
    }

    /// The items of a list; another type is an error.
    pub(super) fn items(&self, expected: &str, limit: usize, findings: &mut Collector) -> Option<&'t [Node]> {
        let NodeKind::Sequence(items) = &self.node.kind else {
            return self.wrong_type(expected, findings);
        };
        if items.len() > limit {
            let message = format!("`{}` has {} items; the limit is {limit}", self.path, items.len());
            findings.add(rules::TOO_MANY_ITEMS, &self.path, self.node.at, message, "shorten the list");
            return None;
        }
        Some(items)
    }

    pub(super) fn wrong_type<T>(&self, expected: &str, findings: &mut Collector) -> Option<T> {
        let message = format!("`{}` must be {expected}, not {}", self.path, self.node.describe());
        findings.add(rules::WRONG_TYPE, &self.path, self.node.at, message, format!("write {expected}"));
        None
    }
}

// === impl Fields ===

impl<'t> Fields<'t> {
    pub(super) fn of_root(root: &'t Node, known: &[&str], findings: &mut Collector) -> Option<Self> {
        if let NodeKind::Mapping(_) = root.kind {
            return Self::of(&Field { path: String::new(), node: root }, known, findings);
        }
        let message = format!("expected a mapping with pack, providers, policies, not {}", root.describe());
        let at = Location { line: root.at.line.max(1), column: root.at.column.max(1) };
        findings.add(rules::WRONG_TYPE, "", at, message, super::OUTLINE);
        None
    }

    /// The keys of `field`, each of which must be in `known`.
    pub(super) fn of(field: &Field<'t>, known: &[&str], findings: &mut Collector) -> Option<Self> {
        let entries = field.entries("a mapping", findings)?;
        let fields = Self { path: field.path.clone(), at: field.node.at, entries };
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            fields.report_unknown(entry, known, findings);
        }
        Some(fields)
    }

    /// The keys of `field`, whatever they are: the rest is said by somebody else's schema.
    pub(super) fn open(field: &Field<'t>, findings: &mut Collector) -> Option<Self> {
        let entries = field.entries("a mapping", findings)?;
        Some(Self { path: field.path.clone(), at: field.node.at, entries })
    }

    pub(super) fn get(&self, key: &str) -> Option<Field<'t>> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        Some(Field { path: join(&self.path, key), node: &entry.value })
    }

    /// The value of `key`; its absence is an error.
    pub(super) fn required(&self, key: &str, findings: &mut Collector) -> Option<Field<'t>> {
        let field = self.get(key);
        if field.is_none() {
            let path = join(&self.path, key);
            let message = format!("`{path}` is required");
            findings.add(rules::MISSING_KEY, &path, self.at, message, format!("add `{key}:`"));
        }
        field
    }

    fn report_unknown(&self, entry: &Entry, known: &[&str], findings: &mut Collector) {
        let path = join(&self.path, &path_key(&entry.key));
        if secrets::is_secret_name(&entry.key) {
            let message = "a literal secret has no place in a pack; the value is not repeated here";
            let suggestion =
                "remove it, use secret_key_ref: {env: NAME}, and replace the key if the file was shared";
            findings.add(rules::LITERAL_SECRET, &path, entry.value.at, message, suggestion);
            return;
        }
        let place =
            if self.path.is_empty() { "at the top".to_owned() } else { format!("in `{}`", self.path) };
        let message = format!("unknown key {} {place}", echo(&entry.key));
        findings.add(rules::UNKNOWN_KEY, &path, entry.key_at, message, suggest(&entry.key, known));
    }
}

/// "did you mean", or what is accepted.
pub(super) fn suggest(given: &str, known: &[&str]) -> String {
    // Comparing costs length times length; no typo is this long.
    let closest = (given.len() <= 64)
        .then(|| {
            let given = given.to_lowercase();
            let distance = |name: &str| strsim::damerau_levenshtein(&given, &name.to_lowercase());
            known.iter().map(|name| (distance(name), *name)).min()
        })
        .flatten()
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(1));
    match closest {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None => format!("accepted: {}", known.join(", ")),
    }
}

pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
