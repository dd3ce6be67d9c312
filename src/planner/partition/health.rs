//! How a partitioned table stands against its rule: how long its partitions last, and what is
//! wrong with them.

use chrono::{DateTime, Utc};

use super::members::{Member, Members, members};
use super::rule::{Range, Rule, Scheme};
use crate::model::calendar::Grid;
use crate::model::catalog::Catalog;
use crate::model::finding::{Finding, Severity};
use crate::model::ident::QualifiedName;
use crate::model::ledger::RetiredProgress;
use crate::model::time_key::{Limit, Point};
use crate::model::units::{human_count, plural};
use crate::profile::partitions::Expiry;
use crate::runbook::partition::is_proof;
use crate::runbook::swap::copy_of;

/// What the server said beyond its catalog.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// What the DEFAULT partition holds.
    pub default: InDefault,
    /// Locks that a query without pruning takes: every leaf and its indexes.
    pub locks: u64,
    /// Room for locks, for each transaction (`max_locks_per_transaction`).
    pub locks_per_transaction: u64,
}

/// What a DEFAULT partition holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum InDefault {
    /// Nothing, or there is none.
    #[default]
    Nothing,
    /// Rows.
    Rows,
    /// It could not be looked into.
    Unknown {
        /// Why.
        why: String,
        /// What helps.
        help: String,
    },
}

/// The state of one table.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    /// The table.
    pub table: QualifiedName,
    /// RANGE: whole periods that are ready beyond the present one.
    pub ahead: Option<u16>,
    /// How many the rule wants.
    pub wanted_ahead: u16,
    /// Until when rows find a partition; `None` for ever, or where time is not the key.
    pub until: Option<DateTime<Utc>>,
    /// Ranges between partitions that no partition holds.
    pub gaps: usize,
    /// Partitions whose detach is pending.
    pub pending_detaches: usize,
    /// Partitions past the retention.
    pub retention_overdue: usize,
    /// Detached tables past the grace period.
    pub drop_overdue: usize,
    /// What the server said.
    pub counts: Counts,
    /// What is to be said about it.
    pub findings: Vec<Finding>,
}

/// Looks at one table.
pub fn health(
    rule: &Rule<'_>,
    catalog: &Catalog,
    counts: Counts,
    now: DateTime<Utc>,
) -> Result<Health, Finding> {
    let mut health = Health {
        table: rule.table.clone(),
        ahead: None,
        wanted_ahead: rule.written.ahead,
        until: None,
        gaps: 0,
        pending_detaches: 0,
        retention_overdue: 0,
        drop_overdue: drop_overdue(rule, catalog, now),
        counts,
        findings: Vec::new(),
    };
    health.say_of_counts();
    health.say_of_proofs(catalog);
    health.say_of_copy(catalog);
    match &rule.scheme {
        Scheme::Range(range) => {
            let members = members(catalog, rule, range)?;
            health.range(catalog, rule, range, &members, now);
        }
        Scheme::Hash { .. } | Scheme::List | Scheme::Unruled => {
            let missing = super::create::missing_count(rule, catalog)?;
            if missing > 0 {
                let message =
                    format!("{} missing", plural(missing, "partition is", "partitions are"));
                health.say("partitions-missing", Severity::Error, message, CREATE);
            }
        }
    }
    Ok(health)
}

const CREATE: &str = "`pgtune partitions create` creates them";
const ROTATE: &str = "run `pgtune partitions rotate`";

/// Detached tables that should be gone.
fn drop_overdue(rule: &Rule<'_>, catalog: &Catalog, now: DateTime<Utc>) -> usize {
    let grace = i64::try_from(rule.written.grace.0).unwrap_or(i64::MAX);
    let loose = |table| catalog.relations.get(table).is_some_and(|r| r.partition_of.is_none());
    let retired = catalog.ledger.retired.iter();
    let retired = retired.filter(|r| r.parent == rule.table && r.expires && loose(&r.table));
    match rule.written.expiry {
        Expiry::Detach => 0,
        Expiry::Drop | Expiry::Archive => retired
            .filter(|retired| match retired.progress {
                RetiredProgress::DetachedAt(at) => (now - at).num_milliseconds() >= grace,
                RetiredProgress::Retiring
                | RetiredProgress::DetachedNow
                | RetiredProgress::Restored => false,
            })
            .count(),
    }
}

impl Health {
    fn say(&mut self, check: &str, severity: Severity, message: String, help: &str) {
        let finding = Finding::new(check, severity, self.table.to_string(), message);
        self.findings.push(finding.help(help));
    }

    fn say_of_counts(&mut self) {
        match self.counts.default.clone() {
            InDefault::Nothing => {}
            InDefault::Rows => {
                let message = "the DEFAULT partition holds rows".to_string();
                let help = "find out why they have no partition of their own, and move them";
                self.say("default-rows", Severity::Warning, message, help);
            }
            // As severe as what it may hide.
            InDefault::Unknown { why, help } => {
                self.say("default-unknown", Severity::Warning, why, &help);
            }
        }
        let Counts { locks, locks_per_transaction: room, .. } = self.counts;
        if locks > room {
            let message = format!(
                "a query that prunes nothing takes {} locks; max_locks_per_transaction is {room}",
                human_count(locks)
            );
            let help = "raise max_locks_per_transaction, or keep fewer or longer partitions";
            self.say("many-locks", Severity::Warning, message, help);
        }
        if self.drop_overdue > 0 {
            let count = plural(self.drop_overdue, "detached table is", "detached tables are");
            let message = format!("{count} past the grace period");
            let help = "run `pgtune partitions rotate --allow drop-partition`";
            self.say("drop-overdue", Severity::Warning, message, help);
        }
    }

    /// A copy that nobody goes on with notes all changes of the DEFAULT partition for ever.
    fn say_of_copy(&mut self, catalog: &Catalog) {
        if catalog.relations.contains_key(&copy_of(&self.table)) {
            let message =
                "a copy of the DEFAULT partition was begun and is not finished".to_string();
            let help = "`pgtune partitions rotate` goes on with it, if none is at work";
            self.say("default-copy", Severity::Warning, message, help);
        }
    }

    /// A run that was killed leaves its proof behind, and rows that it speaks of are refused.
    fn say_of_proofs(&mut self, catalog: &Catalog) {
        let Some((name, relation)) = catalog.default_partition(&self.table) else { return };
        if let Some(check) = relation.checks.iter().find(|check| is_proof(&check.name)) {
            let message = format!("{name} refuses rows while it has the check {}", check.name);
            let help = "`pgtune partitions rotate` takes it away, if none is at work";
            self.say("default-closed", Severity::Warning, message, help);
        }
    }

    fn range(
        &mut self,
        catalog: &Catalog,
        rule: &Rule<'_>,
        range: &Range,
        members: &Members<'_>,
        now: DateTime<Utc>,
    ) {
        self.pending_detaches = members.pending.len();
        if let Some((name, _)) = members.pending.first() {
            let message = format!("the detach of {name} was interrupted");
            self.say("pending-detach", Severity::Warning, message, ROTATE);
        }
        let Some(now) = range.key_type.point_at(now, range.zone) else { return };
        self.runway(range, members, now);
        self.retention_overdue = expired(catalog, rule, range, members, now).len();
        self.say_of_retention();
        self.inner_gaps(members, now);
        self.drift(range, members);
    }

    /// How long rows find a partition.
    fn runway(&mut self, range: &Range, members: &Members<'_>, now: Point) {
        let covered = members.covered_from(Limit::At(now));
        let wanted = self.wanted_ahead;
        let ahead = match covered {
            None => 0,
            Some(upper) => range.grid.periods_between(now, upper).min(u16::MAX - 1),
        };
        self.ahead = Some(ahead);
        self.until = match covered {
            Some(Limit::At(point)) => range.key_type.instant_of(point, range.zone),
            Some(Limit::Min | Limit::MinusInfinity | Limit::Infinity | Limit::Max) | None => None,
        };
        let interval = range.grid.interval();
        if covered.is_none() {
            let message = "rows of this moment have no partition".to_string();
            self.say("runway", Severity::Error, message, ROTATE);
        } else if ahead < wanted {
            let severity = if ahead == 0 { Severity::Error } else { Severity::Warning };
            let message = format!("{ahead} of {wanted} {interval}s are ready");
            self.say("runway", severity, message, ROTATE);
        }
    }

    fn say_of_retention(&mut self) {
        if self.retention_overdue > 0 {
            let count = plural(self.retention_overdue, "partition is", "partitions are");
            let message = format!("{count} past the retention");
            let help = "run `pgtune partitions rotate --allow detach-partition`";
            self.say("retention-overdue", Severity::Warning, message, help);
        }
    }

    fn inner_gaps(&mut self, members: &Members<'_>, now: Point) {
        let ends = members.ranges.first().zip(members.ranges.last());
        let Some((first, last)) = ends else { return };
        let gaps = members.gaps(first.bound.lower(), last.bound.upper());
        self.gaps = gaps.len();
        let behind = |limit: Limit| limit <= Limit::At(now);
        if let Some((from, to)) = gaps.first() {
            let severity = if gaps.iter().all(|gap| behind(gap.1)) {
                Severity::Warning
            } else {
                Severity::Error
            };
            let print = |limit: &Limit| members.print(*limit);
            let message = format!("no partition holds {} to {}", print(from), print(to));
            self.say("gap", severity, message, "create a partition for it");
        }
    }

    /// Bounds that are no boundaries in the rule's time zone.
    fn drift(&mut self, range: &Range, members: &Members<'_>) {
        let odd = |grid: &Grid, member: &&Member<'_>| match member.bound.lower() {
            Limit::At(point) => !grid.is_boundary(point),
            Limit::Min | Limit::MinusInfinity | Limit::Infinity | Limit::Max => false,
        };
        // One odd bound is where pgtune went on from others; the newest ones tell.
        let newest = &members.ranges[members.ranges.len().saturating_sub(2)..];
        let Some(first) = newest.first() else { return };
        if !newest.iter().all(|member| odd(&range.grid, &member)) {
            return;
        }
        let interval = range.grid.interval();
        let fits = |zone: &chrono_tz::Tz| {
            let grid = Grid::new(range.key_type, interval, *zone);
            grid.is_ok_and(|grid| !members.ranges.iter().any(|member| odd(&grid, &member)))
        };
        let zones = chrono_tz::TZ_VARIANTS;
        let other = zones.iter().find(|zone| fits(zone));
        let message = format!("{} begins at no {interval} of {}", first.name, range.zone);
        let help = match other {
            Some(zone) => format!("all begin at one of {zone}: set time_zone to it if you like"),
            None => "new partitions go on from the last bound at the rule's boundaries".to_string(),
        };
        self.say("zone-drift", Severity::Warning, message, &help);
    }
}

/// Partitions that are wholly older than the retention: their upper bound is not inside. What was
/// brought back from its archive stays.
pub fn expired<'m>(
    catalog: &Catalog,
    rule: &Rule<'_>,
    range: &Range,
    members: &'m Members<'m>,
    now: Point,
) -> Vec<&'m Member<'m>> {
    let cutoff = rule.written.retention.and_then(|span| range.grid.minus(now, span));
    let Some(cutoff) = cutoff else { return Vec::new() };
    let old = |member: &&Member<'_>| {
        member.bound.upper() <= Limit::At(cutoff) && !catalog.ledger.is_restored(member.name)
    };
    members.ranges.iter().filter(old).collect()
}

/// A partition as people look at it.
#[derive(Debug, Clone, PartialEq)]
pub struct Portrayed {
    /// Its name.
    pub name: QualifiedName,
    /// Its lower bound, as the server prints it.
    pub from: String,
    /// Its upper bound.
    pub to: String,
    /// Both as instants, where they are some.
    pub instants: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// Where it stands.
    pub state: State,
}

/// Where a partition stands in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Past the retention.
    Expired,
    /// Back from its archive.
    Restored,
    /// Over, and kept.
    Past,
    /// Holds this moment.
    Present,
    /// To come.
    Ahead,
    /// DEFAULT.
    Default,
    /// Its detach is pending.
    Leaving,
}

impl State {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            State::Expired => "expired",
            State::Restored => "restored",
            State::Past => "past",
            State::Present => "present",
            State::Ahead => "ahead",
            State::Default => "default",
            State::Leaving => "detach pending",
        }
    }

    /// On a line of time.
    pub fn fill(self) -> char {
        match self {
            State::Expired => '░',
            State::Past | State::Restored => '▓',
            State::Present => '█',
            State::Ahead => '▒',
            State::Default | State::Leaving => '·',
        }
    }
}

/// The partitions of a table by time, oldest first; `None` where time is not the key.
pub fn portrait(
    rule: &Rule<'_>,
    catalog: &Catalog,
    now: DateTime<Utc>,
) -> Result<Option<Vec<Portrayed>>, Finding> {
    let Scheme::Range(range) = &rule.scheme else { return Ok(None) };
    let members = members(catalog, rule, range)?;
    let Some(now) = range.key_type.point_at(now, range.zone) else { return Ok(None) };
    let expired: Vec<&QualifiedName> =
        expired(catalog, rule, range, &members, now).iter().map(|member| member.name).collect();
    let instant = |limit: Limit| match limit {
        Limit::At(point) => range.key_type.instant_of(point, range.zone),
        Limit::Min | Limit::MinusInfinity | Limit::Infinity | Limit::Max => None,
    };
    let mut all: Vec<Portrayed> = members
        .ranges
        .iter()
        .map(|member| {
            let (from, to) = (member.bound.lower(), member.bound.upper());
            let state = match () {
                () if catalog.ledger.is_restored(member.name) => State::Restored,
                () if expired.contains(&member.name) => State::Expired,
                () if to <= Limit::At(now) => State::Past,
                () if from > Limit::At(now) => State::Ahead,
                () => State::Present,
            };
            Portrayed {
                name: member.name.clone(),
                from: members.print(from).replace('\'', ""),
                to: members.print(to).replace('\'', ""),
                instants: instant(from).zip(instant(to)),
                state,
            }
        })
        .collect();
    let others = members.default.iter().map(|(name, _)| (*name, State::Default));
    let others = others.chain(members.pending.iter().map(|(name, _)| (*name, State::Leaving)));
    all.extend(others.map(|(name, state)| Portrayed {
        name: name.clone(),
        from: String::new(),
        to: String::new(),
        instants: None,
        state,
    }));
    Ok(Some(all))
}
