//! A gateway of a fleet on this host: what its start tells, and what may be changed here.

#![cfg(test)]

use tests::eventually::eventually;
use tests::operator::pack;
use tests::plane::{PATIENCE, Plane};

use crate::local_host::Host;

// The control plane runs in this process, beside the thread that waits for kt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_tells_how_it_stands_with_its_control_plane() {
    let mut plane = Plane::start().await;
    plane.create_fleet("prod").await;
    let host = Host::of(tests::kt::Kt::new().with("KT_TOKEN_FILE", plane.token_file()));
    let install = format!(
        "gateway install --name edge-1 --listen 127.0.0.1:{{port}} --fleet prod --control-plane {}",
        plane.url
    );
    let said = host.run(&install).ok();
    assert!(said.stdout.contains("as one of fleet prod"), "{said}");
    let said = host.run("gateway start --name edge-1").ok();
    assert!(said.stdout.contains("connected, waiting for its first config"), "{said}");
    let status = host.status("edge-1");
    assert_eq!((&status["source"], &status["ready"]), (&"control-plane".into(), &false.into()));

    plane.push("prod", &pack("0.1.0")).await;
    host.until_serves("0.1.0").await;
    let said = host.run("gateway restart --name edge-1").ok();
    assert!(said.stdout.contains("connected, serving 0.1.0"), "{said}");

    host.kt.file("emergency.yaml", pack("0.0.9"));
    let refused = host.run("gateway reload --name edge-1 --config-path emergency.yaml");
    assert_eq!(refused.code, 6, "{refused}");
    assert!(refused.stderr.contains("--break-glass --reason TEXT"), "in the words of kt: {refused}");
    let unsaid = host.run("gateway reload --name edge-1 --config-path emergency.yaml --break-glass");
    assert_eq!(unsaid.code, 2, "a reason is asked for: {unsaid}");
    let words = [
        "gateway",
        "reload",
        "--name",
        "edge-1",
        "--config-path",
        "emergency.yaml",
        "--break-glass",
        "--reason",
        "0.1.0 is slow",
    ];
    let _ = host.kt.run(&words).ok();
    let status = host.status("edge-1");
    assert_eq!((&status["pinned"], &status["observed"]["version"]), (&true.into(), &"0.0.9".into()));
    let shown = host.run("gateway status --name edge-1").ok().stdout;
    assert!(shown.contains("unpin --name edge-1"), "{shown}");
    let said = host.run("gateway unpin --name edge-1").ok();
    assert!(said.stdout.contains("is unpinned: it follows fleet prod again"), "{said}");
    let said = host.run("gateway unpin --name edge-1").ok();
    assert!(said.stdout.contains("was not pinned"), "{said}");
    eventually("it follows its fleet again", PATIENCE, async || {
        let status = host.status("edge-1");
        let follows = status["pinned"] == false && status["observed"]["version"] == "0.1.0";
        if follows { Ok(()) } else { Err(status) }
    })
    .await;

    plane.stop().await;
    let _ = host.run("gateway stop --name edge-1").ok();
    let said = host.run("gateway start --name edge-1").ok();
    assert!(said.stdout.contains("control plane unreachable, serving 0.1.0 from disk"), "{said}");
    let _ = host.run("gateway stop --name edge-1").ok();
}
