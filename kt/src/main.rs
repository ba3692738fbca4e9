//! Entry point of `kt`: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    kt::main()
}
