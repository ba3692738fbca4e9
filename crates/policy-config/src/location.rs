//! Where in a file something stands.

/// A place in a source file; line and column count from 1 (columns in characters), 0 means the
/// file as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Location {
    pub line: u32,
    pub column: u32,
}
