//! A line of time with what lies on it, and how it is drawn in characters.

use serde::Serialize;

/// What lies along time, in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Timeline {
    /// What it is of; a table above it may say that already.
    pub title: String,
    /// What lies on it.
    pub stretches: Vec<Stretch>,
    /// Places with a word to them.
    pub marks: Vec<Mark>,
    /// What each fill means, oldest first.
    pub legend: Vec<Fill>,
}

/// What a fill means.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fill {
    /// What stretches are drawn with.
    pub fill: char,
    /// What they are.
    pub word: String,
}

/// A stretch of the line.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Stretch {
    /// Where it begins, in any unit.
    pub from: i64,
    /// Where it ends.
    pub to: i64,
    /// What it is drawn with.
    pub fill: char,
}

/// A place on the line with a word to it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mark {
    /// Where.
    pub at: i64,
    /// What is there.
    pub word: String,
}

/// How wide the line of time is, in characters.
const LINE_WIDTH: usize = 72;

/// The line, its marks, and what its fills mean; empty where there is nothing to draw.
pub fn text(timeline: &Timeline) -> String {
    let line = draw(&timeline.stretches, &timeline.marks, LINE_WIDTH);
    let legend = timeline.legend.iter().map(|Fill { fill, word }| format!("{fill} {word}"));
    let legend = legend.collect::<Vec<_>>().join("  ");
    if line.is_empty() { line } else { format!("{line}\n{legend}\n") }
}

/// What nothing lies on.
const NOTHING: char = '·';

/// Draws the stretches on `width` characters, and a line for each mark below; empty where there is
/// nothing to draw. Of stretches shorter than a character the later one is seen.
pub fn draw(stretches: &[Stretch], marks: &[Mark], width: usize) -> String {
    let places = stretches.iter().flat_map(|s| [s.from, s.to]).chain(marks.iter().map(|m| m.at));
    let (Some(from), Some(to)) = (places.clone().min(), places.max()) else {
        return String::new();
    };
    let cell = |at: i64| {
        let (part, whole) = (i128::from(at) - i128::from(from), i128::from(to) - i128::from(from));
        usize::try_from(part * width as i128 / whole.max(1)).unwrap_or(0)
    };
    let mut cells = vec![NOTHING; width];
    for stretch in stretches {
        let end = cell(stretch.to).max(cell(stretch.from) + 1).min(width);
        cells
            .get_mut(cell(stretch.from)..end)
            .into_iter()
            .flatten()
            .for_each(|c| *c = stretch.fill);
    }
    let mut lines = vec![cells.into_iter().collect::<String>()];
    lines.extend(marks.iter().map(|mark| {
        let at = cell(mark.at).min(width.saturating_sub(1));
        // A word that would not fit stands on the left of its place.
        if at + 2 + mark.word.chars().count() <= width {
            format!("{}^ {}", " ".repeat(at), mark.word)
        } else {
            format!("{:>at$} ^", mark.word)
        }
    }));
    lines.join("\n")
}

/// A timeline, for the renderers' tests.
#[cfg(test)]
pub mod tests {
    use super::*;

    /// A month that is over, this one and the next, with a gap.
    pub fn example() -> Timeline {
        let day = |day: i64| day * 86_400;
        let fill = |fill, word: &str| Fill { fill, word: word.to_string() };
        let stretches = [
            stretch(0, day(31), '▓'),
            stretch(day(31), day(59), '█'),
            stretch(day(90), day(120), '▒'),
        ];
        Timeline {
            title: "app.events".to_string(),
            stretches: stretches.to_vec(),
            marks: vec![Mark { at: day(45), word: "now".to_string() }],
            legend: vec![fill('▓', "past"), fill('█', "present"), fill('▒', "ahead")],
        }
    }

    fn stretch(from: i64, to: i64, fill: char) -> Stretch {
        Stretch { from, to, fill }
    }

    #[test]
    fn stretches_gaps_and_marks() {
        let stretches = [stretch(0, 10, 'a'), stretch(20, 30, 'b'), stretch(30, 40, 'c')];
        let mark = |at, word: &str| Mark { at, word: word.to_string() };
        assert_eq!(
            draw(&stretches, &[mark(5, "kept"), mark(35, "now")], 20),
            "aaaaa·····bbbbbccccc\n  ^ kept\n              now ^"
        );
    }

    #[test]
    fn what_fills_mean_is_told_below() {
        let text = text(&example());
        let last = text.lines().last().unwrap();
        assert_eq!(last, "▓ past  █ present  ▒ ahead");
        assert_eq!(super::text(&Timeline::default()), "");
    }

    #[test]
    fn what_is_short_or_nothing_is_drawn_too() {
        assert_eq!(draw(&[], &[], 10), "");
        assert_eq!(draw(&[stretch(5, 5, 'x')], &[], 3), "x··");
        let many: Vec<Stretch> = (0..1000).map(|n| stretch(n, n + 1, 'x')).collect();
        assert_eq!(draw(&many, &[], 4), "xxxx");
        assert_eq!(draw(&[stretch(i64::MIN, i64::MAX, 'x')], &[], 2), "xx");
    }
}
