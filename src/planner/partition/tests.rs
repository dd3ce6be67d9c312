//! The rules of partitions without a server: what is planned tiles, leaves what is kept alone, and
//! planned again after being applied is nothing.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use super::rule::resolve;
use super::{Answers, Moment, Scope, plan, questions};
use crate::model::calendar::{Interval, Span};
use crate::model::catalog::{Catalog, Partition, Relation, RelationKind};
use crate::model::default_rows::DefaultRows;
use crate::model::finding::{Severity, has_errors};
use crate::model::ident::{Ident, QualifiedName, parse_name};
use crate::model::ledger::RetiredProgress;
use crate::model::time_key::{EpochUnit, KeyType, Limit, RangeBound};
use crate::model::units::Millis;
use crate::planner::Planned;
use crate::profile::Limits;
use crate::profile::partitions::{Expiry, HashBelow, PartitionRule};
use crate::runbook::action::{Action, apply_all};
use crate::runbook::default::DefaultAction;
use crate::runbook::partition::{Hazard, PartitionAction};

fn name(text: &str) -> QualifiedName {
    let parts = parse_name(text).unwrap();
    QualifiedName::new(parts[0].clone(), parts[1].clone())
}

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

/// A database with one partitioned table, `public.t`.
fn catalog(key: &str, column_type: &str, bounds: &[&str]) -> Catalog {
    let mut catalog =
        Catalog { search_path: vec![Ident::new("public").unwrap()], ..Catalog::default() };
    let table = Relation {
        partition_key: Some(key.to_string()),
        key_columns: vec![("k".to_string(), column_type.to_string())],
        ..Relation::empty(RelationKind::PartitionedTable)
    };
    catalog.relations.insert(name("public.t"), table);
    for (number, bound) in bounds.iter().enumerate() {
        let partition_of =
            Partition { parent: name("public.t"), bound: bound.to_string(), detach_pending: false };
        let relation =
            Relation { partition_of: Some(partition_of), ..Relation::empty(RelationKind::Table) };
        catalog.relations.insert(name(&format!("public.odd_{number}")), relation);
    }
    catalog
}

fn rule() -> PartitionRule {
    PartitionRule { table: "t".into(), interval: Some(Interval::Month), ..PartitionRule::default() }
}

fn planned(rule: &PartitionRule, catalog: &Catalog, now: DateTime<Utc>) -> Planned {
    let allowed = BTreeSet::from([Hazard::DetachPartition, Hazard::DropPartition]);
    let moment = Moment { now, clock: now, limits: &Limits::default(), allowed: &allowed };
    match resolve(rule, catalog) {
        Ok(rule) => plan(&rule, catalog, &Answers::default(), &moment, Scope::Rotate),
        Err(finding) => Planned { findings: vec![finding], ..Planned::default() },
    }
}

fn actions(planned: &Planned) -> impl Iterator<Item = &Action> {
    planned.runbook.stages.iter().flat_map(|stage| &stage.steps).map(|step| &step.action)
}

/// What the runbook does, in the words of its events.
fn steps(planned: &Planned) -> Vec<String> {
    actions(planned).map(crate::runbook::print::step_name).collect()
}

fn created(planned: &Planned) -> Vec<String> {
    let new = |action: &Action| {
        let Action::Partition(PartitionAction::Create(new)) = action else { return None };
        Some(format!("{} {}", new.name.name, new.bound))
    };
    actions(planned).filter_map(new).collect()
}

const MONTHS: &[&str] = &[
    "FOR VALUES FROM ('2025-11-01 00:00:00+00') TO ('2025-12-01 00:00:00+00')",
    "FOR VALUES FROM ('2025-12-01 00:00:00+00') TO ('2026-01-15 00:00:00+00')",
];

fn timestamptz(bounds: &[&str]) -> Catalog {
    catalog("RANGE (k)", "timestamp with time zone", bounds)
}

#[test]
fn odd_bounds_are_continued_without_gap() {
    let now = at("2026-02-10T00:00:00Z");
    let planned = planned(&PartitionRule { ahead: 1, ..rule() }, &timestamptz(MONTHS), now);
    assert_eq!(
        created(&planned),
        [
            "t_2026_01 FOR VALUES FROM ('2026-01-15 00:00:00+00') TO ('2026-02-01 00:00:00+00')",
            "t_2026_02 FOR VALUES FROM ('2026-02-01 00:00:00+00') TO ('2026-03-01 00:00:00+00')",
            "t_2026_03 FOR VALUES FROM ('2026-03-01 00:00:00+00') TO ('2026-04-01 00:00:00+00')",
        ]
    );
}

#[test]
fn a_set_that_ran_out_long_ago_is_continued_as_far_as_rows_are_kept() {
    let rule = PartitionRule {
        ahead: 0,
        retention: Some(Span::parse("1 month").unwrap()),
        expiry: Expiry::Detach,
        ..rule()
    };
    let planned = planned(&rule, &timestamptz(MONTHS), at("2026-06-10T00:00:00Z"));
    let names: Vec<String> =
        created(&planned).iter().map(|c| c.split(' ').next().unwrap().to_string()).collect();
    assert_eq!(names, ["t_2026_05", "t_2026_06"]);
}

#[test]
fn what_is_too_old_leaves_step_by_step() {
    let rule = PartitionRule {
        ahead: 0,
        retention: Some(Span::parse("1 month").unwrap()),
        expiry: Expiry::Drop,
        grace: Millis(7 * 86_400_000),
        ..rule()
    };
    let mut catalog = timestamptz(MONTHS);
    let first = planned(&rule, &catalog, at("2026-01-20T00:00:00Z"));
    assert_eq!(
        steps(&first),
        [
            "create public.t_2026_01",
            "analyze public.t_2026_01",
            "prepare the ledger",
            "note that public.odd_0 will leave",
            "detach public.odd_0",
            "note that public.odd_0 is detached",
        ]
    );
    apply_all(actions(&first), &mut catalog);
    catalog.ledger.retired[0].progress = RetiredProgress::DetachedAt(at("2026-01-20T00:00:00Z"));
    let early = planned(&rule, &catalog, at("2026-01-26T23:59:59Z"));
    assert_eq!(steps(&early), Vec::<String>::new());
    let due = planned(&rule, &catalog, at("2026-01-27T00:00:00Z"));
    assert_eq!(steps(&due), ["drop public.odd_0"]);
}

#[test]
fn what_a_stopped_run_did_not_analyze_is_asked_for_while_it_is_in_use() {
    let (rule, mut catalog) = (rule(), timestamptz(MONTHS));
    let now = at("2026-01-10T00:00:00Z");
    let asked = |catalog: &Catalog| {
        let rule = resolve(&rule, catalog).unwrap();
        questions(&rule, catalog, now, Scope::Rotate).unwrap().unanalyzed
    };
    // The older one is over.
    assert_eq!(asked(&catalog), [name("public.odd_1")]);
    let answers = Answers { to_analyze: asked(&catalog), ..Answers::default() };
    let resolved = resolve(&rule, &catalog).unwrap();
    let moment = Moment { now, clock: now, limits: &Limits::default(), allowed: &BTreeSet::new() };
    let planned = plan(&resolved, &catalog, &answers, &moment, Scope::Rotate);
    let analyzes = "analyze public.t_2026_01 and 4 more";
    assert!(steps(&planned).contains(&analyzes.to_string()), "{:?}", steps(&planned));
    apply_all(actions(&planned), &mut catalog);
    assert_eq!(asked(&catalog), []);
}

#[test]
fn nothing_leaves_unless_allowed() {
    let rule =
        PartitionRule { ahead: 0, retention: Some(Span::parse("1 month").unwrap()), ..rule() };
    let catalog = timestamptz(MONTHS);
    let now = at("2026-01-20T00:00:00Z");
    let rule = resolve(&rule, &catalog).unwrap();
    let moment = Moment { now, clock: now, limits: &Limits::default(), allowed: &BTreeSet::new() };
    let planned = plan(&rule, &catalog, &Answers::default(), &moment, Scope::Rotate);
    assert_eq!(created(&planned).len(), 1);
    assert!(!steps(&planned).iter().any(|step| step.starts_with("detach")));
    assert_eq!(planned.findings[0].check, "detach-not-allowed");
    assert_eq!(planned.findings[0].severity, Severity::Warning);
}

#[test]
fn a_pending_detach_is_finished_first() {
    let mut catalog = timestamptz(MONTHS);
    let pending = catalog.relations.get_mut(&name("public.odd_1")).unwrap();
    pending.partition_of.as_mut().unwrap().detach_pending = true;
    let planned = planned(&rule(), &catalog, at("2026-01-20T00:00:00Z"));
    assert_eq!(steps(&planned)[0], "finish the detach of public.odd_1");
}

#[test]
fn a_default_partition_is_proven_empty_first() {
    let mut catalog = timestamptz(MONTHS);
    let default = catalog.relations.get_mut(&name("public.odd_0")).unwrap();
    default.partition_of.as_mut().unwrap().bound = "DEFAULT".to_string();
    let rule = PartitionRule { ahead: 1, ..rule() };
    let now = at("2026-01-20T00:00:00Z");
    let resolved = resolve(&rule, &catalog).unwrap();
    let asked = questions(&resolved, &catalog, now, Scope::Rotate).unwrap();
    let condition =
        "k IS NULL OR k < '2026-01-15 00:00:00+00' OR k >= '2026-03-01 00:00:00+00'".to_string();
    assert_eq!(asked.default, Some((name("public.odd_0"), condition)));
    let planned = planned(&rule, &catalog, now);
    assert_eq!(
        steps(&planned),
        [
            "add a check to public.odd_0",
            "validate the check on public.odd_0",
            "create public.t_2026_01",
            "create public.t_2026_02",
            "drop the check on public.odd_0",
            "analyze public.t_2026_01 and 1 more",
        ]
    );
}

/// A catalog with a DEFAULT partition behind [`MONTHS`], and a plan for the rows it holds.
fn planned_beside_default(
    change: impl Fn(&mut PartitionRule, &mut Catalog),
    bytes: u64,
    rows: (&str, &str),
) -> Planned {
    planned_with(change, bytes, rows, |_| {})
}

fn planned_with(
    change: impl Fn(&mut PartitionRule, &mut Catalog),
    bytes: u64,
    (first, last): (&str, &str),
    answer: impl Fn(&mut DefaultRows),
) -> Planned {
    let mut catalog = timestamptz(&[MONTHS[0], MONTHS[1], "DEFAULT"]);
    let mut rule = PartitionRule { ahead: 1, ..rule() };
    change(&mut rule, &mut catalog);
    let resolved = resolve(&rule, &catalog).unwrap();
    let mut rows = DefaultRows {
        first: Some(first.to_string()),
        last: Some(last.to_string()),
        has_nulls: first.is_empty(),
        ..DefaultRows::default()
    };
    answer(&mut rows);
    let answers =
        Answers { default_in_the_way: Some(bytes), default_rows: Some(rows), ..Answers::default() };
    let now = at("2026-03-20T00:00:00Z");
    let allowed = BTreeSet::new();
    let moment = Moment { now, clock: now, limits: &Limits::default(), allowed: &allowed };
    plan(&resolved, &catalog, &answers, &moment, Scope::Rotate)
}

const MEGABYTE: u64 = 1 << 20;
/// Rows behind the last partition, up to now.
const BEHIND: (&str, &str) = ("2026-02-03 10:00:00+00", "2026-03-19 12:00:00+00");

#[test]
fn a_few_rows_in_default_move() {
    let planned = planned_beside_default(|_, _| {}, 8 * MEGABYTE, BEHIND);
    let steps = steps(&planned);
    assert_eq!(steps[0], "create public.t_2026_01 with rows of public.odd_2");
    assert_eq!(steps.len(), 5, "{steps:?}");
    let title = &planned.runbook.stages[0].title;
    assert_eq!(title, "public.t: create 4 partitions with their rows in DEFAULT (8.0 MB)");
}

#[test]
fn many_in_one_free_range_stay_and_their_table_becomes_the_partition() {
    let large = 8 * MEGABYTE + 1;
    let planned = planned_beside_default(|_, _| {}, large, BEHIND);
    assert_eq!(
        steps(&planned),
        [
            "add a check to public.odd_2",
            "validate the check on public.odd_2",
            "make public.odd_2 the partition public.t_2026_01",
            "add a check to public.odd_2",
            "validate the check on public.odd_2",
            "create public.t_2026_04",
            "drop the check on public.odd_2",
            "analyze public.t_2026_04",
        ]
    );
    let bounds: Vec<String> = actions(&planned)
        .filter_map(|action| {
            let Action::Partition(PartitionAction::Default(DefaultAction::Promote(one))) = action
            else {
                return None;
            };
            Some(one.bound.clone())
        })
        .collect();
    // From the last partition on, without a gap, up to the end of the present period.
    let bound = "FOR VALUES FROM ('2026-01-15 00:00:00+00') TO ('2026-04-01 00:00:00+00')";
    assert_eq!(bounds, [bound]);
    assert!(planned.runbook.stages[1].look_again);
    // A rule with HASH below has no small move, and takes the same way.
    let hash = |rule: &mut PartitionRule, _: &mut Catalog| {
        rule.hash = Some(HashBelow { columns: vec!["k".into()], modulus: 2 });
    };
    let planned = planned_beside_default(hash, MEGABYTE, BEHIND);
    assert_eq!(steps(&planned)[2], "make public.odd_2 the partition public.t_2026_01");
}

#[test]
fn many_that_fit_no_free_range_are_copied() {
    let early = ("2025-11-20 10:00:00+00", "2026-03-19 12:00:00+00");
    let far = ("2026-02-03 10:00:00+00", "2039-03-19 12:00:00+00");
    let odd = ("0044-03-15 10:00:00+00 BC", "2026-03-19 12:00:00+00");
    for (rows, why) in [
        (early, "partitions lie between its rows"),
        (far, "a row lies beyond what is wanted ahead"),
        (odd, "a row has a key that is no time of the years 1 to 9999"),
        (("", BEHIND.1), "a row has no key"),
    ] {
        let planned = planned_beside_default(|_, _| {}, 100 * MEGABYTE, rows);
        assert_eq!(
            steps(&planned),
            [
                "make tables for the rows of public.odd_2",
                "copy the rows of public.odd_2",
                "compare the rows of public.odd_2 with their copy",
                "prepare the ledger",
                "put the copy of public.odd_2 in its place",
                "analyze public.t_2026_01 and 4 more",
            ]
        );
        let title = &planned.runbook.stages[0].title;
        let expected = format!("make tables for the rows of public.odd_2 (100.0 MB; {why})");
        assert_eq!(title, &format!("public.t: {expected}"));
        assert_eq!(planned.findings, []);
    }
}

#[test]
fn a_copy_goes_on_as_it_was_begun_or_is_given_up() {
    let far = ("2026-02-03 10:00:00+00", "2039-03-19 12:00:00+00");
    let begun = planned_beside_default(|_, _| {}, 100 * MEGABYTE, far);
    let first: Vec<Action> = actions(&begun).take(1).cloned().collect();
    let after = |_: &mut PartitionRule, catalog: &mut Catalog| apply_all(first.iter(), catalog);
    // The answer says that the copy fits no more, then that it does.
    let planned = planned_beside_default(after, 100 * MEGABYTE, far);
    assert_eq!(steps(&planned), ["give up the copy beside public.t"]);
    let planned = planned_with(after, 100 * MEGABYTE, far, |rows| rows.copy_fits = true);
    assert_eq!(steps(&planned)[0], "copy the rows of public.odd_2");
    // The rows may fit one range by now: what was begun goes on.
    let planned = planned_with(after, 100 * MEGABYTE, BEHIND, |rows| rows.copy_fits = true);
    assert_eq!(steps(&planned)[0], "copy the rows of public.odd_2");
    // Somebody made one of its partitions meanwhile.
    let overlapping = |rule: &mut PartitionRule, catalog: &mut Catalog| {
        after(rule, catalog);
        let bound = "FOR VALUES FROM ('2026-04-10 00:00:00+00') TO ('2026-05-10 00:00:00+00')";
        let partition_of = Some(Partition {
            parent: name("public.t"),
            bound: bound.to_string(),
            detach_pending: false,
        });
        let relation = Relation { partition_of, ..Relation::empty(RelationKind::Table) };
        catalog.relations.insert(name("public.mine"), relation);
    };
    let planned = planned_with(overlapping, 100 * MEGABYTE, far, |rows| rows.copy_fits = true);
    assert_eq!(steps(&planned), ["give up the copy beside public.t"]);
}

#[test]
fn a_foreign_key_to_the_table_is_said_first() {
    let pointed = |_: &mut PartitionRule, catalog: &mut Catalog| {
        let table = catalog.relations.get_mut(&name("public.t")).unwrap();
        table.referenced_by.push(name("public.from_here"));
    };
    for bytes in [MEGABYTE, 100 * MEGABYTE] {
        let planned = planned_beside_default(pointed, bytes, BEHIND);
        let message = &planned.findings[0].message;
        assert!(message.ends_with("a foreign key of public.from_here points at it"), "{message}");
        assert!(planned.runbook.is_empty());
    }
}

#[test]
fn hash_and_list_are_completed() {
    let hash = PartitionRule { table: "t".into(), modulus: Some(3), ..PartitionRule::default() };
    let one = ["FOR VALUES WITH (modulus 3, remainder 1)"];
    let planned_hash = planned(&hash, &catalog("HASH (k)", "bigint", &one), Utc::now());
    assert_eq!(
        created(&planned_hash),
        [
            "t_p0 FOR VALUES WITH (modulus 3, remainder 0)",
            "t_p2 FOR VALUES WITH (modulus 3, remainder 2)"
        ]
    );
    let lists = [
        ("t_eu".to_string(), vec!["de".into(), "it's".into()]),
        ("t_us".into(), vec!["us".into()]),
    ];
    let list = PartitionRule { table: "t".into(), lists: lists.into(), ..PartitionRule::default() };
    let known = ["FOR VALUES IN ('it''s', 'de', 'x')"];
    let planned_list = planned(&list, &catalog("LIST (k)", "text", &known), Utc::now());
    assert_eq!(created(&planned_list), ["t_us FOR VALUES IN ('us')"]);
}

#[test]
fn rules_that_do_not_fit_say_why() {
    let catalog = timestamptz(&[]);
    let error = |rule: PartitionRule| {
        let planned = planned(&rule, &catalog, Utc::now());
        assert!(planned.runbook.is_empty() && has_errors(&planned.findings));
        format!("{} {}", planned.findings[0].message, planned.findings[0].help)
    };
    let zone = PartitionRule { time_zone: "Europe/Berln".into(), ..rule() };
    assert!(error(zone).contains("did you mean Europe/Berlin?"));
    let table = PartitionRule { table: "tt".into(), ..rule() };
    assert!(error(table).contains("did you mean t?"));
    assert!(error(PartitionRule { interval: None, ..rule() }).contains("needs interval"));
    let unit = PartitionRule { epoch_unit: Some(EpochUnit::Seconds), ..rule() };
    assert!(error(unit).contains("takes no epoch_unit"));
    let storage = PartitionRule { storage: [("a) b".into(), "1".into())].into(), ..rule() };
    assert!(error(storage).contains("storage"));
}

fn rules() -> impl Strategy<Value = (PartitionRule, &'static str)> {
    let interval = prop_oneof![
        Just(Interval::Hour),
        Just(Interval::Day),
        Just(Interval::Week),
        Just(Interval::Month),
        Just(Interval::Quarter),
        Just(Interval::Year),
    ];
    let key = prop_oneof![
        Just(("timestamp with time zone", None)),
        Just(("timestamp without time zone", None)),
        Just(("bigint", Some(EpochUnit::Milliseconds))),
        Just(("uuid", None)),
    ];
    let zone = proptest::sample::select(chrono_tz::TZ_VARIANTS.to_vec());
    (interval, key, zone, 0_u16..5, proptest::option::of(1_u32..20), any::<bool>()).prop_map(
        |(interval, (key, epoch_unit), zone, ahead, kept, below)| {
            let hash = HashBelow { columns: vec!["k".into()], modulus: 2 };
            let rule = PartitionRule {
                table: "t".into(),
                interval: Some(interval),
                epoch_unit,
                ahead,
                retention: kept.map(|n| Span::parse(&format!("{n} {interval}s")).unwrap()),
                expiry: Expiry::Drop,
                grace: Millis(0),
                time_zone: zone.name().to_string(),
                hash: below.then_some(hash),
                ..PartitionRule::default()
            };
            (rule, key)
        },
    )
}

fn bounds(catalog: &Catalog, key_type: KeyType) -> Vec<RangeBound> {
    let table = name("public.t");
    let partitions = catalog.partitions(&table);
    let mut bounds: Vec<RangeBound> = partitions
        .map(|(_, r)| RangeBound::parse(key_type, &r.partition_of.as_ref().unwrap().bound).unwrap())
        .collect();
    bounds.sort_by_key(RangeBound::lower);
    bounds
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn rotation_through_the_years_tiles_and_keeps_what_it_must(
        (rule, key) in rules(),
        seconds in 63_072_000_i64..4_102_444_800,
        strides in proptest::collection::vec(0_i64..40_000_000, 1..6),
    ) {
        let mut catalog = catalog("RANGE (k)", key, &[]);
        let mut now = DateTime::from_timestamp(seconds, 0).unwrap();
        for stride in strides {
            now += TimeDelta::seconds(stride.min(3_000_000));
            let first = planned(&rule, &catalog, now);
            prop_assert!(!has_errors(&first.findings), "{:?}", first.findings);
            let resolved = resolve(&rule, &catalog).unwrap();
            let super::rule::Scheme::Range(range) = resolved.scheme else { panic!("a range") };
            let before = bounds(&catalog, range.key_type);
            apply_all(actions(&first), &mut catalog);
            let after = bounds(&catalog, range.key_type);
            let point = range.key_type.point_at(now, range.zone).unwrap();
            prop_assert!(after.windows(2).all(|pair| pair[0].upper() == pair[1].lower()));
            let now_at = Limit::At(point);
            prop_assert!(after.iter().any(|b| b.lower() <= now_at && now_at < b.upper()));
            let ahead = after.iter().filter(|bound| bound.lower() > Limit::At(point)).count();
            prop_assert!(ahead >= usize::from(rule.ahead));
            let cutoff = rule.retention.and_then(|span| range.grid.minus(point, span));
            for left in before.iter().filter(|bound| !after.contains(bound)) {
                prop_assert!(cutoff.is_some_and(|cutoff| left.upper() <= Limit::At(cutoff)));
            }
            let resolved = resolve(&rule, &catalog).unwrap();
            let asked = questions(&resolved, &catalog, now, Scope::Rotate).unwrap();
            prop_assert_eq!(asked.unanalyzed, vec![]);
            let second = planned(&rule, &catalog, now);
            prop_assert!(second.runbook.is_empty(), "{:?}", steps(&second));
        }
    }
}
