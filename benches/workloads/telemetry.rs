//! Writing 10,000 values a second: the old and the new write path in one run, and reading beside.

use serde_json::Value;

use crate::Sizes;
use crate::bench;
use crate::markdown::{conditions, count, ms, number, queries, table, target, text, times};

/// Times the single inserts' rows a second, as measured by hand before.
const REFERENCE: [(&str, &str); 5] = [
    ("single", "1.0"),
    ("single-lazy", "2.0"),
    ("batches", "4.5"),
    ("staging", "11.4"),
    ("direct", "15.1"),
];

/// A million values.
pub fn measure(sizes: Sizes) -> String {
    let rows = sizes.rows(1_000_000);
    let tags = ["--tag", "point", "--tag", "filter", "--tag", "series", "--tag", "period"];
    let how = ["--rows", &rows, "--duration", sizes.duration(), "--ingest", "all"];
    let document = bench::run(&[&["telemetry"][..], &how, &tags].concat());
    let ways = document["ingest"].as_array().unwrap();
    [conditions(&document), writing(ways), targets(ways), reading(&document)].concat()
}

/// The ways of writing side by side.
fn writing(ways: &[Value]) -> String {
    let first = number(&ways[0]["free"]["rows_per_second"]);
    let row = |way: &Value| {
        let name = text(&way["name"]);
        let reference = REFERENCE.iter().find(|(known, _)| *known == name).unwrap().1;
        let offered = &way["offered"];
        vec![
            format!("`{name}`"),
            count(&offered["rows_per_second"]),
            ms(&offered["latency"]["p95_ms"]),
            count(&way["free"]["rows_per_second"]),
            times(number(&way["free"]["rows_per_second"]) / first),
            format!("{reference} ×"),
            ms(&way["free"]["latency"]["p95_ms"]),
            text(&way["lost_in_a_crash"]),
        ]
    };
    let rows: Vec<Vec<String>> = ways.iter().map(row).collect();
    let header = [
        "way",
        "rows/s of 10,000 offered",
        "p95",
        "rows/s at most",
        "times",
        "reference",
        "p95",
        "a crash loses",
    ];
    let clients = number(&ways[0]["clients"]);
    format!(
        "{clients} clients; `single` and `single-lazy` write one row in a statement, the others \
         1,000. A latency counts from when the rows were due. `single` waits for the disk at every \
         row, so what is a multiple of it depends on the disk first; the reference was measured \
         by hand on another one.\n\n{}",
        table(&header, &rows)
    )
}

/// The figures that the workload promises.
fn targets(ways: &[Value]) -> String {
    let find = |name: &str| ways.iter().find(|way| way["name"] == name).unwrap();
    let (staging, direct, batches) = (find("staging"), find("direct"), find("batches"));
    let flush = &staging["offered"]["flush"];
    let row = |what: &str, target: &str, measured: String| {
        vec![what.to_string(), target.to_string(), measured]
    };
    let word = |is_met: bool| if is_met { "met" } else { "missed" };
    // What arrives after the last flush, or the last batch that was due, is no miss.
    let rate = |way: &Value| {
        let rate = &way["offered"]["rows_per_second"];
        format!("{} rows/s, {}", count(rate), word(number(rate) >= 9_500.0))
    };
    let p95 = |pace: &Value, limit: f64| {
        let p95 = &pace["latency"]["p95_ms"];
        format!("{}, {}", ms(p95), word(number(p95) < limit))
    };
    let rows = [
        row("writes through staging", "10,000 to 12,000 rows/s", rate(staging)),
        row("writes straight into the partitions", "10,000 to 12,000 rows/s", rate(direct)),
        row("p95 of a COPY into staging", "< 50 ms", p95(&staging["offered"], 50.0)),
        row("p95 of a COPY into the partitions", "< 50 ms", p95(&direct["offered"], 50.0)),
        row("p95 of 1,000 rows into the old table", "< 100 ms", p95(&batches["offered"], 100.0)),
        row("flush, p50 and p95", "called every 100 ms", {
            format!("{}, {}", ms(&flush["latency"]["p50_ms"]), ms(&flush["latency"]["p95_ms"]))
        }),
        row("staging backlog at most", "alarm above 1,000,000 rows", {
            format!("{} rows", count(&flush["backlog_rows_greatest"]))
        }),
    ];
    table(&["at 10,000 rows a second", "target", "measured"], &rows)
}

/// The queries with their targets, after V6.
fn reading(document: &Value) -> String {
    let row = |query: &Value| {
        vec![
            format!("`{}`", text(&query["name"])),
            ms(&query["latency"]["p50_ms"]),
            ms(&query["latency"]["p95_ms"]),
            count(&query["footprint"]["rows"]),
            count(&query["footprint"]["buffers"]),
            target(query),
        ]
    };
    let rows: Vec<Vec<String>> = queries(document).iter().map(row).collect();
    table(&["query", "p50", "p95", "rows", "buffers", "p95 target"], &rows)
}
