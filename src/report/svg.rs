//! Charts as one SVG picture that needs nothing else: it has its own text for those who cannot see
//! it, and colours for light and dark pages.

use std::fmt::Write;

use super::template::escaped;
use crate::bench::chart::{Bar, Chart};

/// Where the bars begin and how wide they are, in pixels.
const BARS_X: f64 = 210.0;
const BARS_WIDTH: f64 = 420.0;
const WIDTH: f64 = 800.0;
/// A bar with its gap, and what a chart has above and below its bars.
const BAR_HEIGHT: f64 = 22.0;
const HEAD_HEIGHT: f64 = 34.0;
const FOOT_HEIGHT: f64 = 52.0;

/// Text and lines inherit the page's darkness; bars are one blue in three strengths.
const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#333}.head{font-weight:600}.faint{fill:#666}\
.grid{stroke:#ccc}.mark{stroke:#b3261e;stroke-width:2}.missed{fill:#b3261e}\
.part0{fill:#1f5fa8}.part1{fill:#6f9fd2}.part2{fill:#bcd3ec}\
@media(prefers-color-scheme:dark){text{fill:#ddd}.faint{fill:#aaa}.grid{stroke:#444}\
.mark{stroke:#ff8a80}.missed{fill:#ff8a80}\
.part0{fill:#8ab8ea}.part1{fill:#4a7db5}.part2{fill:#2b4d73}}";

/// The charts, one below the other.
pub fn render(title: &str, charts: &[Chart]) -> String {
    let charts: Vec<&Chart> = charts.iter().filter(|chart| !chart.bars.is_empty()).collect();
    let height: f64 = charts.iter().map(|chart| height(chart)).sum();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-labelledby=\"title desc\">\n\
         <title id=\"title\">{}</title>\n<desc id=\"desc\">{}</desc>\n<style>{STYLE}</style>\n",
        escaped(title),
        escaped(&description(&charts))
    );
    let mut top = 0.0;
    for chart in charts {
        draw(&mut svg, chart, top);
        top += self::height(chart);
    }
    svg + "</svg>\n"
}

fn height(chart: &Chart) -> f64 {
    HEAD_HEIGHT + BAR_HEIGHT * chart.bars.len() as f64 + FOOT_HEIGHT
}

/// The figures in words.
fn description(charts: &[&Chart]) -> String {
    let figures = |bar: &Bar| {
        let missed = if bar.missed { ", target missed" } else { "" };
        format!("{}: {}{missed}", bar.label, bar.figures)
    };
    let words = |chart: &&Chart| {
        let bars: Vec<String> = chart.bars.iter().map(figures).collect();
        format!("{}. {}.", chart.title, bars.join("; "))
    };
    charts.iter().map(words).collect::<Vec<_>>().join(" ")
}

fn draw(svg: &mut String, chart: &Chart, top: f64) {
    text(svg, (8.0, top + 20.0), "head", "start", &chart.title);
    let (first, bottom) =
        (top + HEAD_HEIGHT, top + HEAD_HEIGHT + BAR_HEIGHT * chart.bars.len() as f64);
    for tick in &chart.ticks {
        let x = place(tick.at);
        line(svg, "grid", x, (first - 4.0, bottom + 4.0));
        text(svg, (x, bottom + 18.0), "faint", "middle", &tick.label);
    }
    for (index, bar) in chart.bars.iter().enumerate() {
        draw_bar(svg, bar, first + BAR_HEIGHT * index as f64);
    }
    let mut x = BARS_X;
    for (index, name) in chart.parts.iter().enumerate() {
        rectangle(svg, index, (x, bottom + 30.0), (10.0, 10.0));
        text(svg, (x + 15.0, bottom + 39.0), "faint", "start", name);
        x += 40.0 + 7.0 * name.chars().count() as f64;
    }
    if chart.bars.iter().any(|bar| bar.mark.is_some()) {
        line(svg, "mark", x + 5.0, (bottom + 29.0, bottom + 41.0));
        text(svg, (x + 15.0, bottom + 39.0), "faint", "start", &chart.mark);
    }
}

fn draw_bar(svg: &mut String, bar: &Bar, y: f64) {
    text(svg, (BARS_X - 10.0, y + 14.0), "label", "end", &bar.label);
    let mut from = 0.0;
    for (index, end) in bar.ends.iter().enumerate() {
        let width = (end - from).max(0.0) * BARS_WIDTH;
        rectangle(svg, index, (place(from), y + 4.0), (width, BAR_HEIGHT - 8.0));
        from = end.max(from);
    }
    if let Some(mark) = bar.mark {
        line(svg, "mark", place(mark), (y + 1.0, y + BAR_HEIGHT - 1.0));
    }
    let (class, missed) = if bar.missed { ("missed", " missed") } else { ("faint", "") };
    let figures = format!("{}{missed}", bar.figures);
    text(svg, (BARS_X + BARS_WIDTH + 12.0, y + 14.0), class, "start", &figures);
}

fn place(at: f64) -> f64 {
    BARS_X + at * BARS_WIDTH
}

fn text(svg: &mut String, (x, y): (f64, f64), class: &str, anchor: &str, words: &str) {
    let words = escaped(words);
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\" text-anchor=\"{anchor}\">{words}</text>"
    );
}

fn line(svg: &mut String, class: &str, x: f64, (from, to): (f64, f64)) {
    let _ = writeln!(
        svg,
        "<line class=\"{class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{from:.1}\" y2=\"{to:.1}\"/>"
    );
}

fn rectangle(svg: &mut String, part: usize, (x, y): (f64, f64), (width, height): (f64, f64)) {
    let _ = writeln!(
        svg,
        "<rect class=\"part{part}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
         height=\"{height:.1}\"/>"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::chart::tests::example;

    #[test]
    fn it_stands_alone_and_says_what_it_shows() {
        let svg = render("bench of \"a & b\"", &[example(), Chart::default(), example()]);
        assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("<title id=\"title\">bench of &quot;a &amp; b&quot;</title>"));
        assert!(svg.contains("slow: p95 7 ms, target missed; never: p95 7 ms."), "{svg}");
        assert!(svg.contains("a &lt;b&gt;") && !svg.contains("<b>"));
        assert_eq!(svg.matches("class=\"mark\"").count(), 2 * (2 + 1));
        assert_eq!(svg.matches("class=\"part0\"").count(), 2 * (2 + 1));
        assert!(svg.contains("prefers-color-scheme:dark"));
        // Nothing is fetched from anywhere; each element that is opened is closed.
        assert!(!svg.contains("href") && !svg.contains("url("));
        for element in ["svg", "title", "desc", "style", "text"] {
            let opened = svg.matches(&format!("<{element}>")).count()
                + svg.matches(&format!("<{element} ")).count();
            assert_eq!(opened, svg.matches(&format!("</{element}>")).count(), "{element}");
        }
    }
}
