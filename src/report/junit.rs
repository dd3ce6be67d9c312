//! A report as JUnit's XML, which every CI system shows: a test for whatever was looked at.

use serde::Serialize;

use super::{Report, template};
use crate::model::finding::{Finding, Place, Severity};

/// One test.
#[derive(Serialize)]
struct Case {
    class: String,
    name: String,
    file: String,
    line: usize,
    /// What errors say; empty where it passed.
    failure: String,
    /// The first of them.
    summary: String,
    /// What the other findings say.
    remarks: String,
}

/// The report as XML. Errors are failures; what else is found is the output of its test.
pub fn render(report: &Report) -> String {
    let mut cases: Vec<(Case, Vec<&Finding>)> = Vec::new();
    for one in report.verdict().map(|verdict| verdict.checked.as_slice()).unwrap_or_default() {
        cases.push((Case::new(one.kind, &one.name, one.place.as_ref()), Vec::new()));
    }
    let subjects = cases.len();
    for finding in report.all_findings() {
        let (listed, own) = cases.split_at(subjects);
        let at = listed.iter().position(|(case, _)| case.name == finding.subject);
        // A finding about nothing that was listed is a test of its own.
        let is_own = |case: &Case| case.class == finding.check && case.name == finding.subject;
        let at = at.or_else(|| Some(subjects + own.iter().position(|(case, _)| is_own(case))?));
        match at {
            Some(at) => cases[at].1.push(finding),
            None => {
                let case = Case::new(&finding.check, &finding.subject, finding.place.as_deref());
                cases.push((case, vec![finding]));
            }
        }
    }
    let cases: Vec<Case> = cases.into_iter().map(|(case, findings)| case.with(&findings)).collect();
    let failures = cases.iter().filter(|case| !case.failure.is_empty()).count();
    let values = serde_json::json!({ "cases": cases, "tests": cases.len(), "failures": failures });
    template::render("junit.xml", include_str!("../../templates/report/junit.xml"), values)
}

impl Case {
    fn new(class: &str, name: &str, place: Option<&Place>) -> Case {
        let (file, line) = place.map_or_else(Default::default, |at| (at.path.clone(), at.line));
        let (class, name) = (class.to_string(), name.to_string());
        let (failure, summary, remarks) = Default::default();
        Case { class, name, file, line, failure, summary, remarks }
    }

    fn with(mut self, findings: &[&Finding]) -> Case {
        for finding in findings {
            let told = told(finding);
            match finding.severity {
                Severity::Error => {
                    if self.failure.is_empty() {
                        self.summary.clone_from(&finding.message);
                    }
                    self.failure += &told;
                }
                Severity::Warning | Severity::Info => self.remarks += &told,
            }
        }
        self
    }
}

/// All that a finding says.
fn told(finding: &Finding) -> String {
    let word = match finding.severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let Finding { message, check, help, place, .. } = finding;
    let place = place.as_ref().map(|at| format!("at {}:{}\n", at.path, at.line));
    let help = if help.is_empty() { String::new() } else { format!("help: {help}\n") };
    format!("{word}: {message} [{check}]\n{}{help}", place.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{HOSTILE, checked};

    #[test]
    fn whatever_was_looked_at_is_a_test() {
        let xml = render(&checked());
        assert!(xml.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites "));
        assert!(xml.contains("tests=\"4\" failures=\"1\""), "{xml}");
        let case = "<testcase classname=\"migration\" name=\"V2__wide\" \
                    file=\"migrations&#x2f;V2__wide.sql\" line=\"1\"";
        assert!(xml.contains(case), "{xml}");
        assert!(xml.contains("<failure message=\"14 times the cost: no index any more\""), "{xml}");
        assert!(xml.contains("<testcase classname=\"query\" name=\"fine\" time=\"0\"></testcase>"));
        // The warning is about the migration, which has not failed.
        assert!(xml.contains("<system-out>warning: rewrites 3 GB [wide-table]\n"), "{xml}");
    }

    #[test]
    fn names_stay_names() {
        let xml = render(&checked());
        let named = template::escaped(HOSTILE);
        assert!(
            xml.contains(&format!("<testcase classname=\"hostile\" name=\"{named}\"")),
            "{xml}"
        );
        let odd = |c: char| c.is_control() && c != '\n';
        assert!(!xml.contains("<script") && !xml.contains("]]>") && !xml.contains(odd), "{xml}");
        for element in ["testsuites", "testsuite", "testcase", "failure", "system-out"] {
            let opened = xml.matches(&format!("<{element}>")).count()
                + xml.matches(&format!("<{element} ")).count();
            assert_eq!(opened, xml.matches(&format!("</{element}>")).count(), "{element}");
        }
    }
}
