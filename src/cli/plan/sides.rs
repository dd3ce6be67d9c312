//! Two sides of a database at once, taken in turns: with other settings, without its policies, or
//! another database.

use crate::cli::context::Context;
use crate::cli::database::Database;
use crate::cli::interrupt;
use crate::cli::plan::take::{Side, Terms, take_both};
use crate::cli::plan::workload::WorkloadArgs;
use crate::cli::private::setting;
use crate::error::{Error, Result};
use crate::pg::explain;
use crate::pg::server;
use crate::pg::session::Session;
use crate::profile::Query;
use crate::query_plan::captures::Captures;
use crate::query_plan::verdict::Mode;
use crate::ui::progress;

/// What the second side is, instead of what a file says.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub struct SidesArgs {
    /// Compare with the plans under another setting, as `work_mem=64MB`; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    pub set: Vec<(String, String)>,
    /// Compare with another database
    #[arg(long, value_name = "URL")]
    pub to_url: Option<String>,
    /// Compare what queries cost without row-level security and with it, as their roles see it
    #[arg(long)]
    pub policies: bool,
}

impl SidesArgs {
    /// The queries that there is something to compare of: policies are for those with a role.
    fn concerned(&self, mut queries: Vec<Query>) -> Result<Vec<Query>> {
        queries.retain(|query| !self.policies || !query.role.is_empty());
        if queries.is_empty() {
            return Err(Error::usage("no query has a role, and so no policies").hint(
                "`role` of a query says whom the application runs it as, `settings` what its \
                 policies look at",
            ));
        }
        Ok(queries)
    }

    /// Settings that the server does not take would make every query fail.
    fn refuse_unknown(&self, session: &mut Session) -> Result<()> {
        for (name, value) in &self.set {
            explain::check_setting(session, name, value)
                .map_err(|failure| Error::usage(format!("--set {name}: {}", failure.message)))?;
        }
        Ok(())
    }

    /// Takes the plans of both sides.
    pub fn take(
        &self,
        context: &Context,
        workload: &WorkloadArgs,
        terms: &Terms,
    ) -> Result<(Captures, Captures)> {
        let database = Database::of(context)?;
        let other = match &self.to_url {
            Some(url) => Database::asked(context, url, "--to-url")?,
            None => Database::of(context)?,
        };
        let (mut first, mut second) = (database.open()?, other.open()?);
        self.refuse_unknown(&mut second)?;
        let queries = self.concerned(workload.queries(context, &mut first)?)?;
        let servers = [
            server::look(&mut first, &database.history_table)?,
            server::look(&mut second, &other.history_table)?,
        ];
        let stopped = interrupt::listen()?;
        let cancelers = [first.canceler(), second.canceler()];
        let mut before = Side::new(&mut first, &servers[0]);
        before.without_policies = self.policies;
        let mut after = Side::new(&mut second, &servers[1]);
        after.settings = self.set.iter().cloned().collect();
        let mut show = None;
        let [mut before, mut after] = interrupt::cancelling(&cancelers[0], stopped, || {
            interrupt::cancelling(&cancelers[1], stopped, || {
                take_both([before, after], &queries, terms, |done, of| {
                    let show = show.get_or_insert_with(|| progress::count(context.ui, of as u64));
                    show(done as u64, "plans");
                    interrupt::check(stopped)
                })
            })
        })?;
        // What was asked for is no reason not to compare, but where costs are in other units then.
        let is_run = terms.mode == Mode::Analyze;
        for (name, _) in self.set.iter().filter(|(name, _)| is_run || !is_price(name)) {
            // The server writes all names of its planner's settings in small letters.
            let name = name.to_ascii_lowercase();
            before.forget_setting(&name);
            after.forget_setting(&name);
        }
        Ok((before, after))
    }
}

/// Whether a setting says what things cost, in the units of all costs, and not what is allowed.
fn is_price(setting: &str) -> bool {
    let setting = setting.to_ascii_lowercase();
    setting.ends_with("_cost") || setting == "effective_cache_size"
}
