//! What statements were seen to do to tables on a server without rows, where reading them did not
//! tell it already: what runs in functions, in `EXECUTE`, or is not understood. Pure.

use std::collections::BTreeMap;

use super::lint::File;
use super::lint::table::CHECKS;
use crate::model::check::CheckRules;
use crate::model::finding::{Finding, Place};
use crate::model::ident::{Ident, QualifiedName};
use crate::model::lock::LockMode;
use crate::model::lock_trace::{TracedLock, Work};
use crate::model::rename::Lost;
use crate::model::units::{human_bytes, plural};
use crate::sql::Statement;
use crate::sql::split::newlines;
use crate::sql::tokens::names;

/// Checks that tell of work under a lock: one of them is enough for a statement.
const OF_WORK: [&str; 5] = [
    "table-rewrite",
    "table-scan-under-lock",
    "blocking-index-build",
    "validate-in-same-transaction",
    "required-column",
];

/// What is done to large tables under locks that stop writers, one finding for each statement that
/// `linted` does not speak of. `bytes` is how much of a table is worked
/// on; 0 where it is new.
pub fn findings(
    locks: &[TracedLock],
    bytes: impl Fn(&QualifiedName, Work) -> u64,
    files: &[File<'_>],
    rules: &CheckRules,
    linted: &[Finding],
) -> Vec<Finding> {
    let harms = |one: &&TracedLock| one.mode >= LockMode::Share && one.work > Work::Instant;
    let harmful: Vec<&TracedLock> = locks.iter().filter(harms).collect();
    let of_statements = harmful.chunk_by(|a, b| a.place == b.place);
    let each = of_statements.filter_map(|locks| {
        let place = &locks[0].place;
        let is_said = linted.iter().any(|finding| {
            OF_WORK.contains(&finding.check.as_str()) && is_within(finding, place, files)
        });
        let finding = finding(locks, &bytes, rules, is_of_a_domain(place, files));
        let finding = finding.filter(|_| !is_said)?;
        Some(finding.at(place.path.as_str(), place.line))
    });
    each.collect()
}

/// The statements at this place: several may stand on one line.
fn statements_at<'a>(
    place: &'a Place,
    files: &'a [File<'a>],
) -> impl Iterator<Item = &'a Statement> {
    let file = files.iter().find(|file| file.path == place.path);
    let statements = file.map(|file| file.statements).unwrap_or_default();
    statements.iter().filter(|statement| statement.line == place.line)
}

/// Whether a finding stands in the statement at this place.
fn is_within(finding: &Finding, place: &Place, files: &[File<'_>]) -> bool {
    let mut here = statements_at(place, files);
    let found = finding.place.as_ref().filter(|found| found.path == place.path);
    found.is_some_and(|found| {
        here.any(|one| (one.line..=one.line + newlines(&one.text)).contains(&found.line))
    })
}

/// Tables and columns that are gone or called otherwise, where no finding of `linted` says so:
/// those of a schema, an owner, a type. Each statement once, told by the lock that it took.
pub fn lost(lost: &[Lost], locks: &[TracedLock], linted: &[Finding]) -> Vec<Finding> {
    let mut told: BTreeMap<(Option<&Place>, &str), Vec<&Lost>> = BTreeMap::new();
    for one in lost {
        let check = if one.now.is_some() { "rename-in-use" } else { "drop-in-use" };
        let takes =
            |lock: &&TracedLock| lock.table == one.table && lock.mode == LockMode::AccessExclusive;
        let places = || locks.iter().filter(takes).map(|lock| &lock.place);
        let place = places().next_back();
        // Partitions lose with their table what is said of that.
        let is_said = |finding: &Finding| {
            let said = one.column.as_ref().is_none_or(|one| one.is_mentioned_in(&finding.message));
            let is_here = finding.subject == one.table.to_string()
                || places().any(|place| finding.place.as_deref() == Some(place));
            finding.check == check && is_here && said
        };
        if linted.iter().any(is_said) {
            continue;
        }
        told.entry((place, check)).or_default().push(one);
    }
    let finding = |((place, check), all): (&(Option<&Place>, &str), &Vec<&Lost>)| {
        let known = CHECKS.iter().find(|known| known.id == *check)?;
        let first = all.first()?;
        let what = match (&first.column, &first.now) {
            (None, None) => "the table is dropped".to_string(),
            (None, Some(now)) => format!("the table becomes {now}"),
            (Some(column), None) => format!("the column {column} is dropped"),
            (Some(column), Some(now)) => format!("{column} becomes {now}"),
        };
        let more = match all.len() - 1 {
            0 => String::new(),
            more => format!(", and {} with it", plural(more, "thing more", "things more")),
        };
        let message = format!("{what}{more}, as was seen");
        let finding = Finding::new(check, known.severity, first.table.to_string(), message)
            .help(known.remedy);
        Some(match place {
            Some(place) => finding.at(place.path.as_str(), place.line),
            None => finding,
        })
    };
    told.iter().filter_map(finding).collect()
}

/// Whether the statement at this place is an ALTER DOMAIN, which looks at the domain's columns.
fn is_of_a_domain(place: &Place, files: &[File<'_>]) -> bool {
    let mut here = statements_at(place, files);
    here.any(|one| names(&one.text).contains(&Ident::from_sql("domain")))
}

/// The finding of one statement; its tables are partitions of one, or several.
fn finding(
    locks: &[&TracedLock],
    bytes: &impl Fn(&QualifiedName, Work) -> u64,
    rules: &CheckRules,
    is_of_a_domain: bool,
) -> Option<Finding> {
    let work = locks.iter().map(|one| one.work).max()?;
    let of_work = || locks.iter().filter(|one| one.work == work);
    let mode = of_work().map(|one| one.mode).max()?;
    let largest = of_work().max_by_key(|one| bytes(&one.table, work))?;
    let all: u64 = of_work().map(|one| bytes(&one.table, work)).sum();
    // CREATE INDEX takes SHARE, and nothing else that reads a table does but ALTER DOMAIN.
    let (check, what, at_least_mb) = match (work, mode) {
        (Work::Rewrite, _) => ("table-rewrite", "written anew", rules.rewrite_mb),
        (Work::FullScan, LockMode::Share) if !is_of_a_domain => {
            ("blocking-index-build", "read", rules.rewrite_mb)
        }
        (Work::FullScan | Work::Instant, _) => ("table-scan-under-lock", "read", rules.scan_mb),
    };
    if all >> 20 < at_least_mb {
        return None;
    }
    let more = of_work().count() - 1;
    let more = match more {
        0 => String::new(),
        more => format!(", with {}", plural(more, "table more", "tables more")),
    };
    let message = format!("{} are {what} under {mode}, as was seen{more}", human_bytes(all));
    let known = CHECKS.iter().find(|known| known.id == check)?;
    Some(Finding::new(check, known.severity, largest.table.to_string(), message).help(known.remedy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::Severity;
    use crate::model::ident::Ident;
    use crate::sql::parse;

    fn lock(line: usize, table: &str, mode: LockMode, work: Work) -> TracedLock {
        let ident = |name| Ident::new(name).unwrap();
        let table = QualifiedName::new(ident("app"), ident(table));
        TracedLock { place: Place { path: "V1.sql".to_string(), line }, table, mode, work }
    }

    /// Of tables of 40 MB.
    fn told(locks: &[TracedLock], linted: &[Finding], rules: &CheckRules) -> Vec<String> {
        let statements = parse("select f();\n\ndo $$ begin\nperform g();\nend $$;").unwrap();
        let files = [File { path: "V1.sql", statements: &statements }];
        let found = findings(locks, |_, _| 40 << 20, &files, rules, linted);
        let line = |one: &Finding| one.place.as_ref().unwrap().line;
        found.iter().map(|one| format!("{} {} {}", line(one), one.check, one.message)).collect()
    }

    #[test]
    fn large_tables_under_strong_locks_are_told_once_for_a_statement() {
        let rules = CheckRules { rewrite_mb: 64, scan_mb: 64, ..CheckRules::default() };
        let (strong, weak) = (LockMode::AccessExclusive, LockMode::ShareUpdateExclusive);
        let parts = [lock(1, "a", strong, Work::Rewrite), lock(1, "b", strong, Work::Rewrite)];
        let expected = "1 table-rewrite 80.0 MB are written anew under ACCESS EXCLUSIVE, as was \
                        seen, with 1 table more";
        assert_eq!(told(&parts, &[], &rules), [expected]);
        assert_eq!(told(&parts[..1], &[], &rules), Vec::<String>::new(), "too small");
        let weak = [lock(1, "a", weak, Work::FullScan), lock(1, "b", weak, Work::FullScan)];
        assert_eq!(told(&weak, &[], &rules), Vec::<String>::new());
        let instant = [lock(1, "a", strong, Work::Instant), lock(1, "b", strong, Work::Instant)];
        assert_eq!(told(&instant, &[], &rules), Vec::<String>::new());
    }

    #[test]
    fn what_was_read_in_the_same_statement_is_not_said_again() {
        let rules = CheckRules { rewrite_mb: 1, scan_mb: 1, ..CheckRules::default() };
        let locks = [
            lock(1, "a", LockMode::Share, Work::FullScan),
            lock(3, "a", LockMode::AccessExclusive, Work::FullScan),
        ];
        let linted = |check: &str, line| {
            [Finding::new(check, Severity::Error, "app.a", "").at("V1.sql", line)]
        };
        let checks = |linted: &[Finding]| -> Vec<String> {
            let words = told(&locks, linted, &rules).into_iter();
            words.map(|told| told.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect()
        };
        let both = ["1 blocking-index-build", "3 table-scan-under-lock"];
        assert_eq!(checks(&[]), both);
        assert_eq!(checks(&linted("table-scan-under-lock", 4)), both[..1], "inside the DO block");
        assert_eq!(checks(&linted("blocking-index-build", 1)), both[1..]);
        assert_eq!(checks(&linted("long-name", 1)), both, "another matter");
    }
}
