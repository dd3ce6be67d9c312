//! What is drawn along an axis: bars, locks, partitions, as places in percent.

use chrono::DateTime;
use serde::Serialize;

use crate::bench::chart::{Bar, Chart};
use crate::report::locks::{Blocks, LockRow, work};
use crate::report::timeline::Timeline;

/// Rows above one axis.
#[derive(Debug, PartialEq, Default, Serialize)]
pub struct Rows {
    /// What they are.
    title: String,
    /// From top to bottom.
    rows: Vec<Row>,
    /// Places on the axis.
    ticks: Vec<Tick>,
    /// What the colours mean.
    legend: Vec<Key>,
}

/// One row.
#[derive(Debug, PartialEq, Serialize)]
struct Row {
    /// What it is of.
    label: String,
    /// What lies on the axis.
    bars: Vec<Stretch>,
    /// Where the mark is; empty where there is none.
    mark: String,
    /// The same in words.
    words: String,
}

/// A line of time.
#[derive(Debug, PartialEq, Serialize)]
pub struct Line {
    /// What lies on it.
    bars: Vec<Stretch>,
    /// Places with a word to them.
    marks: Vec<Tick>,
    /// Its ends.
    ticks: Vec<Tick>,
    /// What the colours mean.
    legend: Vec<Key>,
}

/// A stretch of an axis.
#[derive(Debug, PartialEq, Serialize)]
struct Stretch {
    /// Where it begins, in percent.
    x: String,
    /// How long it is, in percent.
    width: String,
    /// Its looks.
    class: String,
    /// What it is.
    words: String,
}

/// A place on an axis.
#[derive(Debug, PartialEq, Serialize)]
struct Tick {
    /// Where, in percent.
    x: String,
    /// On which side of its place the word stands: `start`, `middle`, `end`.
    anchor: &'static str,
    /// What is there.
    label: String,
}

/// What a colour means.
#[derive(Debug, PartialEq, Serialize)]
struct Key {
    /// The colour's class.
    class: String,
    /// What it means.
    words: String,
}

/// The shortest stretch that is still seen.
const LEAST: f64 = 0.004;

fn percent(at: f64) -> String {
    format!("{:.2}%", at.clamp(0.0, 1.0) * 100.0)
}

fn tick(at: f64, label: String) -> Tick {
    let anchor = match at {
        at if at < 0.15 => "start",
        at if at > 0.85 => "end",
        _ => "middle",
    };
    Tick { x: percent(at), anchor, label }
}

fn stretch((from, to): (f64, f64), class: &str, words: String) -> Stretch {
    let from = from.clamp(0.0, 1.0 - LEAST);
    let width = percent((to - from).max(LEAST));
    Stretch { x: percent(from), width, class: class.to_string(), words }
}

/// A chart's bars. The darkest part is the first.
pub fn chart(chart: &Chart) -> Rows {
    let row = |bar: &Bar| {
        let mut from = 0.0;
        let mut bars = Vec::new();
        for (part, end) in bar.ends.iter().enumerate() {
            bars.push(stretch((from, *end), &format!("part{part}"), bar.figures.clone()));
            from = end.max(from);
        }
        let missed = if bar.missed { ", missed" } else { "" };
        Row {
            label: bar.label.clone(),
            bars,
            mark: bar.mark.map_or_else(String::new, percent),
            words: format!("{}{missed}", bar.figures),
        }
    };
    let key = |(part, words): (usize, &String)| Key {
        class: format!("part{part}"),
        words: words.clone(),
    };
    let mut legend: Vec<Key> = chart.parts.iter().enumerate().map(key).collect();
    if chart.bars.iter().any(|bar| bar.mark.is_some()) {
        legend.push(Key { class: "at".to_string(), words: chart.mark.clone() });
    }
    Rows {
        title: chart.title.clone(),
        rows: chart.bars.iter().map(row).collect(),
        ticks: chart.ticks.iter().map(|one| tick(one.at, one.label.clone())).collect(),
        legend,
    }
}

/// Locks one after the other, as long as they are expected to be held. Those that are over at once
/// are as thin as can be seen.
pub fn locks(rows: &[LockRow]) -> Rows {
    let ms = |row: &LockRow| row.expected_ms.unwrap_or_default() as f64;
    let whole: f64 = rows.iter().map(ms).sum::<f64>().max(1.0);
    let mut from = 0.0;
    let mut drawn = Vec::new();
    for row in rows {
        let to = from + ms(row) / whole;
        let told = format!("{}, stops {}", row.mode, row.blocks.words());
        let place = format!("{}:{}", row.place.path, row.place.line);
        drawn.push(Row {
            label: format!("{place} {}", row.statement).trim_end().to_string(),
            bars: vec![stretch((from, to), class(row.blocks), told.clone())],
            mark: String::new(),
            words: format!("{}: {told}; {}", row.table, work(row)),
        });
        from = to;
    }
    let stopped = [Blocks::ReadsAndWrites, Blocks::Writes, Blocks::SchemaChanges, Blocks::Nothing];
    let used = stopped.iter().filter(|blocks| rows.iter().any(|row| row.blocks == **blocks));
    let legend = used
        .map(|blocks| Key {
            class: class(*blocks).to_string(),
            words: format!("stops {}", blocks.words()),
        })
        .collect();
    let title = "locks in their order, as long as they are expected to be held".to_string();
    Rows { title, rows: drawn, ticks: Vec::new(), legend }
}

fn class(blocks: Blocks) -> &'static str {
    match blocks {
        Blocks::Nothing => "nothing",
        Blocks::SchemaChanges => "schema",
        Blocks::Writes => "writes",
        Blocks::ReadsAndWrites => "all",
    }
}

/// Partitions along time.
pub fn timeline(line: &Timeline) -> Line {
    let places = line.stretches.iter().flat_map(|s| [s.from, s.to]);
    let places = places.chain(line.marks.iter().map(|mark| mark.at));
    let (first, last) =
        places.fold((i64::MAX, i64::MIN), |(first, last), at| (first.min(at), last.max(at)));
    let whole = (i128::from(last) - i128::from(first)).max(1) as f64;
    let place = |at: i64| (i128::from(at) - i128::from(first)) as f64 / whole;
    let known = |fill: char| line.legend.iter().position(|one| one.fill == fill);
    let class = |fill| known(fill).map_or_else(String::new, |at| format!("fill{at}"));
    let word = |fill| known(fill).map_or("", |at| line.legend[at].word.as_str());
    let bars = line.stretches.iter().map(|one| {
        let words = format!("{} to {} {}", day(one.from), day(one.to), word(one.fill));
        stretch((place(one.from), place(one.to)), &class(one.fill), words)
    });
    let key = |(at, one): (usize, &crate::report::timeline::Fill)| Key {
        class: format!("fill{at}"),
        words: one.word.clone(),
    };
    Line {
        bars: bars.collect(),
        marks: line.marks.iter().map(|one| tick(place(one.at), one.word.clone())).collect(),
        ticks: vec![tick(0.0, day(first)), tick(1.0, day(last))],
        legend: line.legend.iter().enumerate().map(key).collect(),
    }
}

/// The day of a second, or the second itself where it is on no calendar.
fn day(second: i64) -> String {
    let date = DateTime::from_timestamp(second, 0);
    date.map_or_else(|| second.to_string(), |date| date.format("%F").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{chart as chart_of, locks as locks_of, timeline as timeline_of};

    #[test]
    fn locks_follow_each_other() {
        let rows = locks(&locks_of::tests::example()).rows;
        let told: Vec<_> = rows
            .iter()
            .map(|row| {
                (row.bars[0].x.as_str(), row.bars[0].width.as_str(), row.bars[0].class.as_str())
            })
            .collect();
        let expected = [
            ("0.00%", "88.89%", "all"),
            ("88.89%", "11.11%", "writes"),
            ("99.60%", "0.40%", "schema"),
        ];
        assert_eq!(told, expected);
        let words = "app.orders: ACCESS EXCLUSIVE, stops reads and writes; rewrites the table, \
                     about 1 min 4 s";
        assert_eq!(rows[0].words, words);
    }

    #[test]
    fn partitions_lie_where_they_are_in_time() {
        let line = timeline(&timeline_of::tests::example());
        let bars: Vec<_> =
            line.bars.iter().map(|bar| (bar.x.as_str(), bar.class.as_str())).collect();
        assert_eq!(bars, [("0.00%", "fill0"), ("25.83%", "fill1"), ("75.00%", "fill2")]);
        assert_eq!(line.bars[0].words, "1970-01-01 to 1970-02-01 past");
        assert_eq!((line.marks[0].x.as_str(), line.marks[0].anchor), ("37.50%", "middle"));
        assert_eq!(line.ticks[1].label, "1970-05-01");
    }

    #[test]
    fn a_bar_has_its_parts_and_its_mark() {
        let rows = chart(&chart_of::tests::example()).rows;
        assert_eq!(rows[0].bars.len(), 3);
        assert_eq!(
            (rows[0].bars[1].x.as_str(), rows[0].bars[1].width.as_str()),
            ("25.00%", "25.00%")
        );
        assert_eq!(rows[0].mark, "100.00%");
        assert_eq!((rows[1].words.as_str(), rows[2].bars.len()), ("p95 7 ms, missed", 0));
    }
}
