//! A systemd unit for one gateway. Pure.

use std::path::PathBuf;

/// What the unit is made of.
#[derive(Debug, Clone)]
pub(crate) struct Unit {
    pub(crate) name: String,
    /// Of `kt`.
    pub(crate) program: PathBuf,
    /// `KT_HOME`.
    pub(crate) home: PathBuf,
    pub(crate) working_dir: PathBuf,
}

pub(crate) fn unit(unit: &Unit) -> String {
    format!(
        "\
[Unit]
Description=kt gateway {name}
After=network-online.target
Wants=network-online.target

[Service]
Environment=KT_HOME={home}
WorkingDirectory={dir}
ExecStart={program} gateway run --name {name}
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=1
TimeoutStopSec=45

[Install]
WantedBy=multi-user.target
",
        name = unit.name,
        home = unit.home.display(),
        dir = unit.working_dir.display(),
        program = unit.program.display(),
    )
}
