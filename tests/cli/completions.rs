//! `kt completions SHELL`

use tests::kt::Kt;

#[test]
fn every_shell_gets_a_script_that_knows_the_commands() {
    let kt = Kt::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = kt.run(&["completions", shell]).ok();
        assert!(said.stdout.contains("rollout") && said.stdout.contains("control-plane"), "{shell}");
        assert_eq!(said.stderr, "", "{shell}");
    }
    let said = kt.run(&["completions", "csh"]);
    assert_eq!(said.code, 2, "{said}");
}
