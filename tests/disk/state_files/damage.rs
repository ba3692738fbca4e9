//! What can be wrong with a file, and how it is made so.
#![cfg(test)]

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::sys::stat::Mode;

use super::{Lived, copy_dir};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damage {
    Missing,
    Empty,
    /// This many bytes are left.
    Cut(usize),
    /// One bit of this byte, which one is drawn.
    Flip(usize),
    /// Bytes are copied over others, as a broken disk or tool does.
    Smear(usize),
    Garbage,
    /// More than anybody wrote.
    Huge,
    /// A valid copy from before.
    Older,
    /// The same file of another gateway of another fleet; in the place of `.`, all of them.
    Foreign,
    Mode(u32),
    /// Where this user may give files away.
    Owner,
    /// To a valid file elsewhere.
    Link,
    /// With something in it.
    Directory,
    Fifo,
}

// === impl Damage ===

impl Damage {
    /// All that is tried on one file of this length.
    pub(crate) fn of_a_file(length: usize, full: bool) -> Vec<Self> {
        let mut damages = vec![
            Self::Missing,
            Self::Empty,
            Self::Garbage,
            Self::Huge,
            Self::Older,
            Self::Foreign,
            Self::Mode(0o644),
            Self::Mode(0o000),
            Self::Owner,
            Self::Link,
            Self::Directory,
            Self::Fifo,
        ];
        // Without its last newline a file is still whole.
        let (cuts, flips, smears) = if full { (length / 64, 500, 100) } else { (2, 4, 2) };
        let spread =
            move |count: usize| (0..count).map(move |number| (number * 2 + 1) * (length - 2) / (count * 2));
        damages.extend(spread(cuts.max(1)).map(Self::Cut));
        damages.extend(spread(flips).map(Self::Flip));
        damages.extend(spread(smears).map(Self::Smear));
        damages
    }

    /// Whether a start must notice it. A bit of a space may be flipped without harm; root reads what it likes;
    /// an older pack has another name, and an older copy in the place of the older slot is what belongs there.
    pub(crate) fn is_noticed(self) -> bool {
        match self {
            Self::Empty | Self::Cut(_) | Self::Garbage | Self::Huge | Self::Foreign => true,
            Self::Link | Self::Directory | Self::Fifo => true,
            Self::Missing | Self::Flip(_) | Self::Smear(_) | Self::Older | Self::Mode(_) | Self::Owner => {
                false
            }
        }
    }

    pub(crate) fn apply(self, dir: &Path, file: &str, lived: &Lived, seed: u64) {
        let path = dir.join(file);
        let mut random = fastrand::Rng::with_seed(seed);
        let bytes = fs::read(&path).unwrap_or_default();
        let write = |bytes: &[u8]| fs::write(&path, bytes).expect("it can be written");
        let remove = || fs::remove_file(&path).expect("it can be removed");
        match self {
            Self::Missing => remove(),
            Self::Empty => write(b""),
            Self::Cut(left) => write(&bytes[..left]),
            Self::Flip(at) => {
                let mut bytes = bytes;
                bytes[at] ^= 1 << random.u32(..8);
                write(&bytes);
            }
            Self::Smear(at) => {
                let mut bytes = bytes;
                let length = random.usize(1..=64).min(bytes.len() - at);
                let from = random.usize(..=bytes.len() - length);
                bytes.copy_within(from..from + length, at);
                write(&bytes);
            }
            Self::Garbage => write(&std::iter::repeat_with(|| random.u8(..)).take(4096).collect::<Vec<_>>()),
            Self::Huge => {
                File::options().write(true).open(&path).and_then(|file| file.set_len(1 << 30)).expect("room")
            }
            Self::Older if file.starts_with("standing") => write(&lived.older_standing),
            Self::Older => {}
            Self::Foreign if file == "." => {
                fs::remove_dir_all(dir).expect("it can be removed");
                copy_dir(&lived.foreign, dir);
            }
            Self::Foreign if file.starts_with("packs/") => {
                let other = fs::read_dir(lived.foreign.join("packs")).expect("packs").flatten().next();
                write(&fs::read(other.expect("a pack").path()).expect("its bytes"));
            }
            Self::Foreign => write(&fs::read(lived.foreign.join(file)).expect("the other's file")),
            Self::Mode(mode) => fs::set_permissions(&path, Permissions::from_mode(mode)).expect("its mode"),
            Self::Owner => {
                let nobody = nix::unistd::Uid::from_raw(65_534);
                // Only root may; for others this case is the file as it is.
                let _ = nix::unistd::chown(&path, Some(nobody), None);
            }
            Self::Link => {
                let elsewhere = dir.with_file_name(format!("elsewhere-{}", file.replace('/', "-")));
                fs::rename(&path, &elsewhere).expect("it can be moved");
                std::os::unix::fs::symlink(&elsewhere, &path).expect("a link");
            }
            Self::Directory => {
                remove();
                fs::create_dir(&path).expect("a directory");
                fs::write(path.join("inside"), b"x").expect("a file in it");
            }
            Self::Fifo => {
                remove();
                nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).expect("a FIFO");
            }
        }
    }
}
