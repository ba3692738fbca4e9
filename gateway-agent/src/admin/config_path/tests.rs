//! One table of paths, found or refused alike by both walks; and a name that is swapped while it is read.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::unistd::{Uid, mkfifo};

use super::*;

const SECRET: &str = "canary-of-a-secret";

fn walks(path: &Path) -> [WorkingDir; 2] {
    [WorkingDir::open(path), WorkingDir { by_kernel: false, ..WorkingDir::open(path) }]
}

fn outcome(dir: &WorkingDir, given: &str) -> Result<Vec<u8>, ErrorCode> {
    let found = dir.read(given);
    if let Err(error) = &found {
        let text = format!("{} {}", error.message, error.hint);
        assert!(!text.contains(SECRET) && !text.contains('\n') && !text.contains('\0'), "{text}");
        assert!(error.message.chars().count() < 700, "{text}");
    }
    found.map_err(|error| error.code)
}

/// A working directory with everything a path may meet, and secrets outside of it.
fn world() -> (tempfile::TempDir, PathBuf) {
    use std::fs;
    let base = tempfile::tempdir().unwrap();
    let work = base.path().join("base");
    fs::create_dir_all(work.join("sub/deep")).unwrap();
    fs::create_dir(base.path().join("outside")).unwrap();
    for secret in ["secret", "outside/policy.yaml"] {
        fs::write(base.path().join(secret), SECRET).unwrap();
    }
    fs::write(work.join("policy.yaml"), "good").unwrap();
    fs::write(work.join("sub/deep/policy.yaml"), "deep").unwrap();
    fs::write(work.join("..policy..yaml"), "dots").unwrap();
    fs::write(work.join("new\nline"), "line").unwrap();
    fs::write(work.join("full"), vec![b'x'; usize::try_from(LARGEST).unwrap()]).unwrap();
    File::create(work.join("large")).unwrap().set_len(LARGEST + 1).unwrap();
    File::create(work.join("huge")).unwrap().set_len(10 << 30).unwrap();
    // Whoever opens these for reading before looking at them is told something else.
    for closed in ["large", "huge"] {
        fs::set_permissions(work.join(closed), fs::Permissions::from_mode(0o000)).unwrap();
    }
    fs::write(work.join("closed"), SECRET).unwrap();
    fs::set_permissions(work.join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    mkfifo(&work.join("fifo"), Mode::empty()).unwrap();
    drop(UnixListener::bind(work.join("socket")).unwrap());
    for (target, link) in [
        ("../secret", "out"),
        ("policy.yaml", "in"),
        ("/proc/self/environ", "magic"),
        ("nowhere", "dangling"),
        ("loop", "loop"),
        ("../outside", "outdir"),
        ("sub", "indir"),
    ] {
        symlink(target, work.join(link)).unwrap();
    }
    (base, work)
}

#[test]
fn both_walks_find_what_is_beneath_and_refuse_the_rest() {
    use ErrorCode::{FileForbidden, FileNotFound, PathRefused};
    let (_base, work) = world();
    let absolute = work.join("policy.yaml").display().to_string();
    let long_name = "n".repeat(300);
    let long_path = "./".repeat(2048) + "policy.yaml";
    let longest_path = "./".repeat(2040) + "policy.yaml";
    let closed = if Uid::effective().is_root() { Ok(SECRET) } else { Err(FileForbidden) };
    let table: Vec<(&str, Result<&str, ErrorCode>)> = vec![
        ("policy.yaml", Ok("good")),
        ("./policy.yaml", Ok("good")),
        (".//./policy.yaml", Ok("good")),
        (&longest_path, Ok("good")),
        ("sub/deep/policy.yaml", Ok("deep")),
        ("sub//deep/./policy.yaml", Ok("deep")),
        ("..policy..yaml", Ok("dots")),
        ("new\nline", Ok("line")),
        ("closed", closed),
        ("", Err(PathRefused)),
        ("/", Err(PathRefused)),
        ("/etc/passwd", Err(PathRefused)),
        ("//etc/passwd", Err(PathRefused)),
        (&absolute, Err(PathRefused)),
        ("..", Err(PathRefused)),
        ("../secret", Err(PathRefused)),
        ("sub/../policy.yaml", Err(PathRefused)),
        ("sub/..", Err(PathRefused)),
        ("./../base/policy.yaml", Err(PathRefused)),
        ("policy.yaml\0", Err(PathRefused)),
        ("\0", Err(PathRefused)),
        (&long_path, Err(PathRefused)),
        (&long_name, Err(PathRefused)),
        (".", Err(PathRefused)),
        ("./.", Err(PathRefused)),
        ("sub", Err(PathRefused)),
        ("sub/", Err(PathRefused)),
        ("sub/deep/.", Err(PathRefused)),
        ("policy.yaml/", Err(PathRefused)),
        ("out", Err(PathRefused)),
        ("in", Err(PathRefused)),
        ("magic", Err(PathRefused)),
        ("dangling", Err(PathRefused)),
        ("loop", Err(PathRefused)),
        ("outdir/policy.yaml", Err(PathRefused)),
        ("indir/deep/policy.yaml", Err(PathRefused)),
        ("fifo", Err(PathRefused)),
        ("socket", Err(PathRefused)),
        ("large", Err(PathRefused)),
        ("huge", Err(PathRefused)),
        ("gone", Err(FileNotFound)),
        ("gone/policy.yaml", Err(FileNotFound)),
        ("policy.yaml/x", Err(FileNotFound)),
        ("fifo/x", Err(FileNotFound)),
        ("~/policy.yaml", Err(FileNotFound)),
        ("%2e%2e/secret", Err(FileNotFound)),
        ("C:\\policy.yaml", Err(FileNotFound)),
        ("..\\secret", Err(FileNotFound)),
    ];
    for dir in walks(&work) {
        for (given, wanted) in &table {
            let found = outcome(&dir, given);
            let found = found.as_deref().map(|bytes| String::from_utf8_lossy(bytes)).map_err(|code| *code);
            assert_eq!(
                found.as_deref().map_err(|code| *code),
                *wanted,
                "by kernel: {} {given:?}",
                dir.by_kernel
            );
        }
        assert_eq!(outcome(&dir, "full").unwrap().len(), 256 * 1024);
        let large = dir.read("large").unwrap_err();
        assert!(large.message.ends_with("it has 262145 bytes; the limit is 262144 (256 KiB)"), "{large:?}");
        assert!(large.hint.ends_with("of at most 256 KiB"), "{large:?}");
    }
    for dir in walks(Path::new("/dev")) {
        for device in ["zero", "tty", "null"] {
            let found = outcome(&dir, device);
            assert_eq!(found, Err(PathRefused), "by kernel: {} {device}", dir.by_kernel);
        }
    }
}

/// Paths of pieces that mean something: whatever they come to, both walks say the same, and nothing of a secret.
#[test]
fn no_path_of_any_pieces_leads_out() {
    let (_base, work) = world();
    let [kernel, portable] = walks(&work);
    let pieces = [
        "..",
        ".",
        "",
        "sub",
        "deep",
        "policy.yaml",
        "out",
        "outdir",
        "indir",
        "magic",
        "fifo",
        "secret",
        "outside",
        "gone",
        "/",
        "\0",
        "\u{202e}",
        "..policy..yaml",
        "socket",
        "loop",
        "work",
        "etc",
        "passwd",
    ];
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut found = 0;
    for _ in 0..4000 {
        let length = random.usize(1..6);
        let path = std::iter::repeat_with(|| pieces[random.usize(..pieces.len())]).take(length);
        let path = path.collect::<Vec<_>>().join("/");
        let outcomes = (outcome(&kernel, &path), outcome(&portable, &path));
        assert_eq!(outcomes.0, outcomes.1, "{path:?} seed {seed}");
        if let Ok(bytes) = outcomes.0 {
            assert!([&b"good"[..], b"deep", b"dots"].contains(&&bytes[..]), "{path:?} seed {seed}");
            found += 1;
        }
    }
    assert!(found > 20, "{found} found, seed {seed}");
}

#[test]
fn a_refusal_says_what_where_why_and_what_to_do() {
    let (_base, work) = world();
    let dir = WorkingDir::open(&work);
    let error = dir.read("/etc/passwd").unwrap_err();
    let shown = work.display();
    assert_eq!(
        error.message,
        format!(
            "`/etc/passwd` is not loaded from the working directory `{shown}`: an absolute path is not accepted; it \
             must be relative to the gateway's working directory"
        )
    );
    assert!(error.hint.contains(&format!("must be relative to the gateway's working directory `{shown}`")));
    let error = dir.read(&format!("\u{1b}[2J\u{202e}{}", "x".repeat(4000))).unwrap_err();
    assert!(error.message.starts_with(r"`\u{1b}[2J\u{202e}xxx"), "{}", error.message);
    assert!(error.message.chars().count() < 400, "{}", error.message);
}

#[test]
fn a_working_directory_that_is_another_by_now_is_not_read() {
    let (base, work) = world();
    for dir in walks(&work) {
        let aside = base.path().join("aside");
        std::fs::rename(&work, &aside).unwrap();
        assert_eq!(outcome(&dir, "policy.yaml"), Err(ErrorCode::PathRefused), "gone");
        symlink("outside", &work).unwrap();
        assert_eq!(outcome(&dir, "policy.yaml"), Err(ErrorCode::PathRefused), "replaced by a link");
        std::fs::remove_file(&work).unwrap();
        std::fs::rename(&aside, &work).unwrap();
        assert_eq!(outcome(&dir, "policy.yaml").unwrap(), b"good", "as it was");
    }
    let error = WorkingDir::open(&base.path().join("nowhere")).read("policy.yaml").unwrap_err();
    assert_eq!(error.code, ErrorCode::PathRefused);
    assert!(error.message.contains("could not be opened at the start"), "{}", error.message);
}

/// The name is a good file, a link to a secret and a FIFO in turn, and its directory a link to a secret's.
#[test]
fn what_is_swapped_meanwhile_is_refused_and_never_read() {
    let (base, work) = world();
    let stop = AtomicBool::new(false);
    let (mut good, mut refused) = ([0_u32; 2], [0_u32; 2]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let next = work.join("next");
            while !stop.load(Ordering::Relaxed) {
                symlink("../secret", &next).unwrap();
                std::fs::rename(&next, work.join("policy.yaml")).unwrap();
                mkfifo(&next, Mode::S_IRWXU).unwrap();
                std::fs::rename(&next, work.join("policy.yaml")).unwrap();
                std::fs::write(&next, "good").unwrap();
                std::fs::rename(&next, work.join("policy.yaml")).unwrap();
                std::fs::rename(work.join("sub"), work.join("put")).unwrap();
                symlink("../outside", work.join("sub")).unwrap();
                std::fs::remove_file(work.join("sub")).unwrap();
                std::fs::rename(work.join("put"), work.join("sub")).unwrap();
            }
        });
        std::fs::rename(base.path().join("outside"), base.path().join("aside")).unwrap();
        std::fs::create_dir_all(base.path().join("outside/deep")).unwrap();
        std::fs::write(base.path().join("outside/deep/policy.yaml"), SECRET).unwrap();
        let began = Instant::now();
        for round in 0.. {
            if began.elapsed() > Duration::from_millis(1200) {
                break;
            }
            for (index, dir) in walks(&work).iter().enumerate() {
                let given = if round % 2 == 0 { "policy.yaml" } else { "sub/deep/policy.yaml" };
                match outcome(dir, given) {
                    Ok(bytes) if bytes == b"good" || bytes == b"deep" => good[index] += 1,
                    Err(ErrorCode::PathRefused | ErrorCode::FileNotFound) => refused[index] += 1,
                    other => panic!("by kernel: {}: {other:?}", dir.by_kernel),
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(good.iter().chain(&refused).all(|count| *count > 10), "{good:?} {refused:?}");
}
