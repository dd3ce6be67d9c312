//! Two designs, or two runs, side by side: the same questions, with ratios.

use serde::{Deserialize, Serialize};

use super::outcome::QueryOutcome;

/// A design, by the tag of its queries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Design {
    /// What to call it.
    pub label: String,
    /// The tag of its queries.
    pub tag: String,
}

impl Design {
    /// Reads two designs: `old=eav,new=profile`, or `eav,profile`, which name themselves.
    pub fn parse_pair(text: &str) -> Result<[Design; 2], String> {
        let one = |text: &str| {
            let (label, tag) = text.split_once('=').unwrap_or((text, text));
            let (label, tag) = (label.trim().to_string(), tag.trim().to_string());
            (!label.is_empty() && !tag.is_empty()).then_some(Design { label, tag })
        };
        let designs: Option<Vec<Design>> = text.split(',').map(one).collect();
        let pair = designs.and_then(|designs| <[Design; 2]>::try_from(designs).ok());
        match pair {
            Some([old, new]) if old.tag == new.tag => Err("name two different tags".to_string()),
            Some(pair) => Ok(pair),
            None => Err("write two tags, for example old=eav,new=profile".to_string()),
        }
    }

    fn owns(&self, query: &QueryOutcome) -> bool {
        query.tags.contains(&self.tag)
    }
}

/// Questions answered in two ways.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Comparison {
    /// What the one is called.
    pub old: String,
    /// And the other.
    pub new: String,
    /// The questions that both answer.
    pub pairs: Vec<Pair>,
    /// Geometric mean of the pairs' speed-ups; 0 without pairs.
    pub mean_speed_up: f64,
    /// Queries that have no partner.
    pub alone: Vec<String>,
}

/// One question.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Pair {
    /// What is asked.
    pub question: String,
    /// The one answer.
    pub old: Side,
    /// The other.
    pub new: Side,
    /// How many times as fast the other is, by the medians; 0 where one of them has none.
    pub speed_up: f64,
}

/// One answer to a question.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Side {
    /// The query.
    pub query: String,
    /// Its median.
    pub p50_ms: f64,
    /// What 95 of 100 runs did not exceed.
    pub p95_ms: f64,
    /// Pages that a run looked at, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buffers: Option<u64>,
}

/// Pairs the queries of two designs: partners share a tag that no other query of theirs has.
pub fn by_tags(queries: &[QueryOutcome], [old, new]: &[Design; 2]) -> Comparison {
    let of = |design: &Design| queries.iter().filter(|q| design.owns(q)).collect::<Vec<_>>();
    let (olds, news) = (of(old), of(new));
    let mut pairs = Vec::new();
    let mut paired: Vec<&str> = Vec::new();
    for old_query in &olds {
        let partner = old_query.tags.iter().filter(|tag| **tag != old.tag).find_map(|tag| {
            let only = |queries: &[&QueryOutcome]| {
                queries.iter().filter(|query| query.tags.contains(tag)).count() == 1
            };
            let found = news.iter().find(|query| query.tags.contains(tag))?;
            (only(&olds) && only(&news)).then_some((tag, *found))
        });
        if let Some((question, new_query)) = partner {
            paired.extend([old_query.name.as_str(), new_query.name.as_str()]);
            pairs.push(pair(question, old_query, new_query));
        }
    }
    let both = olds.iter().chain(&news).map(|query| query.name.as_str());
    let alone = both.filter(|name| !paired.contains(name)).map(str::to_string).collect();
    finish(&old.label, &new.label, pairs, alone)
}

/// Pairs the queries of two runs by their names.
pub fn by_names(before: &[QueryOutcome], after: &[QueryOutcome]) -> Comparison {
    let find = |name: &str| before.iter().find(|query| query.name == name);
    let (mut pairs, mut alone) = (Vec::new(), Vec::new());
    for query in after {
        match find(&query.name) {
            Some(before) => pairs.push(pair(&query.name, before, query)),
            None => alone.push(query.name.clone()),
        }
    }
    finish("before", "after", pairs, alone)
}

fn pair(question: &str, old: &QueryOutcome, new: &QueryOutcome) -> Pair {
    let side = |query: &QueryOutcome| Side {
        query: query.name.clone(),
        p50_ms: query.latency.p50_ms,
        p95_ms: query.latency.p95_ms,
        buffers: query.footprint.map(|footprint| footprint.buffers),
    };
    let (old, new) = (side(old), side(new));
    let speed_up = if new.p50_ms > 0.0 { old.p50_ms / new.p50_ms } else { 0.0 };
    Pair { question: question.to_string(), old, new, speed_up }
}

fn finish(old: &str, new: &str, pairs: Vec<Pair>, alone: Vec<String>) -> Comparison {
    let known = || pairs.iter().map(|pair| pair.speed_up).filter(|speed_up| *speed_up > 0.0);
    let logarithms: f64 = known().map(f64::ln).sum();
    let mean_speed_up = match known().count() {
        0 => 0.0,
        count => (logarithms / count as f64).exp(),
    };
    Comparison { old: old.to_string(), new: new.to_string(), pairs, mean_speed_up, alone }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::tally::Latency;

    fn query(name: &str, tags: &[&str], p50_ms: f64) -> QueryOutcome {
        QueryOutcome {
            name: name.to_string(),
            tags: tags.iter().map(|tag| (*tag).to_string()).collect(),
            latency: Latency { p50_ms, p95_ms: p50_ms * 2.0, ..Latency::default() },
            ..QueryOutcome::default()
        }
    }

    #[test]
    fn designs_are_two_tags() {
        let [old, new] = Design::parse_pair("old=eav, new=profile").unwrap();
        assert_eq!((old.label.as_str(), new.tag.as_str()), ("old", "profile"));
        assert_eq!(Design::parse_pair("eav,profile").unwrap()[0].label, "eav");
        for wrong in ["", "a", "a,a", "a,b,c", "=a,b", "x=,b"] {
            assert!(Design::parse_pair(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn partners_share_a_tag_of_their_own() {
        let queries = [
            query("country_eav", &["eav", "count", "country"], 100.0),
            query("country", &["profile", "count", "country"], 10.0),
            query("tier_eav", &["eav", "count", "tier"], 90.0),
            query("tier", &["profile", "count", "tier"], 22.5),
            query("spend", &["profile", "count"], 1.0),
        ];
        let designs = Design::parse_pair("old=eav,new=profile").unwrap();
        let comparison = by_tags(&queries, &designs);
        let pairs: Vec<(&str, &str, f64)> = comparison
            .pairs
            .iter()
            .map(|pair| (pair.question.as_str(), pair.new.query.as_str(), pair.speed_up))
            .collect();
        assert_eq!(pairs, [("country", "country", 10.0), ("tier", "tier", 4.0)]);
        assert_eq!(comparison.alone, ["spend"]);
        assert!((comparison.mean_speed_up - 40.0_f64.sqrt()).abs() < 1e-9);
    }

    #[test]
    fn runs_are_paired_by_name_and_what_never_ran_has_no_ratio() {
        let before = [query("a", &[], 10.0), query("gone", &[], 1.0)];
        let after = [query("a", &[], 0.0), query("fresh", &[], 1.0)];
        let comparison = by_names(&before, &after);
        assert_eq!(comparison.pairs.len(), 1);
        assert_eq!((comparison.pairs[0].speed_up, comparison.mean_speed_up), (0.0, 0.0));
        assert_eq!(comparison.alone, ["fresh"]);
    }
}
