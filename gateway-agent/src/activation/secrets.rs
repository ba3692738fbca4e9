//! Provider keys, and the certificates that a target is checked against, looked up on this host by this host's rules: a
//! pack can only name what the gateway's operator opened to it, and a value is never printed.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use fleet_core::offer::{NackReason, Stage};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;
use policy_config::location::Location;
use policy_config::schema::SecretKeyRef;
use policy_config::{Finding, PolicyConfig, Severity};
use policy_engine::{Authorities, Secret, Secrets};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::env_file::EnvFile;
use crate::settings::{Environment, SecretGlob};
use instance::durable;

/// Where keys may come from.
#[derive(Debug, Clone)]
pub struct SecretRules {
    pub env_file: Option<PathBuf>,
    pub environment: Environment,
    pub globs: Vec<SecretGlob>,
    /// `<instance>/secrets`.
    pub dir: PathBuf,
}

/// The keys that were found, and what is to be said about the others.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) secrets: Secrets,
    /// One for each key and each file of certificates that is not at hand.
    pub(super) missing: Vec<Finding>,
}

/// Why there is no key, and what is to be done where that is not to set it.
#[derive(Debug)]
struct Problem {
    message: String,
    help: Option<String>,
}

/// Of a key, and of a file of certificates: bytes.
const LARGEST_KEY: u64 = 16 * 1024;
const LARGEST_CA: u64 = 512 * 1024;

// === impl SecretRules ===

impl SecretRules {
    /// Looks up the key of every target and whom it trusts; the env file is read anew.
    pub(super) fn resolve(&self, config: &PolicyConfig) -> Resolved {
        let mut resolved = Resolved { secrets: Secrets::new(), missing: Vec::new() };
        let env_file = self.env_file.as_deref().map(EnvFile::read).transpose();
        for (index, target) in config.providers.targets.iter().enumerate() {
            if let Some(name) = &target.ca_file {
                match self.in_file(name, LARGEST_CA).and_then(|pem| authorities(name, &pem)) {
                    Ok(found) => resolved.secrets.insert_authorities(target.id.clone(), found),
                    Err(message) => resolved.missing.push(no_authorities(index, name, message)),
                }
            }
            let Some(reference) = &target.secret_key_ref else { continue };
            let found = match reference {
                SecretKeyRef::Env(name) => match &env_file {
                    Ok(env_file) => self.in_env(name, env_file.as_ref()),
                    Err(error) => Err(Problem {
                        message: format!("the env file cannot be used: {error}"),
                        help: Some(error.help()),
                    }),
                },
                SecretKeyRef::File(name) => self.in_key_file(name).map_err(Problem::from),
            };
            match found.and_then(|value| checked(reference, value).map_err(Problem::from)) {
                Ok(secret) => resolved.secrets.insert(target.id.clone(), secret),
                Err(problem) => resolved.missing.push(missing(index, reference, problem)),
            }
        }
        resolved
    }

    /// The env file first, then the process environment; only names the operator opened.
    fn in_env(&self, name: &str, env_file: Option<&EnvFile>) -> Result<String, Problem> {
        if !self.globs.iter().any(|glob| glob.matches(name)) {
            let globs: Vec<&str> = self.globs.iter().map(SecretGlob::as_str).collect();
            return Err(Problem {
                message: format!(
                    "the variable {name} is not open to packs on this gateway (--secret-env {})",
                    globs.join(", ")
                ),
                help: Some(format!("name it as *_API_KEY, or open it with --secret-env {name}")),
            });
        }
        if let Some(value) = env_file.and_then(|file| file.get(name)) {
            return Ok(value.to_owned());
        }
        match self.environment.get(name) {
            Some(value) => value
                .into_string()
                .map_err(|_| format!("the value of the variable {name} is not UTF-8").into()),
            None => Err(format!("the variable {name} is not set on this gateway's host").into()),
        }
    }

    fn in_key_file(&self, name: &str) -> Result<String, String> {
        let bytes = self.in_file(name, LARGEST_KEY)?;
        String::from_utf8(bytes).map_err(|_| format!("the secret file {name} is not UTF-8"))
    }

    /// Every step is relative to the opened directory, so no link leads out of it.
    fn in_file(&self, name: &str, largest: u64) -> Result<Vec<u8>, String> {
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
            return Err(format!("`{}` is not a plain file name", name.escape_debug()));
        }
        let failed = |errno: Errno| match errno {
            Errno::ENOENT => format!("there is no file {name} in this gateway's secrets directory"),
            Errno::ELOOP => format!("the secret file {name} is a symbolic link"),
            errno => format!("the secret file {name} cannot be opened: {}", errno.desc()),
        };
        let beneath = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_RDONLY;
        let dir = open(&self.dir, beneath | OFlag::O_DIRECTORY, Mode::empty()).map_err(failed)?;
        let file = openat(&dir, name, beneath | OFlag::O_NONBLOCK, Mode::empty()).map_err(failed)?;
        durable::read_open(&File::from(file), largest)
            .map_err(|error: io::Error| format!("the secret file {name} cannot be read: {error}"))
    }
}

// === impl Problem ===

impl From<String> for Problem {
    fn from(message: String) -> Self {
        Self { message, help: None }
    }
}

/// A refusal that names every variable and file that is missing.
pub(super) fn refusal(missing: Vec<Finding>) -> NackReason {
    let reasons: Vec<&str> = missing.iter().map(|finding| finding.message.as_str()).collect();
    NackReason { stage: Stage::Secrets, reason: reasons.join("; "), findings: missing }
}

/// One trailing newline, as editors leave it, is no part of a key; what no header can carry is refused.
fn checked(reference: &SecretKeyRef, value: String) -> Result<Secret, String> {
    let trimmed =
        value.strip_suffix('\n').map_or(value.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if trimmed.is_empty() {
        return Err(format!("the key of {reference} is empty"));
    }
    if http::HeaderValue::from_str(trimmed).is_err() {
        return Err(format!("the key of {reference} holds a character that no header can carry"));
    }
    Ok(Secret::new(trimmed.to_owned()))
}

/// Every certificate of a PEM file must be one; a file that holds a mistake is not half used.
fn authorities(name: &str, pem: &[u8]) -> Result<Authorities, String> {
    let mut roots = RootCertStore::empty();
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| format!("the file {name} is not well-formed PEM"))?;
        roots
            .add(certificate.clone())
            .map_err(|_| format!("certificate {} of the file {name} cannot be used", found.len() + 1))?;
        found.push(certificate.to_vec());
    }
    if found.is_empty() {
        return Err(format!("the file {name} holds no certificate"));
    }
    Ok(Authorities(found.into()))
}

fn no_authorities(index: usize, name: &str, message: String) -> Finding {
    Finding {
        code: "S002".to_owned(),
        severity: Severity::Error,
        path: format!("providers.targets[{index}].ca_file"),
        location: Location::default(),
        message,
        suggestion: format!(
            "put the CA's certificates, as PEM, into secrets/{name} in the gateway's directory"
        ),
    }
}

fn missing(index: usize, reference: &SecretKeyRef, problem: Problem) -> Finding {
    let suggestion = problem.help.unwrap_or_else(|| match reference {
        SecretKeyRef::Env(name) => format!("set {name} in --env-file or in the gateway's environment"),
        SecretKeyRef::File(name) => format!("put the key into secrets/{name} in the gateway's directory"),
    });
    Finding {
        code: "S001".to_owned(),
        severity: Severity::Error,
        path: format!("providers.targets[{index}].secret_key_ref"),
        location: Location::default(),
        message: problem.message,
        suggestion,
    }
}

#[cfg(test)]
mod tests;
