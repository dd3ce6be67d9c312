//! The only file that speaks to `squawk-linter`, whose interface changes with each release.
//!
//! Its rules are written for statements that run as they stand. pgtune builds indexes online, sets
//! lock timeouts and cuts transactions, so that most of them are moot. What is left are facts for
//! our own checks, which know sizes and which tables are new; no rule shows its own text.

use squawk_linter::{Linter, LinterSettings};
use squawk_syntax::SourceFile;

pub use squawk_linter::Rule;

/// The rules that are asked.
const RULES: &[Rule] = &[
    Rule::AddingFieldWithDefault,
    Rule::BanCharField,
    Rule::BanDropColumn,
    Rule::BanDropTable,
    Rule::BanTruncateCascade,
    Rule::IdentifierTooLong,
    Rule::PreferIdentity,
    Rule::PreferTextField,
    Rule::PreferTimestampTz,
    Rule::RenamingColumn,
    Rule::RenamingTable,
];

/// A place where a rule applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The rule.
    pub rule: Rule,
    /// Where in the statement.
    pub offset: usize,
    /// The text that it is about.
    pub text: String,
}

/// Asks about one statement. A linter remembers what it saw, so each gets its own.
pub fn hits(statement: &str) -> Vec<Hit> {
    let mut linter = Linter::with_rules(RULES, &[]);
    // Rules about older servers than ours are about none that pgtune works with.
    let pg_version = "14.0".parse().unwrap_or_else(|_| LinterSettings::default().pg_version);
    linter.settings = LinterSettings { pg_version, assume_in_transaction: true };
    let parsed = SourceFile::parse(statement);
    let violations = linter.lint(&parsed, statement).into_iter();
    let hits = violations.filter(|violation| RULES.contains(&violation.code)).map(|violation| {
        let range = usize::from(violation.text_range.start())..violation.text_range.end().into();
        let text = statement.get(range.clone()).unwrap_or_default().to_string();
        Hit { rule: violation.code, offset: range.start, text }
    });
    let mut hits: Vec<Hit> = hits.collect();
    hits.sort_by_key(|hit| hit.offset);
    hits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_chosen_rules_are_asked() {
        let sql = "create table t (id serial primary key, c char(3), at timestamp)";
        let rules: Vec<Rule> = hits(sql).into_iter().map(|hit| hit.rule).collect();
        assert_eq!(rules, [Rule::PreferIdentity, Rule::BanCharField, Rule::PreferTimestampTz]);
        assert_eq!(hits("create index i on t (a); update t set a = 1"), []);
    }
}
