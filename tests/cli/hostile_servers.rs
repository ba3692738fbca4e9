//! What `kt` may find where a control plane should be: each ends in time, with one clear error, exit 5 unless
//! something answered for real, and nothing of the peer's reaches the terminal as it is.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use tests::kt::Kt;

/// A server that answers every connection with these bytes, reads what comes, and closes after a moment.
fn server(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    // For as long as this test's process lives.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || {
                let mut asked = [0; 4096];
                // The beginning of HTTP/2 and the call: a peer that is answered too early says other things.
                let _ = stream.set_read_timeout(Some(Duration::from_millis(300)));
                while stream.read(&mut asked).is_ok_and(|length| length > 0) {}
                let _ = stream.write_all(&answer);
                while stream.read(&mut asked).is_ok_and(|length| length > 0) {}
            });
        }
    });
    url
}

fn kt() -> Kt {
    let kt = Kt::new();
    let path = kt.file("operator.token", "kt_secret\n");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    kt.with("KT_TOKEN_FILE", path)
}

/// HTTP/2 as far as it goes: settings, and an answer to the first call with these fields.
fn http2(status: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = vec![0x80 | status];
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).expect("a short text"));
            block.extend(text.as_bytes());
        }
    }
    let mut bytes = vec![0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, u8::try_from(block.len()).expect("a short block")];
    // HEADERS, END_STREAM and END_HEADERS, on the first stream.
    bytes.extend([1, 5, 0, 0, 0, 1]);
    bytes.extend(block);
    bytes
}

#[test]
fn what_is_no_control_plane_is_told_in_time() {
    let cases = [
        ("closes", Vec::new(), 5),
        ("garbage", vec![0xa5; 64 * 1024], 5),
        ("TLS", b"\x15\x03\x01\x00\x02\x02\x28".to_vec(), 5),
        ("HTTP/1", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec(), 5),
        // A frame of 16 MiB that never comes.
        ("a huge frame", vec![0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1], 5),
        // GOAWAY with ENHANCE_YOUR_CALM.
        ("goes away", vec![0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11], 5),
        // 404 of a web server that speaks HTTP/2.
        ("another HTTP/2", http2(13, &[("content-type", "text/html")]), 1),
    ];
    let kt = kt();
    for (name, answer, code) in cases {
        let url = server(answer);
        let began = Instant::now();
        let said = kt.run(&["fleet", "list", "--json", "--control-plane", &url]);
        assert_eq!(said.code, code, "{name}: {said}");
        assert!(
            said.error()["message"].as_str().is_some_and(|message| !message.is_empty()),
            "{name}: {said}"
        );
        assert!(!said.stderr.contains("kt_secret") && !said.stderr.contains("panicked"), "{name}: {said}");
        assert!(began.elapsed() < Duration::from_secs(12), "{name}: {:?}", began.elapsed());
    }
}

#[test]
fn what_a_peer_says_reaches_the_terminal_inert() {
    let fields = [
        ("content-type", "application/grpc"),
        ("grpc-status", "9"),
        ("grpc-message", "%1B[31mred%0D%0Aerror: forged%07"),
    ];
    let url = server(http2(8, &fields));
    let said = kt().run(&["fleet", "list", "--control-plane", &url]);
    assert_eq!(said.code, 6, "{said}");
    assert!(said.stderr.contains("red") && !said.stderr.contains('\u{1b}'), "{said:?}");
    assert!(!said.stderr.contains('\u{7}') && !said.stderr.contains("\nerror: forged"), "{said:?}");
}
