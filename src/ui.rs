//! The only place that prints: answers on stdout, everything else on stderr.

pub mod progress;

use std::io::{IsTerminal, Write};

use crate::error::{Error, Kind, Result};
use crate::report::text::without_commands;
use crate::report::tone::{Tone, paint};
use crate::report::{Report, json, markdown, text};

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How to print reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs; documented by its `schema_version`.
    Json,
    /// For comments on pull requests.
    Markdown,
}

/// Where and how to print; made once from the global flags.
#[derive(Debug, Clone, Copy)]
pub struct Ui {
    /// How to print reports.
    pub format: Format,
    /// Leave out progress and remarks.
    pub quiet: bool,
}

impl Ui {
    /// Sets the colours for the whole process.
    pub fn new(color: ColorChoice, format: Format, quiet: bool) -> Ui {
        match color {
            ColorChoice::Auto => anstream::ColorChoice::Auto,
            ColorChoice::Always => anstream::ColorChoice::Always,
            ColorChoice::Never => anstream::ColorChoice::Never,
        }
        .write_global();
        Ui { format, quiet }
    }

    /// Prints a report to stdout, in the format that was asked for.
    pub fn show(&self, report: &Report) -> Result<()> {
        self.answer(&match self.format {
            Format::Text => text::render(report, self.width()),
            Format::Json => json::render(report),
            Format::Markdown => markdown::render(report),
        })
    }

    /// Prints an answer to stdout. A reader that went away (`| head`) is no error.
    pub fn answer(&self, text: &str) -> Result<()> {
        let mut out = anstream::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Error::system("write to standard output", error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Says what is going on, on stderr; silenced by `--quiet`.
    pub fn status(&self, text: &str) {
        if !self.quiet {
            to_stderr(&format!("{text}\n"));
        }
    }

    /// Says what somebody should know, on stderr.
    pub fn warn(&self, text: &str) {
        let text = format!("{} {text}\n", paint(Tone::Warning, "warning:"));
        to_stderr(&without_commands(&text));
    }

    /// Tells a CI system of findings, in its own words, on stderr: an answer in JSON stays one.
    pub fn annotate(&self, commands: &str) {
        to_stderr(commands);
    }

    /// Prints an error, its causes and its hints to stderr.
    pub fn error(&self, error: &Error) {
        let mut text = format!("{} {error}\n", paint(Tone::Bad, "error:"));
        for cause in error.causes() {
            text += &format!("  {} {cause}\n", paint(Tone::Faint, "caused by:"));
        }
        for hint in &error.hints {
            text += &format!("  {} {hint}\n", paint(Tone::Strong, "hint:"));
        }
        to_stderr(&without_commands(&text));
    }

    /// How many columns stdout has, where it is a terminal.
    pub fn width(&self) -> Option<u16> {
        dialoguer::console::Term::stdout().size_checked().map(|(_rows, columns)| columns)
    }

    /// Whether there is somebody to ask.
    pub fn can_ask(&self) -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Asks for a line of text on the terminal; the answer is never empty. Call it only where
    /// [`Ui::can_ask`] says so.
    pub fn ask(&self, question: &str) -> Result<String> {
        dialoguer::Input::new().with_prompt(question).interact_text().map_err(|error| {
            Error::new(Kind::Interrupted, "no answer, so nothing was changed").caused_by(error)
        })
    }

    /// Asks a yes-or-no question on the terminal; without one, fails and names the flag.
    pub fn confirm(&self, question: &str) -> Result<()> {
        if !self.can_ask() {
            return Err(Error::usage("there is no terminal to ask on, so nothing was changed")
                .hint("add --yes to go ahead without asking, or --dry-run to only look"));
        }
        match dialoguer::Confirm::new().with_prompt(question).default(false).interact() {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::new(Kind::Stopped, "nothing was changed")),
            Err(error) => {
                Err(Error::new(Kind::Interrupted, "nothing was changed").caused_by(error))
            }
        }
    }
}

fn to_stderr(text: &str) {
    // A closed stderr must not stop a migration.
    let _ = anstream::stderr().lock().write_all(text.as_bytes());
}
