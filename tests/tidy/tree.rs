//! The text files of the checkout, without what is built, fetched or hidden from git.

use std::fs;
use std::path::{Path, PathBuf};

/// Directories that hold no source of ours, wherever they are.
const NOT_OURS: [&str; 4] = ["target", ".git", "node_modules", "dist"];

pub(crate) struct File {
    /// From the root of the checkout, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

pub(crate) struct Tree {
    files: Vec<File>,
}

// === impl Tree ===

impl Tree {
    pub(crate) fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut files = Vec::new();
        let mut waiting = vec![root.to_path_buf()];
        while let Some(directory) = waiting.pop() {
            for entry in fs::read_dir(&directory).unwrap() {
                let entry = entry.unwrap();
                let kind = entry.file_type().unwrap();
                let name = entry.file_name();
                if kind.is_dir() && !NOT_OURS.iter().any(|not_ours| name == *not_ours) {
                    waiting.push(entry.path());
                } else if kind.is_file() {
                    files.extend(read_text(root, entry.path()));
                }
            }
        }
        files.sort_by(|one, two| one.path.cmp(&two.path));
        Self { files }
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = &File> {
        self.files.iter()
    }

    pub(crate) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files().filter(|file| file.path.ends_with(".rs"))
    }

    pub(crate) fn manifests(&self) -> impl Iterator<Item = &File> {
        self.files().filter(|file| file.path.ends_with("/Cargo.toml"))
    }

    pub(crate) fn find(&self, path: &str) -> Option<&str> {
        self.files().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    pub(crate) fn text(&self, path: &str) -> &str {
        self.find(path).unwrap_or_else(|| panic!("{path} is missing"))
    }
}

/// `None` for what is no text.
fn read_text(root: &Path, path: PathBuf) -> Option<File> {
    let text = fs::read_to_string(&path).ok()?;
    let path = path.strip_prefix(root).ok()?.to_str()?.to_owned();
    Some(File { path, text })
}
