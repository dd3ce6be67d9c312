//! Counting an audience: the profile table against the old model with three sets of indexes.

use serde_json::Value;

use crate::Sizes;
use crate::bench::Kept;
use crate::markdown::{conditions, ms, number, pairs, table, times};

const COMPARE: [&str; 2] = ["--compare", "old=eav,new=profile"];

/// Question, the old model's time, the new one's, and the speed-up, as the design had them, and
/// the speed-ups against the old model with its key only and with a covering index.
const REFERENCE: [[&str; 4]; 3] = [
    ["size_country", "114 ms to 19 ms, 6 ×", "16 ×", "1.6 ×"],
    ["size_complex_or", "424 ms to 12 ms, 36 ×", "13 ×", "5.1 ×"],
    ["size_complex_and", "to 5 ms", "7 ×", "1.5 ×"],
];

/// 100,000 users.
pub fn measure(sizes: Sizes) -> String {
    let rows = sizes.rows(100_000);
    let duration = ["--duration", sizes.duration()];
    let again = [&COMPARE[..], &duration].concat();
    let kept = Kept::start("audience", &[&again[..], &["--rows", &rows]].concat());
    kept.execute(&[
        "drop index user_attributes_key_idx, user_attributes_key_value_idx",
        "vacuum analyze",
    ]);
    let key_only = kept.again(&again);
    kept.execute(&[
        "create index on user_attributes (key, value) include (user_id)",
        "vacuum analyze",
    ]);
    let covering = kept.again(&again);
    let first = &kept.first;
    format!("{}{}{}", conditions(first), models(first, &key_only, &covering), reference(first))
}

/// The speed-ups against each set of the old model's indexes. Each ratio is of one run.
fn models(usual: &Value, key_only: &Value, covering: &Value) -> String {
    let row = |(index, pair): (usize, &Value)| {
        let of = |document: &Value| pairs(document)[index].clone();
        let (key_only, covering) = (of(key_only), of(covering));
        let reference = REFERENCE.iter().find(|row| pair["question"] == row[0]).unwrap();
        let against = |pair: &Value, reference: &str| {
            let speed_up = times(number(&pair["speed_up"]));
            format!("{}, {speed_up} ({reference})", ms(&pair["old"]["p50_ms"]))
        };
        vec![
            format!("`{}`", reference[0]),
            ms(&pair["new"]["p50_ms"]),
            against(&key_only, reference[2]),
            format!("{}, {}", ms(&pair["old"]["p50_ms"]), times(number(&pair["speed_up"]))),
            against(&covering, reference[3]),
        ]
    };
    let rows: Vec<Vec<String>> = pairs(usual).iter().enumerate().map(row).collect();
    let text = "Medians, and how many times as fast the profile table is; in brackets the \
                speed-up of an earlier measurement by hand.\n\n";
    let header = ["question", "profile", "old, key only", "old, indexes of V1", "old, covering"];
    text.to_string() + &table(&header, &rows)
}

/// What the design promised, beside what came of it.
fn reference(usual: &Value) -> String {
    let row = |pair: &Value| {
        let reference = REFERENCE.iter().find(|row| pair["question"] == row[0]).unwrap();
        let measured = format!(
            "{} to {}, {}",
            ms(&pair["old"]["p50_ms"]),
            ms(&pair["new"]["p50_ms"]),
            times(number(&pair["speed_up"]))
        );
        vec![format!("`{}`", reference[0]), reference[1].to_string(), measured]
    };
    let mut rows: Vec<Vec<String>> = pairs(usual).iter().map(row).collect();
    let mean = times(number(&usual["comparisons"][0]["mean_speed_up"]));
    rows.push(vec!["mean speed-up".into(), "17.5 ×".into(), format!("{mean} (geometric)")]);
    table(&["reference figures", "the design's", "measured"], &rows)
}

/// 10 million users, only when it is asked for: each question must be answered within 2 s, and the
/// plans are those that a snapshot of 100,000 users foretells.
pub fn measure_10m(sizes: Sizes) -> String {
    let rows = sizes.rows(10_000_000);
    let runs = ["--count", "10", "--set", "shared_buffers=1GB", "--set", "max_wal_size=4GB"];
    let kept = Kept::start("audience", &[&["--rows", rows.as_str()][..], &COMPARE, &runs].concat());
    let document = &kept.first;
    let row = |pair: &Value| {
        let new = number(&pair["new"]["p95_ms"]);
        vec![
            format!("`{}`", pair["question"].as_str().unwrap()),
            ms(&pair["old"]["p50_ms"]),
            ms(&pair["new"]["p50_ms"]),
            times(number(&pair["speed_up"])),
            ms(&pair["new"]["p95_ms"]),
            format!("2 s {}", if new <= 2_000.0 { "met" } else { "missed" }),
        ]
    };
    let rows: Vec<Vec<String>> = pairs(document).iter().map(row).collect();
    let header = ["question", "old p50", "profile p50", "speed-up", "profile p95", "target"];
    conditions(document) + &table(&header, &rows) + &foretold(&kept, sizes)
}

/// The plans of a database beside those that `--scale 100` makes of a hundredth of its users.
fn foretold(large: &Kept, sizes: Sizes) -> String {
    const SCALE: u64 = 100;
    let users = sizes.rows(10_000_000).parse::<u64>().unwrap() / SCALE;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("snapshot.json");
    let file = file.to_str().unwrap();
    let small = Kept::start("audience", &["--rows", &users.to_string(), "--count", "1"]);
    small.ask(&["snapshot", "take", file, "--quiet"]);
    drop(small);
    let verify = ["snapshot", "verify", file, "--scale", &SCALE.to_string()];
    let told = large.ask(&[&verify[..], &["--format", "markdown", "--quiet"]].concat());
    let text = format!("Its plans, and what `--scale {SCALE}` foretells from {users} users:\n\n");
    format!("{text}{told}\n")
}
