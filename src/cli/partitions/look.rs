//! What the partition commands see of the database, and what they make of a rule.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};

use crate::error::{Error, Result};
use crate::model::catalog::Catalog;
use crate::model::ident::QualifiedName;
use crate::model::suggest::nearest;
use crate::model::units::Millis;
use crate::pg::session::Session;
use crate::pg::{catalog, default_rows, partitions, server, watch};
use crate::planner::Planned;
use crate::planner::partition::rule::{refuse_second, resolve, unruled};
use crate::planner::partition::{self, Answers, Moment, Scope};
use crate::profile::Limits;
use crate::profile::partitions::PartitionRule;
use crate::runbook::Runbook;
use crate::runbook::partition::Hazard;

use crate::cli::context::Context;
use crate::cli::database::Database;

/// The database at one moment.
pub struct Sight {
    /// Relations and ledger; no indexes.
    pub catalog: Catalog,
    /// The server's clock, or the time that was asked for.
    pub now: DateTime<Utc>,
    /// The server's clock.
    pub clock: DateTime<Utc>,
}

/// Reads the catalog, the ledger and the clock. `as_of` replaces the clock.
pub fn look(
    session: &mut Session,
    database: &Database,
    as_of: Option<DateTime<Utc>>,
) -> Result<Sight> {
    let server = server::look(session, &database.history_table)?;
    session.set_pid(server.pid);
    let (clock, ledger) = partitions::ledger(session)?;
    let catalog = catalog::relations_only(session, server.version_num)?;
    Ok(Sight { catalog: Catalog { ledger, ..catalog }, now: as_of.unwrap_or(clock), clock })
}

/// The rules of the profile, or those about the tables that were named.
pub fn rules<'a>(context: &'a Context, tables: &[String]) -> Result<Vec<&'a PartitionRule>> {
    let rules = &context.profile().partitions;
    if rules.is_empty() {
        return Err(Error::usage("the profile has no rule for partitions")
            .hint("add [[partitions]] with table and interval; docs/partitions.md shows how"));
    }
    for table in tables {
        if !rules.iter().any(|rule| rule.table == *table) {
            let error = Error::usage(format!("the profile has no rule for the table {table}"));
            let guess = nearest(table, rules.iter().map(|rule| rule.table.as_str()));
            return Err(match guess {
                Some(known) => error.hint(format!("did you mean {known}?")),
                None => error,
            });
        }
    }
    let wanted = |rule: &&PartitionRule| tables.is_empty() || tables.contains(&rule.table);
    Ok(rules.iter().filter(wanted).collect())
}

/// Reads "2027-01-31" (its first instant in UTC) or "2027-01-31T12:00:00Z".
pub fn parse_as_of(text: &str) -> std::result::Result<DateTime<Utc>, String> {
    let date = text.parse::<NaiveDate>().ok().and_then(|date| date.and_hms_opt(0, 0, 0));
    date.map(|date| date.and_utc())
        .or_else(|| Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc()))
        .ok_or_else(|| "write a date as 2027-01-31, or a time as 2027-01-31T12:00:00Z".to_string())
}

/// What may be done.
pub struct Terms<'a> {
    /// How long to wait for locks.
    pub limits: &'a Limits,
    /// What the user allowed by name.
    pub allowed: BTreeSet<Hazard>,
    /// All rules of the profile: no two may be about one table.
    pub rules: &'a [PartitionRule],
}

/// One table to work on.
pub struct Job<'a> {
    /// Its rule; for single partitions nothing but the table's name.
    pub written: &'a PartitionRule,
    /// What to do to it.
    pub scope: Scope<'a>,
}

/// Plans a job on what was seen; asks the database what the plan needs beyond that.
pub fn plan(
    session: &mut Session,
    sight: &Sight,
    job: &Job<'_>,
    terms: &Terms<'_>,
) -> Result<Planned> {
    let alone = |finding| Planned { findings: vec![finding], ..Planned::default() };
    let rule = match job.scope {
        Scope::Rotate | Scope::Create => resolve(job.written, &sight.catalog)
            .and_then(|rule| refuse_second(rule, terms.rules, &sight.catalog)),
        Scope::Drop(_) | Scope::Archive(_) => unruled(job.written, &sight.catalog),
        Scope::Restore(_) if job.written.interval.is_none() => unruled(job.written, &sight.catalog),
        Scope::Restore(_) => resolve(job.written, &sight.catalog),
    };
    let rule = match rule {
        Ok(rule) => rule,
        Err(finding) => return Ok(alone(finding)),
    };
    let moment = Moment {
        now: sight.now,
        clock: sight.clock,
        limits: terms.limits,
        allowed: &terms.allowed,
    };
    let questions = match partition::questions(&rule, &sight.catalog, sight.now, job.scope) {
        Ok(questions) => questions,
        Err(finding) => {
            let runbook = partition::withdraw(&rule, &sight.catalog, &moment);
            return Ok(Planned { runbook, findings: vec![finding] });
        }
    };
    let traits = partitions::traits(session, questions.traits.as_slice())?;
    let default_in_the_way = match &questions.default {
        Some((table, condition)) if partitions::holds_others(session, table, condition)? => {
            Some(partitions::size_bytes(session, table)?)
        }
        Some(_) | None => None,
    };
    let long_users = match questions.long_users {
        true => long_users(session, &rule.table, terms.limits.lock_deadline)?,
        false => Vec::new(),
    };
    let to_analyze = partitions::to_analyze(session, &questions.unanalyzed)?;
    let default_rows = match &questions.default_rows {
        Some(question) if default_in_the_way.is_some() => {
            Some(default_rows::look(session, question)?)
        }
        Some(_) | None => None,
    };
    let answers = Answers { traits, default_in_the_way, default_rows, long_users, to_analyze };
    Ok(partition::plan(&rule, &sight.catalog, &answers, &moment, job.scope))
}

/// A detach waits for whoever uses the table, and all other rules with it: not for those who are at
/// it for longer than pgtune tries to get a lock.
fn long_users(session: &mut Session, table: &QualifiedName, age: Millis) -> Result<Vec<String>> {
    let users = watch::long_users(session, table, age)
        .map_err(|failure| failure.explain(&format!("cannot ask who uses {table}")))?;
    Ok(users.iter().map(ToString::to_string).collect())
}

/// What a rule that failed must not leave behind; nothing where it has no table.
pub fn withdraw(sight: &Sight, written: &PartitionRule, limits: &Limits) -> Runbook {
    let moment = Moment { now: sight.now, clock: sight.clock, limits, allowed: &BTreeSet::new() };
    let rule = resolve(written, &sight.catalog);
    rule.map_or_else(
        |_| Runbook::default(),
        |rule| partition::withdraw(&rule, &sight.catalog, &moment),
    )
}
