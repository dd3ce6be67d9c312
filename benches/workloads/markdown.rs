//! Figures as Markdown.

use serde_json::Value;

/// A table.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &[&str]| format!("| {} |\n", cells.join(" | "));
    let rule = vec!["---"; header.len()];
    let rows = rows.iter().map(|row| line(&row.iter().map(String::as_str).collect::<Vec<_>>()));
    format!("{}{}{}\n", line(header), line(&rule), rows.collect::<String>())
}

/// What was measured, and on what.
pub fn conditions(document: &Value) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (subject, server) = (text(&document["subject"]), text(&document["server"]));
    let server = server.split(',').next().unwrap_or_default();
    format!(
        "{subject}; PostgreSQL {server}, {cores} cores that the load shares with the server.\n\n"
    )
}

/// A string, or nothing.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_string()
}

/// A number; 0 where there is none.
pub fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(0.0)
}

/// Milliseconds: "0.35 ms", "4.1 ms", "114 ms", "1.93 s".
pub fn ms(value: &Value) -> String {
    match number(value) {
        ms if ms < 1.0 => format!("{ms:.2} ms"),
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1_000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.2} s", ms / 1e3),
    }
}

/// A target with its verdict: "10 ms met", "2 s missed"; "none" where there is none.
pub fn target(query: &Value) -> String {
    match (number(&query["target_ms"]), text(&query["verdict"])) {
        (0.0, _) => "none".to_string(),
        (ms, verdict) if ms < 1_000.0 => format!("{ms} ms {verdict}"),
        (ms, verdict) => format!("{} s {verdict}", ms / 1e3),
    }
}

/// A count: "12,345".
pub fn count(value: &Value) -> String {
    let digits = format!("{:.0}", number(value));
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A ratio: "6.1 ×", "36 ×".
pub fn times(ratio: f64) -> String {
    if ratio < 9.95 { format!("{ratio:.1} ×") } else { format!("{ratio:.0} ×") }
}

/// The queries of a document.
pub fn queries(document: &Value) -> &[Value] {
    document["queries"]["queries"].as_array().map_or(&[], Vec::as_slice)
}

/// The pairs of a document's comparison.
pub fn pairs(document: &Value) -> &[Value] {
    document["comparisons"][0]["pairs"].as_array().map_or(&[], Vec::as_slice)
}

/// "none", or how many failed runs there were.
pub fn errors(document: &Value) -> String {
    let errors = queries(document).iter().flat_map(|query| query["errors"].as_array().unwrap());
    match errors.map(|error| error["count"].as_u64().unwrap()).sum::<u64>() {
        0 => "no errors".to_string(),
        failed => format!("{failed} errors"),
    }
}

/// Queries before and after, with their targets: from a run that was made against an earlier one.
pub fn before_and_after(after: &Value) -> String {
    let mut rows = Vec::new();
    for pair in pairs(after) {
        let query = queries(after).iter().find(|query| query["name"] == pair["new"]["query"]);
        let query = query.unwrap();
        rows.push(vec![
            format!("`{}`", text(&pair["question"])),
            ms(&pair["old"]["p50_ms"]),
            ms(&pair["new"]["p50_ms"]),
            times(number(&pair["speed_up"])),
            ms(&pair["old"]["p95_ms"]),
            ms(&pair["new"]["p95_ms"]),
            count(&pair["old"]["buffers"]),
            count(&pair["new"]["buffers"]),
            target(query),
        ]);
    }
    let header = [
        "query",
        "p50 before",
        "after",
        "speed-up",
        "p95 before",
        "after",
        "buffers before",
        "after",
        "p95 target",
    ];
    let text = "Before and after are two runs, one after the other: what the machine was busy with \
                is in the times, and never in the buffers.\n\n";
    text.to_string() + &table(&header, &rows)
}
