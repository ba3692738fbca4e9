//! The token and the way to the control plane: exit 4 says which of the three, exit 5 says where nobody is.

use std::os::unix::fs::PermissionsExt;

use tests::kt::Kt;

/// A port that nobody listens on.
const NOBODY: &str = "http://127.0.0.1:1";

fn with_token(mode: u32, text: &str) -> Kt {
    let kt = Kt::new();
    let path = kt.file("operator.token", text);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    kt.with("KT_TOKEN_FILE", path).with("KT_CONTROL_PLANE", NOBODY)
}

#[test]
fn no_token() {
    insta::assert_snapshot!(Kt::new().run(&["fleet", "list"]), @r#"
    exit 4
    --- stderr
    error: no operator token: KT_TOKEN_FILE is not set, and there is no `<data>/operator.token`
      hint: set KT_TOKEN_FILE to the operator.token in the data directory of the control plane
    "#);
}

#[test]
fn a_named_token_file_that_is_missing() {
    let kt = Kt::new().with("KT_TOKEN_FILE", "nowhere/operator.token");
    insta::assert_snapshot!(kt.run(&["config", "list"]), @r#"
    exit 4
    --- stderr
    error: KT_TOKEN_FILE names `nowhere/operator.token`, and there is no such file
      hint: name the operator.token in the data directory of the control plane
    "#);
    assert_eq!(kt.run(&["config", "list", "--json"]).error()["code"], "token_file_missing");
}

#[test]
fn a_token_file_that_others_may_read() {
    insta::assert_snapshot!(with_token(0o644, "kt_secret\n").run(&["fleet", "list"]), @r#"
    exit 4
    --- stderr
    error: the token file `<home>/operator.token` may be read by others (mode 0644)
      hint: make it your own with `chmod 600 <home>/operator.token`
    "#);
}

#[test]
fn a_token_file_that_holds_no_token() {
    for text in ["", "\n", "two words", "kt_\u{1b}[31m", &"x".repeat(5000)] {
        let said = with_token(0o600, text).run(&["fleet", "list", "--json"]);
        assert_eq!((said.code, said.error()["code"].as_str()), (4, Some("token_file_refused")), "{said}");
        assert!(!said.stderr.contains("two words"), "a token is never repeated: {said}");
    }
    let kt = Kt::new();
    let said = Kt::new().with("KT_TOKEN_FILE", kt.home()).run(&["fleet", "list"]);
    assert_eq!(said.code, 4, "a directory: {said}");
}

#[test]
fn nobody_is_there() {
    let kt = with_token(0o600, "kt_secret\n");
    insta::assert_snapshot!(kt.run(&["fleet", "list"]), @r#"
    exit 5
    --- stderr
    error: cannot reach the control plane at http://127.0.0.1:1: Connection refused (os error 111)
      hint: start it with `kt-control-plane` or `kt dev`, or name another one with --control-plane or KT_CONTROL_PLANE
    "#);
    let said = kt.run(&["history", "--follow", "--json"]);
    assert_eq!((said.code, said.error()["code"].as_str()), (5, Some("unreachable")), "{said}");
}

#[test]
fn something_else_is_there() {
    use std::io::Write;

    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    // For as long as this test's process lives.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let kt = with_token(0o600, "kt_secret\n");
    for words in [&["fleet", "list"][..], &["history", "--follow"]] {
        let said = kt.run(&[words, &["--control-plane", &url]].concat());
        assert_eq!(said.code, 5, "{said}");
        assert!(said.stderr.contains(&url) && !said.stderr.contains("kt_secret"), "{said}");
    }
}

#[test]
fn somebody_is_there_and_says_nothing() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let began = std::time::Instant::now();
    let said = with_token(0o600, "kt_secret\n").run(&["fleet", "list", "--control-plane", &url]);
    assert_eq!(said.code, 5, "{said}");
    assert!(said.stderr.contains(&url), "{said}");
    assert!(began.elapsed() < std::time::Duration::from_secs(12), "{:?}: {said}", began.elapsed());
}

#[test]
fn local_checks_come_before_the_network() {
    let kt = with_token(0o600, "kt_secret\n");
    let pack = kt.file("broken.yaml", "pack: [\n");
    let said = kt.run(&["config", "push", &pack, "--json"]);
    assert_eq!((said.code, said.error()["code"].as_str()), (2, Some("invalid_pack")), "{said}");
    assert_eq!(kt.run(&["config", "push", "missing.yaml"]).code, 3);
}
