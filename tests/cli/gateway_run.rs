//! `kt gateway run` becomes `kt-gateway`: its words, its output, its exit code.

use tests::kt::{Kt, fresh_binary};

#[test]
fn a_broken_pack_ends_it_as_the_gateway_would() {
    fresh_binary("kt-gateway");
    let kt = Kt::new();
    kt.file("bad.yaml", "pack: 1\n");
    let said = kt.run(&["gateway", "run", "--policy-config", "bad.yaml", "--listen", "127.0.0.1:0"]);
    assert_eq!(said.code, 2, "{said}");
}
