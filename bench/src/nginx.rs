//! The yardstick: nginx with `proxy_pass` to the same provider, two workers, kept connections, no access log.

use std::fmt::Write;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// A running nginx; it ends when it is dropped.
pub(crate) struct Nginx {
    child: Child,
    home: TempDir,
    provider: SocketAddr,
    pub(crate) address: SocketAddr,
}

// === impl Nginx ===

impl Nginx {
    /// `None` on a machine without one.
    pub(crate) fn start(provider: SocketAddr) -> anyhow::Result<Option<Self>> {
        // nginx takes no port 0; this one was free a moment ago.
        let free = std::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = free.local_addr()?;
        drop(free);
        let home = tempfile::tempdir()?;
        std::fs::write(home.path().join("nginx.conf"), configuration(provider, address, "0")?)?;
        let spawned = Command::new("nginx")
            .arg("-p")
            .arg(home.path())
            .args(["-e", "error.log", "-c", "nginx.conf", "-g", "daemon off;"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match spawned {
            Ok(child) => Ok(Some(Self { child, home, provider, address })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A new configuration, which its answers name in `x-version`.
    pub(crate) fn reload(&self, version: &str) -> anyhow::Result<()> {
        let text = configuration(self.provider, self.address, version)?;
        std::fs::write(self.home.path().join("nginx.conf"), text)?;
        Ok(kill(self.id()?, Signal::SIGHUP)?)
    }

    fn id(&self) -> anyhow::Result<Pid> {
        Ok(Pid::from_raw(i32::try_from(self.child.id()).context("a pid")?))
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if let Ok(pid) = self.id() {
            let _ = kill(pid, Signal::SIGTERM);
        }
        let _ = self.child.wait();
    }
}

fn configuration(provider: SocketAddr, address: SocketAddr, version: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    // As root the workers would run as `nobody`, who may not read the directory.
    let user = if nix::unistd::geteuid().is_root() { "user root;" } else { "" };
    write!(
        text,
        "{user}\nworker_processes 2;\npid nginx.pid;\nerror_log error.log error;\nevents {{ worker_connections 4096; }}\n\
         http {{\n  access_log off;\n  tcp_nodelay on;\n  keepalive_requests 100000000;\n  client_max_body_size 16m;\n  \
         client_body_buffer_size 256k;\n  client_body_temp_path body;\n  proxy_temp_path proxy;\n  fastcgi_temp_path f;\n  \
         uwsgi_temp_path u;\n  scgi_temp_path s;\n  upstream provider {{ server {provider}; keepalive 128; keepalive_requests \
         100000000; }}\n  server {{\n    listen {address};\n    location / {{\n      proxy_pass http://provider;\n      \
         proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n      proxy_buffering off;\n      add_header x-version \
         {version};\n    }}\n  }}\n}}\n"
    )?;
    Ok(text)
}
