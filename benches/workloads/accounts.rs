//! An application's database before and after its audit, and with a hundred users at once.

use serde_json::Value;

use crate::Sizes;
use crate::bench::Kept;
use crate::markdown::{
    before_and_after, conditions, count, errors, ms, number, queries, table, text,
};

/// Scans of tables that used an index, and index pages that were in memory, in percent. Partitions
/// without rows, for the months to come, do not count: to read nothing no index is needed.
const INDEX_USE: &str = "
    select (select 100.0 * sum(idx_scan) / nullif(sum(idx_scan + seq_scan), 0)
            from pg_stat_user_tables join pg_class on pg_class.oid = relid
            where reltuples > 0)::float8,
        (select 100.0 * sum(idx_blks_hit) / nullif(sum(idx_blks_hit + idx_blks_read), 0)
            from pg_statio_user_indexes)::float8";

/// 100,000 users.
pub fn measure(sizes: Sizes) -> String {
    let rows = sizes.rows(100_000);
    let duration = ["--duration", sizes.duration()];
    let kept = Kept::start("accounts", &["--rows", &rows, "--to", "1", "--count", "1"]);
    // What loading used does not count.
    kept.execute(&["select pg_stat_reset()"]);
    let before = kept.again(&duration);
    let used_before = index_use(&kept);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), serde_json::to_string(&before).unwrap()).unwrap();
    kept.migrate("2");
    kept.execute(&["vacuum analyze", "select pg_stat_reset()"]);
    let against = ["--against", file.path().to_str().unwrap()];
    let after = kept.again(&[&against[..], &duration].concat());
    let used_after = index_use(&kept);
    let crowd = kept.again(&[&["--concurrency", "100"][..], &duration].concat());
    [
        conditions(&kept.first).replace(", at V1", ""),
        before_and_after(&after),
        promises(&after, &crowd, used_before, used_after),
    ]
    .concat()
}

/// What the run before used, once the server's processes have told it.
fn index_use(kept: &Kept) -> (f64, f64) {
    let row = kept.connect().query_one(INDEX_USE, &[]).unwrap();
    let percent = |column| row.get::<_, Option<f64>>(column).unwrap_or(0.0);
    (percent(0), percent(1))
}

/// The audit's figures beside what was measured.
fn promises(after: &Value, crowd: &Value, before: (f64, f64), now: (f64, f64)) -> String {
    let p95 = queries(crowd).iter().map(|query| number(&query["latency"]["p95_ms"]));
    let worst = ms(&p95.fold(0.0, f64::max).into());
    let rate: f64 = queries(crowd).iter().map(|query| number(&query["per_second"])).sum();
    let met = queries(after).iter().filter(|query| text(&query["verdict"]) == "met").count();
    let row = |what: &str, reference: &str, measured: String| {
        vec![what.to_string(), reference.to_string(), measured]
    };
    let rows = [
        row("targets met after V2", "all", format!("{met} of {}", queries(after).len())),
        row("scans that use an index, before", "about 70 %", format!("{:.1} %", before.0)),
        row("scans that use an index, after", "> 95 %", format!("{:.1} %", now.0)),
        row("index pages found in memory, after", "> 99 %", format!("{:.1} %", now.1)),
        row("100 users at once, p95 of the slowest query", "< 500 ms", worst),
        row("100 users at once, errors", "< 1 %", {
            format!("{}, {} runs/s", errors(crowd), count(&rate.into()))
        }),
    ];
    table(&["the audit", "reference", "measured"], &rows)
}
