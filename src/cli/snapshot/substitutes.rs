//! Queries with what stands in a snapshot for their own values.

use crate::model::finding::{Finding, Severity};
use crate::model::substitution::{Substitute, sql_digest};
use crate::profile::Query;
use crate::sql::compared::{as_parameters, with_values};

/// The queries as to be planned on the snapshot's shadow: values that are compared with redacted
/// columns are those that stand for them. A query that is another one than when the snapshot was
/// taken is a finding.
pub fn as_there(substitutes: &[Substitute], queries: &[Query]) -> (Vec<Query>, Vec<Finding>) {
    let mut findings = Vec::new();
    let queries = queries.iter().map(|query| {
        let mut query = query.clone();
        let of_query = substitutes.iter().filter(|one| one.query == query.name);
        let digest = sql_digest(&query.sql);
        let (same, other): (Vec<_>, Vec<_>) = of_query.partition(|one| one.sql_digest == digest);
        if !other.is_empty() {
            findings.push(changed(&query));
        }
        let own = as_parameters(&query.sql).own;
        let (of_sets, of_text): (Vec<_>, Vec<_>) =
            same.into_iter().partition(|one| one.parameter <= own);
        let others = of_text.into_iter().map(|one| (one.parameter, one.value.clone())).collect();
        query.sql = with_values(&query.sql, &others);
        for one in of_sets {
            let values = query.parameters.get_mut(one.set);
            let value = values.and_then(|values| values.get_mut(one.parameter.checked_sub(1)?));
            if let Some(value) = value {
                value.clone_from(&one.value);
            }
        }
        query
    });
    (queries.collect(), findings)
}

fn changed(query: &Query) -> Finding {
    let message = "its text has changed since the snapshot was taken, which does not know what \
                   stands for its values of redacted columns";
    Finding::new("values-unknown", Severity::Info, &query.name, message)
        .help("take the snapshot anew with this profile")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_replaced_while_the_query_is_the_same() {
        let query = |sql: &str| Query {
            name: "q".to_string(),
            sql: sql.to_string(),
            parameters: vec![vec!["a".to_string()], vec!["b".to_string(), "c".to_string()]],
            ..Query::default()
        };
        let sql = "select * from t where email = $1 and at > $2 and id = 5";
        let substitute = Substitute {
            query: "q".to_string(),
            sql_digest: sql_digest(sql),
            set: 1,
            parameter: 1,
            value: "7".to_string(),
        };
        let gone = Substitute { set: 2, ..substitute.clone() };
        let inside =
            Substitute { set: 0, parameter: 3, value: "9".to_string(), ..substitute.clone() };
        let substitutes = [substitute, gone, inside];
        let (there, findings) = as_there(&substitutes, &[query(sql)]);
        assert_eq!(there[0].parameters, [vec!["a"], vec!["7", "c"]]);
        assert_eq!(there[0].sql, "select * from t where email = $1 and at > $2 and id = '9'");
        assert!(findings.is_empty());
        let (there, findings) = as_there(&substitutes, &[query("select $1, $2")]);
        assert_eq!(there[0].parameters, [vec!["a"], vec!["b", "c"]]);
        assert_eq!(findings[0].check, "values-unknown");
    }
}
