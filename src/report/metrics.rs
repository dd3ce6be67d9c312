//! Metrics in Prometheus' text format (prometheus.io, "Exposition formats").

use std::fmt::Write;

/// A gauge with a value for each table.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// What it says.
    pub help: String,
    /// Table and value.
    pub samples: Vec<(String, f64)>,
}

/// All metrics, and how many rules there are: a scrape that misses one shows.
pub fn text(metrics: &[Metric], rules: usize) -> String {
    let mut out = String::new();
    for Metric { name, help, samples } in metrics.iter().filter(|m| !m.samples.is_empty()) {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (table, value) in samples {
            let _ = writeln!(out, "{name}{{table=\"{}\"}} {value}", escaped(table));
        }
    }
    let name = "pgtune_partitions_rules";
    let _ =
        writeln!(out, "# HELP {name} Rules of the profile\n# TYPE {name} gauge\n{name} {rules}");
    out
}

/// A label's value.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_and_what_has_no_sample_is_left_out() {
        let metric = |name: &str, samples: Vec<(String, f64)>| Metric {
            name: name.to_string(),
            help: "Help".to_string(),
            samples,
        };
        let metrics = [metric("a", vec![("x.\"y\\\"".to_string(), 1.5)]), metric("b", Vec::new())];
        assert_eq!(
            text(&metrics, 2),
            "# HELP a Help\n# TYPE a gauge\na{table=\"x.\\\"y\\\\\\\"\"} 1.5\n# HELP \
             pgtune_partitions_rules Rules of the profile\n# TYPE pgtune_partitions_rules \
             gauge\npgtune_partitions_rules 2\n"
        );
    }
}
