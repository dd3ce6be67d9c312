//! A chart in characters, for the terminal.

use crate::bench::chart::{Bar, Chart};

/// What the parts of a bar are drawn with, darkest first.
const FILLS: [char; 3] = ['█', '▓', '░'];
/// What the mark is drawn with.
const MARK: char = '│';
/// How wide the bars are.
const WIDTH: usize = 48;

/// Draws the chart with lines of its own for axis and legend; empty where there is nothing to draw.
pub fn draw(chart: &Chart) -> String {
    if chart.bars.is_empty() {
        return String::new();
    }
    let label_width = chart.bars.iter().map(|bar| bar.label.chars().count()).max().unwrap_or(0);
    let mut lines: Vec<String> = chart
        .bars
        .iter()
        .map(|bar| {
            let missed = if bar.missed { "  missed" } else { "" };
            format!("{:label_width$}  {}  {}{missed}", bar.label, cells(bar), bar.figures)
        })
        .collect();
    lines.push(format!("{:label_width$}  {}", "", axis(chart)));
    lines.push(format!("{:label_width$}  {}", "", legend(chart)));
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// A part is at least as long as the one before; the mark is seen before and behind it.
fn cells(bar: &Bar) -> String {
    let mut cells = vec![' '; WIDTH];
    let mut from = 0;
    for (end, fill) in bar.ends.iter().zip(FILLS) {
        let to = ((end * WIDTH as f64).round() as usize).clamp(from, WIDTH);
        cells[from..to].fill(fill);
        from = to;
    }
    if let Some(mark) = bar.mark {
        cells[((mark * WIDTH as f64) as usize).min(WIDTH - 1)] = MARK;
    }
    cells.into_iter().collect()
}

/// Labels that do not run into each other, each beginning at its place.
fn axis(chart: &Chart) -> String {
    let mut line = String::new();
    for tick in &chart.ticks {
        let at = (tick.at * WIDTH as f64).round() as usize;
        let length = line.chars().count();
        if length == 0 && at == 0 || at > length {
            line = format!("{line:at$}{}", tick.label);
        }
    }
    line
}

fn legend(chart: &Chart) -> String {
    let parts = chart.parts.iter().zip(FILLS).map(|(name, fill)| format!("{fill} {name}"));
    let mark = chart.bars.iter().any(|bar| bar.mark.is_some());
    let mark = mark.then(|| format!("{MARK} {}", chart.mark));
    parts.chain(mark).collect::<Vec<_>>().join("  ")
}

/// Charts of each kind, for the renderers' tests.
#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::bench::chart::Tick;

    /// A bar that meets its target and one that does not.
    pub fn example() -> Chart {
        let tick = |at, label: &str| Tick { at, label: label.to_string() };
        let bar = |label: &str, ends: &[f64], mark, missed| Bar {
            label: label.to_string(),
            ends: ends.to_vec(),
            mark,
            missed,
            figures: "p95 7 ms".to_string(),
        };
        Chart {
            title: "latencies".to_string(),
            parts: ["p50", "p95", "p99"].map(str::to_string).to_vec(),
            mark: "target".to_string(),
            ticks: vec![tick(0.0, "1 ms"), tick(0.5, "10 ms"), tick(1.0, "100 ms")],
            bars: vec![
                bar("a <b>", &[0.25, 0.5, 0.75], Some(1.0), false),
                bar("slow", &[0.5, 0.5, 0.51], Some(0.25), true),
                bar("never", &[], None, false),
            ],
        }
    }

    #[test]
    fn bars_marks_axis_and_legend() {
        let expected = "\
a <b>  ████████████▓▓▓▓▓▓▓▓▓▓▓▓░░░░░░░░░░░░           │  p95 7 ms
slow   ████████████│███████████                          p95 7 ms  missed
never                                                    p95 7 ms
       1 ms                    10 ms                   100 ms
       █ p50  ▓ p95  ░ p99  │ target
";
        assert_eq!(draw(&example()), expected);
        assert_eq!(draw(&Chart::default()), "");
    }
}
