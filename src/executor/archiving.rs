//! Steps that are more than SQL: archiving a table, dropping what is archived, restoring it, and
//! copying a DEFAULT partition.
//!
//! Each looks first how far an earlier try came, so that it can be run again after any stop.

use std::sync::atomic::{AtomicBool, Ordering};

use super::copying;
use crate::archive::manifest::{Manifest, archive_name, manifest_file};
use crate::archive::store::{Place, Store};
use crate::archive::{self, Progress, Source};
use crate::error::{Error, Kind, Result};
use crate::model::archive::Lineage;
use crate::model::ident::QualifiedName;
use crate::model::units::Millis;
use crate::pg::archive::{Rows, has_rows};
use crate::pg::failure::Failure;
use crate::pg::partitions::{exists, manifest_of};
use crate::pg::session::Session;
use crate::runbook::ledger::{note_archived, note_restored};
use crate::runbook::partition::{NewPartition, PartitionAction};

/// What such a step works with.
pub struct Tools<'a> {
    /// Where archives are; `None` for commands that archive nothing.
    pub place: Option<&'a Place<'a>>,
    /// Becomes true when somebody wants the run to end.
    pub stopped: &'a AtomicBool,
    /// How long to queue for a lock.
    pub lock_timeout: Millis,
    /// Tells what a transfer is doing, and how far it is.
    pub tell: &'a dyn Fn(&'static str, Progress),
}

/// Runs the action, if it is one of these.
pub fn run(
    session: &mut Session,
    action: &PartitionAction,
    tools: &Tools<'_>,
) -> Option<std::result::Result<(), Failure>> {
    let result = match action {
        PartitionAction::Archive { table, lineage } => {
            archive_table(session, table, lineage, tools)
        }
        PartitionAction::DropArchived { table } => drop_archived(session, table, tools),
        PartitionAction::Restore { new, archive } => restore(session, new, archive, tools),
        PartitionAction::Default(action) => copying::run(session, action, tools)?,
        PartitionAction::PrepareLedger
        | PartitionAction::Create(_)
        | PartitionAction::CreateFromDefault { .. }
        | PartitionAction::Analyze { .. }
        | PartitionAction::AddProof { .. }
        | PartitionAction::ValidateProof { .. }
        | PartitionAction::DropProof { .. }
        | PartitionAction::NoteRetiring { .. }
        | PartitionAction::DetachConcurrently { .. }
        | PartitionAction::Detach { .. }
        | PartitionAction::NoteDetached { .. }
        | PartitionAction::NoteAttached { .. }
        | PartitionAction::Drop { .. }
        | PartitionAction::DropAttached { .. } => return None,
    };
    if result.is_err() {
        session.roll_back();
    }
    Some(result.map_err(|error| Failure::told(&error)))
}

impl<'a> Tools<'a> {
    fn store(&self) -> Result<&'a Store> {
        let place = self.place.ok_or_else(|| {
            Error::new(Kind::Bug, "a command that knows no place for archives archives")
        })?;
        place.store()
    }

    /// Tells how far a transfer is, and ends it when somebody asks pgtune to stop.
    fn watch(&self, phase: &'static str) -> impl FnMut(Progress) -> Result<()> + 'a {
        let (stopped, tell) = (self.stopped, self.tell);
        move |progress| {
            tell(phase, progress);
            match stopped.load(Ordering::Relaxed) {
                true => Err(Error::new(Kind::Interrupted, "interrupted")),
                false => Ok(()),
            }
        }
    }

    /// Begins a transaction whose locks others do not queue behind for long.
    pub(super) fn begin(&self, session: &mut Session) -> Result<()> {
        run_sql(session, &format!("BEGIN; SET LOCAL lock_timeout = '{}'", self.lock_timeout))
    }
}

/// Timeouts of the step before must not hold here.
pub(super) fn forget_settings(session: &mut Session) -> Result<()> {
    session.apply_settings(&[]).map_err(|failure| failure.explain("cannot reset the session"))
}

pub(super) fn run_sql(session: &mut Session, sql: &str) -> Result<()> {
    session.run(sql).map_err(|failure| failure.explain("cannot go on"))
}

/// Writes the rows, reads them back from the store, and writes that into the ledger. What an
/// earlier try has written counts if the table still holds just that.
fn archive_table(
    session: &mut Session,
    table: &QualifiedName,
    lineage: &Lineage,
    tools: &Tools<'_>,
) -> Result<()> {
    let store = tools.store()?;
    forget_settings(session)?;
    let name = archive_name(table, Some(lineage), "");
    let manifest = if store.exists(&manifest_file(&name))? {
        let manifest = archive::read_manifest(store, &name)?;
        tools.begin(session)?;
        archive::unchanged(session, &manifest, table).map_err(|error| {
            error.hint(format!("{store} holds an older archive {name}: move it elsewhere"))
        })?;
        session.roll_back();
        manifest
    } else {
        let source = Source { table: table.clone(), lineage: Some(lineage.clone()) };
        archive::write(session, store, &source, &mut tools.watch("writing rows"))?
    };
    archive::verify(store, &manifest, &mut tools.watch("reading back"))?;
    run_sql(session, &note_archived(table, &manifest.name, &manifest.to_json()))
}

/// Drops a table if its archive is whole and the table holds just what was archived. The store is
/// read once more, since a grace of weeks may lie between; the table is compared in the transaction
/// of the drop, while nobody can write.
fn drop_archived(session: &mut Session, table: &QualifiedName, tools: &Tools<'_>) -> Result<()> {
    let store = tools.store()?;
    forget_settings(session)?;
    let (name, text) = manifest_of(session, table)?;
    let noted = Manifest::from_json(&name, &text)?;
    let stored = archive::read_manifest(store, &name)?;
    if noted != stored || !store.exists(&stored.rows_file())? {
        let message = format!("{store} does not hold what was archived as {name}");
        return Err(Error::new(Kind::Answer, message));
    }
    archive::verify(store, &stored, &mut tools.watch("reading back"))?;
    tools.begin(session)?;
    archive::unchanged(session, &stored, table)?;
    let drop = PartitionAction::Drop { tables: vec![table.clone()] }.script();
    run_sql(session, &format!("{}; COMMIT", drop.messages.join("; ")))
}

/// Makes the table, loads it, lets the server compare, and attaches it.
fn restore(
    session: &mut Session,
    new: &NewPartition,
    archive: &str,
    tools: &Tools<'_>,
) -> Result<()> {
    let store = tools.store()?;
    forget_settings(session)?;
    let manifest = archive::read_manifest(store, archive)?;
    if !exists(session, &new.name)? {
        tools.begin(session)?;
        run_sql(session, &format!("{}; COMMIT", new.create_sql().join("; ")))?;
    }
    if has_rows(session, &Rows::of(&new.name, &manifest.shape))? {
        tools.begin(session)?;
        archive::unchanged(session, &manifest, &new.name)?;
        session.roll_back();
    } else {
        archive::load(session, store, &manifest, &new.name, &mut tools.watch("loading rows"))?;
    }
    tools.begin(session)?;
    let attach = new.attach_sql().join("; ");
    run_sql(session, &format!("{attach}; {}; COMMIT", note_restored(new)))
}
