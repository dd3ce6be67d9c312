//! Plans of real servers (`corpus/`, made by `scripts/corpus`) with what pgtune says about them,
//! and what must hold for any plan.
//!
//! `UPDATE=1 cargo test --lib corpus` writes the expected texts anew; read the difference.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use proptest::prelude::*;
use serde_json::Value;

use super::diff::{Change, diff};
use super::node::QueryPlan;
use super::text::rounded;
use super::verdict::{Capture, Judgement, Mode, Outcome, Verdict, judge};
use super::*;
use crate::model::gate::Thresholds;

/// A case of the corpus.
struct Case {
    name: String,
    path: PathBuf,
    before: Outcome,
    after: Outcome,
}

/// All cases, by their names.
fn corpus() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/query_plan/corpus");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths.into_iter().map(case).collect()
}

fn case(path: PathBuf) -> Case {
    let text = std::fs::read_to_string(&path).unwrap();
    let case: Value = serde_json::from_str(&text).unwrap();
    let name = path.file_stem().unwrap().to_str().unwrap().to_string();
    Case { name, before: outcome(&case["before"]), after: outcome(&case["after"]), path }
}

fn outcome(side: &Value) -> Outcome {
    if let Some(error) = side["error"].as_str() {
        return Outcome::Error(error.to_string());
    }
    let names: Names = serde_json::from_value(side["names"].clone()).unwrap();
    let plan = read(&side["plan"].to_string(), &names).unwrap();
    let mode = serde_json::from_value::<Mode>(side["mode"].clone()).unwrap();
    let rival_cost = side["rival_ratio"].as_f64().map(|ratio| ratio * plan.cost());
    let server_major = u32::try_from(side["server_major"].as_u64().unwrap()).unwrap();
    let (statistics, samples_ms) = (String::new(), Vec::new());
    Outcome::Plan(Box::new(Capture {
        plan,
        mode,
        server_major,
        statistics,
        rival_cost,
        samples_ms,
    }))
}

fn plan(outcome: &Outcome) -> Option<&QueryPlan> {
    match outcome {
        Outcome::Plan(capture) => Some(&capture.plan),
        Outcome::Error(_) | Outcome::TimedOut(_) | Outcome::Locked(_) => None,
    }
}

/// What users would be told about a case.
fn told(case: &Case, judgement: &Judgement) -> String {
    let mut text = format!("{}\n", judgement.verdict);
    for reason in &judgement.reasons {
        text += &format!("- {reason}\n");
    }
    let (Some(b), Some(a)) = (plan(&case.before), plan(&case.after)) else {
        return text;
    };
    let diff = diff(b, a);
    for change in &diff.changes {
        text += &tell(change, "");
    }
    text += if b.digest() == a.digest() { "\nsame digest\n\n" } else { "\n" };
    for line in diff.lines() {
        let mark = match line.kept {
            Kept::Both => ' ',
            Kept::Removed => '-',
            Kept::Added => '+',
        };
        let cost = match (line.cost_before, line.cost_after) {
            (Some(b), Some(a)) if rounded(b) != rounded(a) => {
                format!("  ({} → {})", rounded(b), rounded(a))
            }
            (Some(cost), _) | (None, Some(cost)) => format!("  ({})", rounded(cost)),
            (None, None) => String::new(),
        };
        text += &format!("{mark} {}{cost}\n", line.text());
    }
    text
}

fn tell(change: &Change, indent: &str) -> String {
    let mut text = format!("\n{indent}at {}\n", change.path);
    for (word, form) in [("before", &change.before), ("after ", &change.after)] {
        if let Some(form) = form {
            let (cost, rows) = (rounded(form.cost), rounded(form.rows));
            text += &format!("{indent}  {word}: {} (cost {cost}, rows {rows})\n", form.text);
        }
    }
    for cause in &change.causes {
        text += &format!("{indent}  because {cause}\n");
    }
    change.below.iter().for_each(|below| text += &tell(below, &format!("{indent}    ")));
    text
}

#[test]
fn corpus_is_judged_as_expected() {
    let cases = corpus();
    let mut wrong = Vec::new();
    for case in &cases {
        let judgement = judge(&case.before, &case.after, &Thresholds::default());
        let told = told(case, &judgement);
        let path = case.path.with_extension("txt");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &told).unwrap();
        }
        if std::fs::read_to_string(&path).unwrap_or_default() != told {
            wrong.push(format!("{}:\n{told}", case.name));
        }
    }
    assert!(cases.len() >= 60, "the corpus has {} cases only", cases.len());
    assert!(wrong.is_empty(), "not as expected:\n{}", wrong.join("\n\n"));
}

#[test]
fn corpus_plans_are_like_themselves() {
    for case in corpus() {
        for outcome in [&case.before, &case.after] {
            let Some(plan) = plan(outcome) else { continue };
            assert_eq!(diff(plan, plan).changes, [], "{}", case.name);
            let judgement = judge(outcome, outcome, &Thresholds::default());
            assert_eq!(judgement.verdict, Verdict::Identical, "{}", case.name);
            let stored = serde_json::to_string(plan).unwrap();
            assert_eq!(&serde_json::from_str::<QueryPlan>(&stored).unwrap(), plan);
        }
    }
}

/// All plans of the corpus, as the servers wrote them, with the catalogs' names.
fn sources() -> &'static [(Value, Names)] {
    static SOURCES: OnceLock<Vec<(Value, Names)>> = OnceLock::new();
    SOURCES.get_or_init(|| {
        let mut sources = Vec::new();
        for case in corpus() {
            let text = std::fs::read_to_string(&case.path).unwrap();
            let case: Value = serde_json::from_str(&text).unwrap();
            for side in ["before", "after"].map(|side| &case[side]) {
                // Large ones would only make it slow.
                if side["plan"].is_array() && side["plan"].to_string().len() < 20_000 {
                    let names = serde_json::from_value(side["names"].clone()).unwrap();
                    sources.push((side["plan"].clone(), names));
                }
            }
        }
        sources
    })
}

/// Puts `new` into the place of the value number `at`, or deletes it.
fn mutate(value: &mut Value, at: &mut usize, new: &Option<Value>) {
    if *at == 0 {
        *value = new.clone().unwrap_or(Value::Null);
        *at = usize::MAX;
        return;
    }
    *at -= 1;
    match value {
        Value::Array(items) => {
            if let (1.., true) = (items.len(), new.is_none() && *at == 0) {
                items.pop();
            }
            items.iter_mut().for_each(|item| mutate(item, at, new));
        }
        Value::Object(map) => {
            let key = map.keys().nth(*at).cloned();
            if let (Some(key), true) = (key, new.is_none()) {
                map.remove(&key);
            }
            map.values_mut().for_each(|item| mutate(item, at, new));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What no server writes.
fn odd_value() -> impl Strategy<Value = Option<Value>> {
    let texts =
        ["Append", "Gather", "CTE Scan", "CTE x", "((", "a\nb", "$0", "'", "InitPlan", "SubPlan 9"];
    prop_oneof![
        Just(None),
        Just(Some(Value::Null)),
        Just(Some(serde_json::json!([]))),
        Just(Some(
            serde_json::json!({"Node Type": "Seq Scan", "Plans": [{"Node Type": "Result"}]})
        )),
        any::<f64>().prop_map(|number| Some(serde_json::json!(number))),
        any::<i64>().prop_map(|number| Some(serde_json::json!(number))),
        any::<bool>().prop_map(|flag| Some(serde_json::json!(flag))),
        proptest::sample::select(texts.to_vec()).prop_map(|text| Some(serde_json::json!(text))),
        "\\PC{0,20}".prop_map(|text| Some(serde_json::json!(text))),
    ]
}

/// A plan of the corpus with some of its values replaced, and the plan itself.
fn mutated() -> impl Strategy<Value = (String, Names, QueryPlan)> {
    let mutations = proptest::collection::vec((0..120_usize, odd_value()), 0..6);
    (0..sources().len(), mutations).prop_map(|(at, mutations)| {
        let (source, names) = &sources()[at];
        let mut value = source.clone();
        for (at, new) in mutations {
            mutate(&mut value, &mut (at + 2), &new);
        }
        (value.to_string(), names.clone(), read(&source.to_string(), names).unwrap())
    })
}

/// A plan with its circumstances.
fn captured(plan: &QueryPlan) -> Outcome {
    Outcome::Plan(Box::new(Capture {
        plan: plan.clone(),
        mode: Mode::Estimate,
        server_major: 18,
        statistics: String::new(),
        rival_cost: None,
        samples_ms: vec![1.0, 2.0, 3.0],
    }))
}

proptest! {
    /// Whatever is read, it is compared with anything without a panic; and a plan is like itself.
    #[test]
    fn reading_and_comparing_are_total((json, names, other) in mutated()) {
        let Ok(plan) = read(&json, &names) else { return Ok(()) };
        let thresholds = Thresholds::default();
        for (before, after) in [(&plan, &other), (&other, &plan)] {
            let changes = diff(before, after).changes;
            prop_assert!(changes.iter().all(|change| !change.causes.is_empty()));
            let is_same = before.text(Figures::Without) == after.text(Figures::Without);
            prop_assert_eq!(before.digest() == after.digest(), is_same);
            prop_assert!(is_same || !changes.is_empty());
            judge(&captured(before), &captured(after), &thresholds);
        }
        prop_assert_eq!(diff(&plan, &plan).changes, vec![]);
        let judgement = judge(&captured(&plan), &captured(&plan), &thresholds);
        prop_assert_eq!(judgement.verdict, Verdict::Identical);
        let lines = plan.text(Figures::Measured).lines().count();
        prop_assert_eq!(lines, plan.text(Figures::Without).lines().count());
    }

    /// Any text at all.
    #[test]
    fn no_text_makes_reading_panic(text in "\\PC*", at in 0..10_000_usize, which in any::<u16>()) {
        let _ = read(&text, &Names::default());
        let (source, names) = &sources()[usize::from(which) % sources().len()];
        let whole = source.to_string();
        let cut = whole.floor_char_boundary(at.min(whole.len()));
        let _ = read(&format!("{}{text}{}", &whole[..cut], &whole[cut..]), names);
        let _ = read(&whole[..cut], names);
    }
}

#[test]
fn subplans_are_numbered_by_where_they_are_mentioned() {
    let plan = |(first, second): (u32, u32)| {
        let json = format!(
            r#"[{{"Plan": {{"Node Type": "Seq Scan", "Schema": "s", "Relation Name": "t",
            "Alias": "t",
            "Filter": "((t.a = (SubPlan {first})) OR (t.b > (InitPlan {second}).col1))", "Plans": [
            {{"Node Type": "Seq Scan", "Schema": "s", "Relation Name": "u", "Alias": "u",
              "Parent Relationship": "InitPlan", "Subplan Name": "InitPlan {second}"}},
            {{"Node Type": "Seq Scan", "Schema": "s", "Relation Name": "v", "Alias": "v",
              "Parent Relationship": "SubPlan", "Subplan Name": "SubPlan {first}"}}]}}}}]"#
        );
        read(&json, &Names::default()).unwrap().text(Figures::Without)
    };
    let text = plan((7, 3));
    assert_eq!(text, plan((1, 2)));
    assert!(text.contains("(SubPlan 1)") && text.contains("InitPlan 2: Seq Scan on s.u"), "{text}");
}
