//! The statements of the server in a snapshot: without constants, and without comments.

use crate::cli::context::Context;
use crate::cli::plan::server_statements::{one_line, server_statements};
use crate::error::Result;
use crate::model::finding::{Finding, Severity};
use crate::model::snapshot::Snapshot;
use crate::model::statement::CountedStatement;
use crate::model::units::{Millis, human_count, human_duration, plural};
use crate::pg::session::Session;
use crate::report::Table;
use crate::sql::normalised::{holds_constants, without_comments};

/// The statements that the server spends most of its time on. Those in which a constant is left,
/// since the server keeps some texts as they were sent, stay away: a finding counts them.
pub fn read(
    context: &Context,
    session: &mut Session,
) -> Result<(Vec<CountedStatement>, Option<Finding>)> {
    let counted = server_statements(context, session, &[])?.counted;
    let all = counted.len();
    let kept = counted.into_iter().filter(|one| !holds_constants(&one.sql));
    let kept = kept.map(|one| CountedStatement { sql: without_comments(&one.sql), ..one });
    let kept: Vec<CountedStatement> = kept.collect();
    let left_out = all - kept.len();
    let finding = (left_out > 0).then(|| {
        let what = plural(left_out, "statement is", "statements are");
        let message = format!("{what} left out: constants stand in the text");
        Finding::new("statements-unread", Severity::Info, "pg_stat_statements", message)
            .help("write them as queries of the profile, with parameters")
    });
    Ok((kept, finding))
}

/// What a snapshot says of statements; `None` where it has none.
pub fn table(snapshot: &Snapshot) -> Option<Table> {
    let header = ["statement", "calls", "time", "text"];
    let mut table = Table::new("statements", &header).right_aligned(&[1, 2]);
    let row = |one: &CountedStatement| {
        let time = Millis(one.total_ms.max(0.0) as u64).duration();
        let calls = u64::try_from(one.calls).unwrap_or_default();
        vec![one.name.clone(), human_count(calls), human_duration(time), one_line(&one.sql)]
    };
    table.rows = snapshot.statements.iter().map(row).collect();
    (!table.rows.is_empty()).then_some(table)
}
