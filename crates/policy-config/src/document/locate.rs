//! Where in the source a path such as `providers.targets[0].secret_key_ref` stands: for findings of later
//! stages, which know the config and no longer the file.

use crate::lint::collector::Collector;
use crate::lint::report::Finding;
use crate::location::Location;
use crate::tree::{Node, NodeKind};

use super::{PolicyDocument, read_tree, source};

// === impl PolicyDocument ===

impl PolicyDocument {
    /// Gives each finding without a place the place of its path, or of the nearest part of it that is there.
    pub fn locate(&self, findings: &mut [Finding]) {
        let mut unheard = Collector::default();
        let root = source::check(&self.source, self.size, &mut unheard)
            .and_then(|text| read_tree(&text, &mut unheard));
        let Some(root) = root else { return };
        for finding in findings.iter_mut().filter(|finding| finding.location == Location::default()) {
            finding.location = walk(&root, &finding.path);
        }
    }
}

fn walk(root: &Node, path: &str) -> Location {
    let mut node = root;
    let mut at = root.at;
    for step in path.split(['.', '[']).filter(|step| !step.is_empty()) {
        let child = match &node.kind {
            NodeKind::Mapping(entries) => {
                entries.iter().find(|entry| entry.key == step).map(|entry| (entry.key_at, &entry.value))
            }
            NodeKind::Sequence(items) => step
                .strip_suffix(']')
                .and_then(|index| index.parse::<usize>().ok())
                .and_then(|index| items.get(index))
                .map(|item| (item.at, item)),
            NodeKind::Scalar(_) => None,
        };
        let Some((child_at, child)) = child else { return at };
        (at, node) = (child_at, child);
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::report::Severity;

    const SOURCE: &str = "a:\n  - b: 1\n    c: 2\n  - b: 3\nd: {e: 4}\n";

    fn place(path: &str) -> (u32, u32) {
        let mut findings = [Finding {
            code: "X".into(),
            severity: Severity::Error,
            path: path.into(),
            location: Location::default(),
            message: String::new(),
            suggestion: String::new(),
        }];
        PolicyDocument::new(SOURCE).locate(&mut findings);
        (findings[0].location.line, findings[0].location.column)
    }

    #[test]
    fn a_path_is_found_or_its_nearest_part() {
        assert_eq!(place("a[0].c"), (3, 5));
        assert_eq!(place("a[1]"), (4, 5));
        assert_eq!(place("d.e"), (5, 5));
        assert_eq!(place("a[7].b"), (1, 1));
        assert_eq!(place("d.f.g"), (5, 1));
        assert_eq!(place(""), (1, 1));
    }

    #[test]
    fn a_file_that_is_no_yaml_has_no_places() {
        let mut findings = [Finding {
            code: "X".into(),
            severity: Severity::Error,
            path: "a".into(),
            location: Location::default(),
            message: String::new(),
            suggestion: String::new(),
        }];
        PolicyDocument::new(&b"\xff"[..]).locate(&mut findings);
        assert_eq!(findings[0].location, Location::default());
    }
}
