//! An event store before and after its index change.

use crate::Sizes;
use crate::bench::Kept;
use crate::markdown::{before_and_after, conditions, errors};

/// A million events.
pub fn measure(sizes: Sizes) -> String {
    let rows = sizes.rows(1_000_000);
    let duration = ["--duration", sizes.duration()];
    let start = [&["--rows", rows.as_str(), "--to", "2"][..], &duration].concat();
    let kept = Kept::start("events", &start);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), serde_json::to_string(&kept.first).unwrap()).unwrap();
    kept.migrate("3");
    kept.execute(&["vacuum analyze"]);
    let against = ["--against", file.path().to_str().unwrap()];
    let after = kept.again(&[&against[..], &duration].concat());
    let text = "Without a target for single queries, uncached analytics took 200 to 800 ms in the \
                reference; the profile's targets are 800 ms, and 50 ms for one user's events.";
    format!(
        "{}{}{text} Here there were {}.\n\n",
        conditions(&kept.first).replace(", at V2", ""),
        before_and_after(&after),
        errors(&after)
    )
}
