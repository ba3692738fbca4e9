//! Follows the bytes of a JSON document, wherever they are cut, as far as it takes to know what stands at its top.

/// Finds the objects under `usage`: at the root, in `response` and in `message`.
#[derive(Debug, Default)]
pub(super) struct Finder {
    /// Containers that are open.
    depth: usize,
    /// Of the containers down to a depth of 64, outside first from the right: whether it is an array.
    arrays: u64,
    text: Option<Text>,
    /// What was read of a string near the top, as far as it may be a key that counts.
    word: Vec<u8>,
    /// That string is whole; if a colon and an object follow, it was a key.
    key: Key,
    /// The second level lies in an object that may tell.
    tells: bool,
    /// The object that is being taken, from its `{` on, and the depth outside of it.
    taken: Option<(Vec<u8>, usize)>,
}

/// Inside of a string.
#[derive(Debug, Clone, Copy)]
struct Text {
    escaped: bool,
    /// It lies so near the top that it may be a key that counts.
    near: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Key {
    #[default]
    None,
    Usage,
    /// Of an object that has a `usage` of its own.
    Outer,
}

/// A `usage` that is longer is not one that we know.
const LONGEST: usize = 4096;
/// No key that counts is longer.
const LONGEST_KEY: usize = 8;

// === impl Finder ===

impl Finder {
    pub(super) fn has_not_begun(&self) -> bool {
        self.depth == 0 && self.text.is_none()
    }

    /// Reads on, and gives each object that is whole.
    pub(super) fn read(&mut self, bytes: &[u8], found: &mut impl FnMut(&[u8])) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let length = match self.text {
                Some(text) => self.read_text(text, rest),
                None => self.read_between(rest, found),
            };
            rest = rest.get(length.max(1)..).unwrap_or_default();
        }
    }

    /// Up to the end of the string, or of what there is of it. Gives how much that is.
    fn read_text(&mut self, text: Text, rest: &[u8]) -> usize {
        let (part, next) = match memchr::memchr2(b'"', b'\\', rest) {
            _ if text.escaped => (1, Some(Text { escaped: false, ..text })),
            Some(at) if rest.get(at) == Some(&b'\\') => (at + 1, Some(Text { escaped: true, ..text })),
            Some(at) => (at + 1, None),
            None => (rest.len(), Some(text)),
        };
        let read = rest.get(..part).unwrap_or_default();
        if text.near && self.word.len() <= LONGEST_KEY {
            self.word.extend(read.iter().take(LONGEST_KEY + 2));
        }
        self.text = next;
        if next.is_none() {
            self.key = match self.word.as_slice() {
                b"usage\"" if text.near => Key::Usage,
                b"response\"" | b"message\"" if text.near && self.depth == 1 => Key::Outer,
                _ => Key::None,
            };
        }
        self.take(read);
        part
    }

    /// Up to the next byte that counts, it included.
    fn read_between(&mut self, rest: &[u8], found: &mut impl FnMut(&[u8])) -> usize {
        let Some(at) = self.next(rest) else {
            self.take(rest);
            return rest.len();
        };
        let byte = rest.get(at).copied().unwrap_or_default();
        match byte {
            b'"' => {
                let near = self.taken.is_none() && (self.depth == 1 || (self.depth == 2 && self.tells));
                self.word.clear();
                self.text = Some(Text { escaped: false, near });
            }
            b'{' | b'[' => {
                let key = std::mem::take(&mut self.key);
                if byte == b'{' && key == Key::Usage && self.taken.is_none() {
                    self.taken = Some((Vec::new(), self.depth));
                }
                if self.depth == 1 {
                    self.tells = byte == b'{' && key == Key::Outer;
                }
                self.arrays = self.arrays << 1 | u64::from(byte == b'[');
                self.depth += 1;
            }
            b'}' | b']' => {
                self.key = Key::None;
                self.arrays >>= 1;
                self.depth = self.depth.saturating_sub(1);
            }
            // a colon leaves the key standing
            b',' => self.key = Key::None,
            _ => {}
        }
        self.take(rest.get(..=at).unwrap_or_default());
        if let Some((object, _)) = self.taken.take_if(|(_, outside)| byte == b'}' && self.depth == *outside) {
            found(&object);
        }
        at + 1
    }

    fn next(&self, rest: &[u8]) -> Option<usize> {
        // numbers by the thousand: of what is next in an array, only these open or end anything
        if self.arrays & 1 == 1 && self.depth > 2 {
            let at = memchr::memchr3(b'"', b']', b'{', rest);
            let before = at.and_then(|at| rest.get(..at)).unwrap_or(rest);
            return memchr::memchr(b'[', before).or(at);
        }
        rest.iter().position(|byte| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']' | b','))
    }

    fn take(&mut self, read: &[u8]) {
        let Some((object, _)) = &mut self.taken else { return };
        // from its own bracket on
        let read = match object.is_empty() {
            true => read.get(read.len().saturating_sub(1)..).unwrap_or_default(),
            false => read,
        };
        object.extend_from_slice(read);
        if object.len() > LONGEST {
            self.taken = None;
        }
    }
}
