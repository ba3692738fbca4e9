//! What whoever started this process has open and did not mean to give away: a lock held so would be held for ever, and
//! the reader of a pipe would wait for an end that does not come.

use std::os::fd::RawFd;

/// Where the numbers of open ones cannot be read, those below this are tried.
const MOST: RawFd = 1024;

/// Closes what is open but the three that every process has. For the first moment of a process, when nothing else that
/// is open is its own.
pub(crate) fn close_inherited() {
    for number in open_ones().unwrap_or_else(|| (3..MOST).collect()) {
        // One of them was for reading this list, and is closed already.
        let _ = nix::unistd::close(number);
    }
}

fn open_ones() -> Option<Vec<RawFd>> {
    let entries = std::fs::read_dir("/dev/fd").ok()?.flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Some(numbers.filter(|number| *number > 2).collect())
}
