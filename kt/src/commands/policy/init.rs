//! `kt policy init`: a pack with its tests, all of it or nothing, and never over what is there.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::local::InitArgs;
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::tables::facts;
use crate::templates::{TEMPLATES, Template};

/// One of `kt policy init --list --json`.
#[derive(Debug, Serialize)]
struct TemplateView {
    name: &'static str,
    about: &'static str,
}

/// What `kt policy init --json` prints.
#[derive(Debug, Serialize)]
struct WrittenView {
    template: &'static str,
    dir: String,
    files: Vec<String>,
}

pub(crate) fn run(args: &InitArgs, printer: &Printer) -> Result<Exit, Failure> {
    if args.list {
        return list(printer);
    }
    let template = TEMPLATES
        .iter()
        .find(|template| template.name == args.template)
        .ok_or_else(|| Failure::usage("--template", "there is no such template"))?;
    let files: Vec<(PathBuf, &str)> =
        template.files.iter().map(|file| (args.dir.join(file.path), file.text)).collect();
    refuse_what_is_there(&args.dir, &files)?;
    let mut made = Made::default();
    let written = files.iter().try_for_each(|(path, text)| made.file(path, text.as_bytes()));
    if let Err((path, error)) = written {
        made.undo();
        return Err(cannot_write(&path, &error));
    }
    show(template, &args.dir, &files, printer)
}

/// What this command made, in the order in which it made it.
#[derive(Debug, Default)]
struct Made {
    dirs: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

// === impl Made ===

impl Made {
    fn file(&mut self, path: &Path, text: &[u8]) -> Result<(), (PathBuf, io::Error)> {
        if let Some(dir) = path.parent() {
            self.dir(dir)?;
        }
        let failed = |error| (path.to_owned(), error);
        // `create_new` also keeps what somebody else wrote a moment ago.
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o644).open(path).map_err(failed)?;
        self.files.push(path.to_owned());
        file.write_all(text).map_err(failed)
    }

    fn dir(&mut self, dir: &Path) -> Result<(), (PathBuf, io::Error)> {
        if dir.as_os_str().is_empty() || dir.is_dir() {
            return Ok(());
        }
        if let Some(above) = dir.parent() {
            self.dir(above)?;
        }
        std::fs::create_dir(dir).map_err(|error| (dir.to_owned(), error))?;
        self.dirs.push(dir.to_owned());
        Ok(())
    }

    /// As well as it can be done: a directory that somebody else filled meanwhile stays.
    fn undo(&self) {
        for file in self.files.iter().rev() {
            let _ = std::fs::remove_file(file);
        }
        for dir in self.dirs.iter().rev() {
            let _ = std::fs::remove_dir(dir);
        }
    }
}

fn refuse_what_is_there(dir: &Path, files: &[(PathBuf, &str)]) -> Result<(), Failure> {
    for place in [dir.to_owned(), dir.join("tests")] {
        if place.symlink_metadata().is_ok() && !place.is_dir() {
            return Err(Failure::usage("--dir", format!("`{}` is no directory", place.display())));
        }
    }
    let there: Vec<String> = files
        .iter()
        .filter(|(path, _)| path.symlink_metadata().is_ok())
        .map(|(path, _)| format!("`{}`", tidy(path)))
        .collect();
    match there.as_slice() {
        [] => Ok(()),
        [one] => Err(exists(format!("{one} exists"))),
        several => Err(exists(format!("{} exist", several.join(", ")))),
    }
}

fn exists(message: String) -> Failure {
    Failure::new(Exit::Conflict, "exists", format!("{message}; nothing was written"))
        .with_field("--dir")
        .with_hint("choose another directory with --dir, or move away what is there")
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    let shown = path.display();
    match error.kind() {
        io::ErrorKind::AlreadyExists => exists(format!("`{shown}` exists")),
        _ => Failure::new(Exit::Failed, "cannot_write", format!("cannot write `{shown}`: {error}"))
            .with_field("--dir")
            .with_hint(
                "nothing was left behind; see the permissions of the directory and the room on its disk",
            ),
    }
}

fn list(printer: &Printer) -> Result<Exit, Failure> {
    if printer.is_json() {
        let views: Vec<_> = TEMPLATES
            .iter()
            .map(|template| TemplateView { name: template.name, about: template.about })
            .collect();
        printer.json(&views)?;
    } else {
        let lines: Vec<_> =
            TEMPLATES.iter().map(|template| (template.name, template.about.to_owned())).collect();
        printer.text(&facts(&lines))?;
    }
    Ok(Exit::Done)
}

fn show(
    template: &Template,
    dir: &Path,
    files: &[(PathBuf, &str)],
    printer: &Printer,
) -> Result<Exit, Failure> {
    let names: Vec<String> = files.iter().map(|(path, _)| tidy(path)).collect();
    if printer.is_json() {
        let view = WrittenView { template: template.name, dir: dir.display().to_string(), files: names };
        printer.json(&view)?;
        return Ok(Exit::Done);
    }
    for name in &names {
        printer.text(&format!("wrote {name}"))?;
    }
    let pack = tidy(&dir.join("policy-config.yaml"));
    printer.talk(&format!(
        "next: kt policy lint --file {pack}\n      kt policy test --pack-dir {}\n      kt gateway install --policy-config {pack}",
        dir.display()
    ));
    Ok(Exit::Done)
}

/// `./a` as a person types it: `a`.
fn tidy(path: &Path) -> String {
    crate::words::clean_line(&path.strip_prefix(".").unwrap_or(path).display().to_string())
}
