//! On which snapshot something is told: of what, how old, and how faithful.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use clap::ValueHint;

use crate::error::Result;
use crate::model::finding::{Finding, Severity};
use crate::model::snapshot::{Fidelity, Snapshot};
use crate::model::units::plural;

use super::file::{DEFAULT, factor, read_scaled};

/// On which snapshot to tell something.
#[derive(Debug, clap::Args)]
pub struct OriginArgs {
    /// The file of `pgtune snapshot take`
    #[arg(long, value_name = "FILE", default_value = DEFAULT, value_hint = ValueHint::FilePath)]
    snapshot: PathBuf,
    /// Plan as with so many times the rows
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = factor)]
    scale: f64,
}

impl OriginArgs {
    /// Reads the snapshot, with so many times the rows.
    pub fn read(&self) -> Result<Snapshot> {
        read_scaled(&self.snapshot, self.scale)
    }

    /// What a report says of it.
    pub fn facts(&self, snapshot: &Snapshot) -> Vec<(String, String)> {
        origin(&self.snapshot, snapshot, self.scale)
    }

    /// The finding where it is too old to be relied on; never with 0 days.
    pub fn too_old(&self, snapshot: &Snapshot, days_max: u64) -> Option<Finding> {
        too_old(&self.snapshot, snapshot, days_max)
    }
}

/// What a report says of the snapshot that it comes from, with the factor that rows were multiplied
/// by.
pub fn origin(path: &Path, snapshot: &Snapshot, scale: f64) -> Vec<(String, String)> {
    let server = &snapshot.server;
    let (major, minor) = (server.version_num / 10_000, server.version_num % 10_000);
    let taken = match age(&snapshot.taken_at) {
        Some(age) => format!("{}, {age}", snapshot.taken_at),
        None => snapshot.taken_at.clone(),
    };
    let mut facts = vec![
        (
            "snapshot",
            format!("{}: {} on PostgreSQL {major}.{minor}", path.display(), server.database),
        ),
        ("taken", taken),
        ("fidelity", fidelity(snapshot.fidelity.as_ref())),
    ];
    if scale != 1.0 {
        facts.push(("rows", format!("× {scale}")));
    }
    facts.into_iter().map(|(name, value)| (name.to_string(), value)).collect()
}

fn fidelity(fidelity: Option<&Fidelity>) -> String {
    match fidelity {
        Some(Fidelity { verified_at, plans, same_shape, exact }) => format!(
            "{same_shape} of {} had the same shape, {exact} were exact, at {verified_at}",
            plural(*plans, "plan", "plans")
        ),
        None => "not measured; `pgtune snapshot verify --record` does".to_string(),
    }
}

fn too_old(path: &Path, snapshot: &Snapshot, days_max: u64) -> Option<Finding> {
    let taken: DateTime<Utc> = snapshot.taken_at.parse().ok()?;
    let days = u64::try_from((Utc::now() - taken).num_days()).ok()?;
    (days_max > 0 && days > days_max).then(|| {
        let message = format!("was taken {days} days ago; check.snapshot_days is {days_max}");
        Finding::new("snapshot-old", Severity::Warning, path.display().to_string(), message)
            .help("take it anew with `pgtune snapshot take`")
    })
}

/// How long ago a moment was, in words.
fn age(moment: &str) -> Option<String> {
    let moment: DateTime<Utc> = moment.parse().ok()?;
    let passed = Utc::now() - moment;
    let ago = |count: i64, one, many| {
        let count = usize::try_from(count).ok()?;
        Some(format!("{} ago", plural(count, one, many)))
    };
    match (passed.num_days(), passed.num_hours(), passed.num_minutes()) {
        (days, _, _) if days > 1 => ago(days, "day", "days"),
        (_, hours, _) if hours > 0 => ago(hours, "hour", "hours"),
        (_, _, minutes) if minutes > 0 => ago(minutes, "minute", "minutes"),
        (_, _, _) => Some("just now".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Duration;

    #[test]
    fn ages_are_told_in_words() {
        let told = |passed: Duration| age(&(Utc::now() - passed).to_rfc3339()).unwrap();
        assert_eq!(told(Duration::seconds(3)), "just now");
        assert_eq!(told(Duration::seconds(61)), "1 minute ago");
        assert_eq!(told(Duration::hours(30)), "30 hours ago");
        assert_eq!(told(Duration::days(40)), "40 days ago");
        assert_eq!(age("once"), None);
    }

    #[test]
    fn old_snapshots_are_told() {
        let taken_at = (Utc::now() - Duration::days(40)).to_rfc3339();
        let snapshot = Snapshot { taken_at, ..Snapshot::default() };
        let told = |days| too_old(Path::new("s.json"), &snapshot, days).map(|one| one.message);
        let message = "was taken 40 days ago; check.snapshot_days is 30";
        assert_eq!(told(30).as_deref(), Some(message));
        assert_eq!((told(0), told(50)), (None, None));
        let facts = origin(Path::new("s.json"), &snapshot, 10.0);
        assert_eq!(facts[3], ("rows".to_string(), "× 10".to_string()));
        assert!(facts[2].1.starts_with("not measured"));
    }
}
