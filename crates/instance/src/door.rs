//! Unix sockets in a gateway's directory: bound by taking the place over at once, found again where the path is too
//! long for a socket address, and told apart by who is on the other side.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::unistd::Uid;
use policy_config::ConfigDigest;

use crate::durable;

/// The longest path that fits into a socket address here and on the BSDs, without its final zero.
const LONGEST: usize = 103;

/// Who is on the other side, as the kernel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    pub uid: u32,
    /// Of the process that connected or bound; not every kernel tells.
    pub pid: Option<i32>,
}

/// Binds `path`, 0600. Whoever was bound there keeps its connections and gets no new one.
///
/// Where the path is too long, the socket lies in a private directory below `$XDG_RUNTIME_DIR` or `/tmp`, and a
/// symbolic link stands at `path`.
///
/// # Errors
/// Something else stands there, or the file system refuses.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => return Err(io::Error::from(io::ErrorKind::IsADirectory)),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let unfinished = beside(path, ".new");
    let _ = fs::remove_file(&unfinished);
    if fits(&unfinished) {
        let listener = bind_private(&unfinished)?;
        fs::rename(&unfinished, path)?;
        return Ok(listener);
    }
    let short = short_path(path)?;
    let staged = beside(&short, ".new");
    let _ = fs::remove_file(&staged);
    let listener = bind_private(&staged)?;
    fs::rename(&staged, &short)?;
    symlink(&short, &unfinished)?;
    fs::rename(&unfinished, path)?;
    Ok(listener)
}

/// Connects to the socket that [`bind`] made at `path`; one of another user is not talked to.
///
/// # Errors
/// Nobody is there (`NotFound`, `ConnectionRefused`), or it is not this user's nor root's (`PermissionDenied`).
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(reachable(path)?)?;
    let owner = peer(&stream)?.uid;
    if owner != Uid::effective().as_raw() && owner != 0 && !Uid::effective().is_root() {
        return Err(io::Error::from(io::ErrorKind::PermissionDenied));
    }
    Ok(stream)
}

/// Removes the socket and what a long path has elsewhere.
pub fn remove(path: &Path) {
    if let Ok(short) = fs::read_link(path) {
        let _ = fs::remove_file(short);
    }
    let _ = fs::remove_file(path);
}

/// Who is connected.
///
/// # Errors
/// The kernel does not tell.
pub fn peer(stream: &impl AsFd) -> io::Result<Peer> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
        let found = getsockopt(stream, PeerCredentials)?;
        Ok(Peer { uid: found.uid(), pid: Some(found.pid()) })
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let (uid, _) = nix::unistd::getpeereid(stream)?;
        Ok(Peer { uid: uid.as_raw(), pid: None })
    }
}

/// Whether this user's process may be told what to do by `peer`: by its own user, and by root.
pub fn may_order(peer: Peer) -> bool {
    peer.uid == 0 || peer.uid == Uid::effective().as_raw()
}

fn bind_private(path: &Path) -> io::Result<UnixListener> {
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// The path to connect to: of a long one, what its link says.
fn reachable(path: &Path) -> io::Result<PathBuf> {
    if fits(path) {
        return Ok(path.to_owned());
    }
    match fs::read_link(path) {
        Ok(short) => Ok(short),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            Err(io::Error::from(io::ErrorKind::ConnectionRefused))
        }
        Err(error) => Err(error),
    }
}

fn fits(path: &Path) -> bool {
    path.as_os_str().len() <= LONGEST
}

/// A private directory of this user's own, and in it a name that says which path it stands for.
fn short_path(path: &Path) -> io::Result<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(|dir| PathBuf::from(dir).join("kt"));
    let runtime = runtime.filter(|dir| dir.is_absolute() && dir.as_os_str().len() < 60);
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for dir in runtime.into_iter().chain([PathBuf::from(format!("/tmp/kt-{}", Uid::effective()))]) {
        match private(&dir) {
            Ok(()) => {
                let absolute = std::path::absolute(path)?;
                let digest = ConfigDigest::of(absolute.as_os_str().as_encoded_bytes()).hex();
                return Ok(dir.join(digest.get(..24).unwrap_or_default()));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Others may write where it lies: it must be this user's own directory and no link to one.
fn private(dir: &Path) -> io::Result<()> {
    durable::private_dir(dir)?;
    let found = fs::symlink_metadata(dir)?;
    if found.is_dir() && found.uid() == Uid::effective().as_raw() {
        Ok(())
    } else {
        Err(io::Error::from(io::ErrorKind::PermissionDenied))
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    fn talks(path: &Path, listener: &UnixListener) {
        let mut client = connect(path).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let found = peer(&server).unwrap();
        assert_eq!(found.uid, Uid::effective().as_raw());
        assert!(may_order(found));
        client.write_all(b"x").unwrap();
        let mut byte = [0];
        server.read_exact(&mut byte).unwrap();
    }

    #[test]
    fn the_newest_takes_the_place_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        let old = bind(&path).unwrap();
        talks(&path, &old);
        let new = bind(&path).unwrap();
        talks(&path, &new);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(new);
        assert_eq!(connect(&path).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        remove(&path);
        assert_eq!(connect(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_path_that_is_too_long_for_an_address_works_as_well() {
        let dir = tempfile::tempdir().unwrap();
        let long = dir.path().join("a".repeat(120));
        fs::create_dir(&long).unwrap();
        let path = long.join("admin.sock");
        let listener = bind(&path).unwrap();
        talks(&path, &listener);
        let again = bind(&path).unwrap();
        talks(&path, &again);
        let short = fs::read_link(&path).unwrap();
        remove(&path);
        assert!(!short.exists() && fs::symlink_metadata(&path).is_err());
    }

    #[test]
    fn what_stands_in_the_way_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        fs::create_dir(&path).unwrap();
        assert_eq!(bind(&path).unwrap_err().kind(), io::ErrorKind::IsADirectory);
    }
}
