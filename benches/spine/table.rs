//! The answer: a Markdown table, a row as soon as it is known.

use crate::measure::{Samples, median};

/// Peak memory that no case may exceed, in MiB.
const PEAK_MIB_MAX: f64 = 20.0;

/// What a case is held to.
enum Target {
    Nothing,
    /// The median ratio to the floor.
    Ratio(f64),
    /// The median wall time.
    Milliseconds(f64),
}

/// A case's figures.
pub struct Row {
    title: String,
    samples: Samples,
    floor: Option<(String, Samples)>,
    target: Target,
    note: String,
}

impl Row {
    /// What took how long.
    pub fn new(title: &str, samples: Samples) -> Row {
        let title = title.to_string();
        Row { title, samples, floor: None, target: Target::Nothing, note: String::new() }
    }

    /// What it is compared with.
    pub fn floor(self, title: &str, samples: Samples) -> Row {
        Row { floor: Some((title.to_string(), samples)), ..self }
    }

    /// The greatest ratio to the floor it may have.
    pub fn at_most(self, ratio: f64) -> Row {
        Row { target: Target::Ratio(ratio), ..self }
    }

    /// The longest it may take.
    pub fn at_most_ms(self, milliseconds: f64) -> Row {
        Row { target: Target::Milliseconds(milliseconds), ..self }
    }

    /// What else was seen.
    pub fn note(self, note: String) -> Row {
        Row { note, ..self }
    }

    /// Prints the row.
    pub fn print(&self) {
        let (floor, ratio) = match &self.floor {
            None => (String::new(), String::new()),
            Some((title, floor)) => (
                format!("{title}: {}", spread(&floor.walls_ms(), 1)),
                spread(&self.samples.ratios_to(floor), 2),
            ),
        };
        let peak = self.samples.peak_mib();
        let memory = match peak {
            0.0 => String::new(),
            _ => format!("{peak:.1}{}", if peak < PEAK_MIB_MAX { "" } else { " **missed**" }),
        };
        println!(
            "| {} | {} | {floor} | {ratio} | {} | {memory} | {} |",
            self.title,
            spread(&self.samples.walls_ms(), 1),
            self.verdict(),
            self.note
        );
    }

    fn verdict(&self) -> String {
        let walls = median(&self.samples.walls_ms()).0;
        let ratio = self.floor.as_ref().map(|(_, floor)| median(&self.samples.ratios_to(floor)).0);
        let (target, is_met) = match self.target {
            Target::Nothing => return String::new(),
            Target::Ratio(most) => (format!("{most:.2} ×"), ratio.is_some_and(|it| it <= most)),
            Target::Milliseconds(most) => (format!("{most} ms"), walls <= most),
        };
        format!("≤ {target} {}", if is_met { "met" } else { "**missed**" })
    }
}

/// Prints what the columns are.
pub fn print_head() {
    println!("| case | pgtune, ms | floor, ms | ratio | target | peak MiB | |");
    println!("|---|---|---|---|---|---|---|");
}

/// "median (least to greatest)".
fn spread(figures: &[f64], digits: usize) -> String {
    let (median, least, greatest) = median(figures);
    format!("**{median:.digits$}** ({least:.digits$} to {greatest:.digits$})")
}
