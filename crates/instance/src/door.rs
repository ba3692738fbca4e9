//! Unix sockets in a gateway's directory: bound by taking the place over at once, found again where the path is too
//! long for a socket address, and told apart by who is on the other side.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, mkdtemp};
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
/// symbolic link stands at `path`. Others may write in `/tmp`: what is not this user's own there is left alone.
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
    let unfinished = durable::with_suffix(path, ".new");
    let _ = fs::remove_file(&unfinished);
    if fits(&unfinished) {
        let listener = bind_private(&unfinished)?;
        fs::rename(&unfinished, path)?;
        return Ok(listener);
    }
    let before = fs::read_link(path).ok();
    let short = short_path(path, before.as_deref())?;
    let staged = durable::with_suffix(&short, ".new");
    let _ = fs::remove_file(&staged);
    let listener = bind_private(&staged)?;
    fs::rename(&staged, &short)?;
    symlink(&short, &unfinished)?;
    fs::rename(&unfinished, path)?;
    if let Some(before) = before.filter(|before| *before != short) {
        remove_elsewhere(&before);
    }
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
    let short = fs::read_link(path);
    let _ = fs::remove_file(path);
    if let Ok(short) = short {
        remove_elsewhere(&short);
    }
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

/// In a directory of this user's own, a name that says which path it stands for. `before`: where it was.
fn short_path(path: &Path, before: Option<&Path>) -> io::Result<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(|dir| PathBuf::from(dir).join("kt"));
    let runtime = runtime.filter(|dir| dir.is_absolute() && dir.as_os_str().len() < 60);
    let known: Vec<PathBuf> = runtime.into_iter().chain([PathBuf::from(own_name())]).collect();
    let dir = short_dir(before.and_then(Path::parent), &known, &own_name())?;
    let absolute = std::path::absolute(path)?;
    let digest = ConfigDigest::of(absolute.as_os_str().as_encoded_bytes()).hex();
    Ok(dir.join(digest.get(..24).unwrap_or_default()))
}

/// What anybody may have made before us.
fn own_name() -> String {
    format!("/tmp/kt-{}", Uid::effective())
}

/// The directory of `before` if it is still ours, else the first of `known` that is or can be, else a new one whose name
/// begins with `new`: the link says where it is, so nobody can keep us from having one.
fn short_dir(before: Option<&Path>, known: &[PathBuf], new: &str) -> io::Result<PathBuf> {
    if let Some(before) = before.filter(|before| is_ours(before).is_ok()) {
        return Ok(before.to_owned());
    }
    for dir in known {
        // It is there, or its parent is not; the look says.
        let _ = DirBuilder::new().mode(0o700).create(dir);
        if is_ours(dir).is_ok() {
            return Ok(dir.clone());
        }
    }
    let template = format!("{new}-XXXXXX");
    mkdtemp(template.as_str()).map_err(|errno| {
        let error = io::Error::from(errno);
        io::Error::new(
            error.kind(),
            format!("no directory for the socket can be made as `{template}`: {error}"),
        )
    })
}

/// Whether it is a directory of this user's own and no link to one; then nobody else may enter it. One descriptor is
/// looked at and changed, so that nothing can be put in its place between.
fn is_ours(dir: &Path) -> io::Result<()> {
    let opened = durable::open_dir(dir)?;
    if opened.metadata()?.uid() != Uid::effective().as_raw() {
        return Err(io::Error::from(io::ErrorKind::PermissionDenied));
    }
    durable::restrict(&opened)
}

/// A socket that a link led to, and its directory if that was made for it alone.
fn remove_elsewhere(short: &Path) {
    if fs::symlink_metadata(short).is_ok_and(|found| found.file_type().is_socket()) {
        let _ = fs::remove_file(short);
    }
    let made_for_it = format!("{}-", own_name());
    if let Some(dir) = short.parent().filter(|dir| dir.to_string_lossy().starts_with(&made_for_it)) {
        let _ = fs::remove_dir(dir);
    }
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
    fn what_others_made_in_a_public_place_is_left_alone_and_stops_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let victim = dir.path().join("victim");
        fs::create_dir(&victim).unwrap();
        fs::set_permissions(&victim, fs::Permissions::from_mode(0o755)).unwrap();
        let (link, file, foreign) =
            (dir.path().join("link"), dir.path().join("file"), dir.path().join("foreign"));
        symlink(&victim, &link).unwrap();
        fs::write(&file, "").unwrap();
        fs::create_dir(&foreign).unwrap();
        fs::set_permissions(&foreign, fs::Permissions::from_mode(0o777)).unwrap();
        let mut known = vec![link, file, dir.path().join("no/parent")];
        if Uid::effective().is_root() {
            std::os::unix::fs::chown(&foreign, Some(65534), None).unwrap();
            known.push(foreign.clone());
        }
        let new = dir.path().join("kt-0").display().to_string();
        let first = short_dir(None, &known, &new).unwrap();
        assert!(first.to_string_lossy().starts_with(&format!("{new}-")), "{first:?}");
        assert_eq!((mode(&first), mode(&victim), mode(&foreign)), (0o700, 0o755, 0o777));
        // It is found again, and one of this user's own is made private.
        assert_eq!(short_dir(Some(&first), &known, &new).unwrap(), first);
        let ours = dir.path().join("ours");
        fs::create_dir(&ours).unwrap();
        fs::set_permissions(&ours, fs::Permissions::from_mode(0o777)).unwrap();
        known.push(ours.clone());
        assert_eq!(short_dir(Some(&dir.path().join("gone")), &known, &new).unwrap(), ours);
        assert_eq!(mode(&ours), 0o700);
        let refused = short_dir(None, &[], "/proc/kt-0").unwrap_err();
        assert!(refused.to_string().contains("`/proc/kt-0-XXXXXX`"), "{refused}");
    }

    #[test]
    fn a_socket_elsewhere_goes_when_another_one_is_linked() {
        let dir = tempfile::tempdir().unwrap();
        let long = dir.path().join("a".repeat(120));
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::create_dir(&long).unwrap();
        fs::create_dir(&real).unwrap();
        symlink(&real, &link).unwrap();
        let path = long.join("admin.sock");
        for (name, is_socket) in [("socket", true), ("file", false)] {
            let old = real.join(name);
            match is_socket {
                true => drop(UnixListener::bind(&old).unwrap()),
                false => fs::write(&old, "").unwrap(),
            }
            let _ = fs::remove_file(&path);
            // Through a link a directory is not ours.
            symlink(link.join(name), &path).unwrap();
            let listener = bind(&path).unwrap();
            talks(&path, &listener);
            assert_eq!(old.exists(), !is_socket, "{name}");
        }
        remove(&path);
        let made = mkdtemp(format!("{}-XXXXXX", own_name()).as_str()).unwrap();
        symlink(made.join("s"), &path).unwrap();
        let listener = bind(&path).unwrap();
        talks(&path, &listener);
        assert_eq!(fs::read_link(&path).unwrap().parent(), Some(made.as_path()), "ours is used again");
        remove(&path);
        assert!(!made.exists(), "nothing is left");
    }

    #[test]
    fn what_stands_in_the_way_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        fs::create_dir(&path).unwrap();
        assert_eq!(bind(&path).unwrap_err().kind(), io::ErrorKind::IsADirectory);
    }
}
