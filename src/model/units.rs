//! Numbers with their units: durations and sizes, read and written as PostgreSQL does.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A duration in milliseconds; in text "250ms", "2s", "10min", "1h", "7d"; "0" means no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub u64);

const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("ms", 1), ("s", 1_000)];

impl Millis {
    /// Reads "2s", "500ms", "10min", "1h", "7d", or "0".
    pub fn parse(text: &str) -> Result<Millis, String> {
        let text = text.trim();
        if text == "0" {
            return Ok(Millis(0));
        }
        UNITS
            .iter()
            .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?.trim(), factor)))
            .and_then(|(number, factor)| number.parse::<u64>().ok()?.checked_mul(*factor))
            .map(Millis)
            .ok_or_else(|| {
                format!("\"{text}\" is no duration; write for example 250ms, 2s, 10min, 1h or 0")
            })
    }

    /// As the standard library's type.
    pub fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Millis(ms) = *self;
        for (unit, factor) in [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)] {
            if ms >= factor && ms.is_multiple_of(factor) {
                return write!(f, "{}{unit}", ms / factor);
            }
        }
        if ms == 0 { f.write_str("0") } else { write!(f, "{ms}ms") }
    }
}

impl Serialize for Millis {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Millis::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Millis {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Millis".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^(0|[0-9]+ ?(ms|s|min|h|d))$",
            "description": "a duration: 250ms, 2s, 10min, 1h, 7d; 0 means no limit",
        })
    }
}

/// A size in bytes for people: "0 B", "8.0 kB", "1.2 GB" (1 kB = 1024 bytes, as `pg_size_pretty`).
pub fn human_bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TB")
}

/// A duration for people: "0.04 ms", "0.4 ms", "12 ms", "1.34 s", "2 min 5 s", "1 h 2 min".
pub fn human_duration(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1000.0;
    let s = duration.as_secs();
    match ms {
        ms if ms < 0.095 => format!("{ms:.2} ms"),
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1_000.0 => format!("{ms:.0} ms"),
        ms if ms < 60_000.0 => format!("{:.2} s", ms / 1000.0),
        _ if s < 3600 => format!("{} min {} s", s / 60, s % 60),
        _ => format!("{} h {} min", s / 3600, s % 3600 / 60),
    }
}

/// A count for people: "7", "1,234,567".
pub fn human_count(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// "1 index", "2 indexes": the count with the word that agrees with it.
pub fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", human_count(count as u64), if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_round_trip() {
        for text in ["0", "250ms", "2s", "10min", "1h", "7d"] {
            assert_eq!(Millis::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Millis::parse(" 90 s ").unwrap(), Millis(90_000));
        for bad in ["", "2", "s", "-1s", "1.5s", "99999999999999999999d"] {
            assert!(Millis::parse(bad).unwrap_err().contains("is no duration"), "{bad}");
        }
    }

    #[test]
    fn people_read_units() {
        assert_eq!(human_bytes(0), "0 B");
        assert_eq!(human_bytes(8192), "8.0 kB");
        assert_eq!(human_bytes(1_288_490_189), "1.2 GB");
        assert_eq!(human_count(1_234_567), "1,234,567");
        assert_eq!(human_duration(Duration::from_micros(42)), "0.04 ms");
        assert_eq!(human_duration(Duration::from_micros(420)), "0.4 ms");
        assert_eq!(human_duration(Duration::from_millis(1_340)), "1.34 s");
        assert_eq!(human_duration(Duration::from_secs(125)), "2 min 5 s");
        assert_eq!(plural(1, "index", "indexes"), "1 index");
    }
}
