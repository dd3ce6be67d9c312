//! Names findings so that the same one has the same name in the next run. Pure.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::model::finding::Finding;

/// A name for each finding, in their order. Lines and figures do not count: a file may grow above
/// a finding, and the same plan may cost a little more.
pub fn fingerprints(findings: &[&Finding]) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    findings
        .iter()
        .map(|finding| {
            let path = finding.place.as_ref().map_or("", |place| place.path.as_str());
            let message: String = finding.message.chars().filter(|c| !c.is_ascii_digit()).collect();
            let parts = [&finding.check, path, &finding.subject, &message];
            // The lengths keep the parts apart.
            let key: String = parts.iter().map(|part| format!("{}:{part}", part.len())).collect();
            let count = seen.entry(key.clone()).or_default();
            *count += 1;
            let digest = Sha256::digest(format!("{key}{count}"));
            digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::{Place, Severity};

    #[test]
    fn a_finding_keeps_its_name_while_lines_and_figures_move() {
        let finding = |subject: &str, message: &str, line| {
            let place = Place { path: "a.sql".to_string(), line };
            let finding = Finding::new("slow", Severity::Error, subject, message);
            Finding { place: Some(Box::new(place)), ..finding }
        };
        let (first, moved) = (finding("q", "costs 12.5", 1), finding("q", "costs 17.0", 9));
        let name = |one: &Finding| fingerprints(&[one]).remove(0);
        assert_eq!(name(&first), name(&moved));
        assert_eq!(name(&first).len(), 32);
        assert_ne!(name(&first), name(&finding("r", "costs 12.5", 1)));
        assert_ne!(name(&first), name(&finding("q", "fails", 1)));
        let twice = fingerprints(&[&first, &moved]);
        assert_ne!(twice[0], twice[1]);
        assert_eq!(twice[0], name(&first));
    }
}
