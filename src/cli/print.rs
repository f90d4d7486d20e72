//! Standard output and standard error. What a stranger named is never printed raw: a line stays one line, and nothing is a
//! command to the terminal.

use crate::plain::{plain, plain_json, plain_lines};
use std::fmt::Display;
use std::io::{ErrorKind, Write};

/// Prints one line.
pub(super) fn line(text: impl Display) {
    write(&plain(&text.to_string()));
}

/// Prints several lines, a table say, whose names went through [`plain`] before.
pub(super) fn lines(text: impl Display) {
    write(&plain_lines(&text.to_string()));
}

/// Prints a line of JSON, or several.
pub(super) fn json(text: &str) {
    write(&plain_json(text));
}

/// One line on standard error.
pub(super) fn error(text: impl Display) {
    eprintln!("{}", plain(&text.to_string()));
}

/// A reader that has seen enough (`goodnet inspect FILE | head`) ends the command.
fn write(text: &str) {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            eprintln!("goodnet: standard output: {error}");
            std::process::exit(1);
        }
        Ok(()) => {}
    }
}
