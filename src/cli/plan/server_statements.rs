//! The statements of the server as a workload, and what is said of those that are missing in it.

use std::collections::BTreeSet;

use crate::cli::context::Context;
use crate::cli::database::Database;
use crate::error::Result;
use crate::model::units::{human_count, plural};
use crate::pg::session::Session;
use crate::pg::statements::{NAME_PREFIX, Statements, statements};
use crate::profile::Query;
use crate::report::{Report, Section, Table};
use crate::runbook::Runbook;

use super::watch::changed_by;

/// How much of a statement's text is shown, in characters.
const TEXT_MAX: usize = 500;

/// The dearest statements of the server, and all about the tables or indexes of `touched`.
pub fn server_statements(
    context: &Context,
    session: &mut Session,
    touched: &[String],
) -> Result<Statements> {
    let history_table = Database::of(context)?.history_table;
    let statements = statements(session, &history_table, touched)?;
    if statements.forgotten > 0 {
        context.ui.warn("pg_stat_statements has forgotten some: raise pg_stat_statements.max");
    }
    if let Ok(hidden @ 1..) = usize::try_from(statements.hidden) {
        let share = (100.0 * statements.hidden_share).round();
        let what = plural(hidden, "statement", "statements");
        context.ui.warn(&format!(
            "the texts of {what} ({share} % of all time) may not be read: GRANT \
             pg_read_all_stats to the role"
        ));
    }
    Ok(statements)
}

/// The profile's queries, and the statements about what a runbook changes beside the dearest ones.
pub fn watched(context: &Context, session: &mut Session, runbook: &Runbook) -> Result<Vec<Query>> {
    let touched: Vec<String> = runbook.stages.iter().flat_map(changed_by).collect();
    let statements = server_statements(context, session, &touched)?;
    Ok(statements.beside(&context.profile().queries))
}

/// The report, and what its statements are: their names alone say nothing.
pub fn with_texts(report: Report, queries: &[Query]) -> Report {
    let cells = report.sections.iter().flat_map(|section| match section {
        Section::Table(table) => table.rows.as_slice(),
        Section::Verdict(_)
        | Section::Facts { .. }
        | Section::Findings { .. }
        | Section::PlanDiff { .. }
        | Section::Course(_)
        | Section::Locks { .. }
        | Section::Timeline(_)
        | Section::Text { .. } => &[],
    });
    // A label is a name, and in brackets one of its sets of values.
    let labels = cells.filter_map(|row| row.first()?.split(' ').next());
    let shown: BTreeSet<&str> = labels.filter(|name| name.starts_with(NAME_PREFIX)).collect();
    let mut table = Table::new("statements", &["statement", "calls", "text"]).right_aligned(&[1]);
    for query in queries.iter().filter(|query| shown.contains(query.name.as_str())) {
        let (name, calls) = (query.name.clone(), human_count(query.calls as u64));
        table.rows.push(vec![name, calls, one_line(&query.sql)]);
    }
    if table.rows.is_empty() { report } else { report.table(table) }
}

/// The text of a statement as it is shown.
pub fn one_line(sql: &str) -> String {
    let mut text = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = text.char_indices().nth(TEXT_MAX) {
        text.truncate(end);
        text.push('…');
    }
    text
}
