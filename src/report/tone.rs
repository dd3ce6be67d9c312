//! What a piece of text means to its reader; the colour follows from it. Pure.

use anstyle::{AnsiColor, Style};

/// What a piece of text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Headings, names that matter.
    Strong,
    /// Secondary text.
    Faint,
    /// Somebody should look.
    Warning,
    /// It did not work, or went.
    Bad,
    /// It is new, or better.
    Good,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Tone::Strong => Style::new().bold(),
            Tone::Faint => Style::new().dimmed(),
            Tone::Warning => AnsiColor::Yellow.on_default(),
            Tone::Bad => AnsiColor::Red.on_default().bold(),
            Tone::Good => AnsiColor::Green.on_default(),
        }
    }
}

/// `text` with the colour of its tone; the stream takes the colour out where it does not belong.
pub fn paint(tone: Tone, text: &str) -> String {
    let style = tone.style();
    format!("{style}{text}{style:#}")
}
