//! The inputs that were committed: real ones, and those that once broke something.

use std::path::{Path, PathBuf};

/// Every file of a target, those that once broke something first.
pub(crate) fn inputs(target: &str) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory(target))
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    paths.sort_by_key(|path| (!is_regression(path), path.clone()));
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

pub(crate) fn directory(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

fn is_regression(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("regression-"))
}
