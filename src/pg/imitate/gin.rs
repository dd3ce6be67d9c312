//! Makes the first page of a GIN index say what it says elsewhere: how many pages hold what, when
//! it was built or vacuumed. The planner reads it (`ginGetStats`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::model::snapshot::{GinPages, RelationSize};
use crate::pg::failure::{Failure, Verdict};
use crate::pg::session::Session;

/// Gives the GIN indexes whose counts are known new files, no page of which is in memory, as pages
/// of a build are: a file that moves is copied past it. False where the server cannot: before 14.5
/// there are no tablespaces within the data directory.
pub fn move_files(
    session: &mut Session,
    relations: &[RelationSize],
) -> std::result::Result<bool, Failure> {
    let mut known = relations.iter().filter(|one| one.gin.is_some()).peekable();
    if known.peek().is_none() {
        return Ok(true);
    }
    match session.run("SET allow_in_place_tablespaces = on") {
        Ok(()) => {}
        Err(failure) if failure.verdict() == Verdict::Gone => return Err(failure),
        Err(_) => return Ok(false),
    }
    session.run("CREATE TABLESPACE pgtune_move LOCATION ''")?;
    for one in known {
        let index = &one.name;
        session.run(&format!(
            "ALTER INDEX IF EXISTS {index} SET TABLESPACE pgtune_move; \
             ALTER INDEX IF EXISTS {index} SET TABLESPACE pg_default"
        ))?;
    }
    session.run("DROP TABLESPACE pgtune_move")?;
    Ok(true)
}

/// Where `nPendingPages` is in the first page: behind the page's header, `head`, `tail` and
/// `tailFreeSize`.
const PENDING_PAGES: usize = 24 + 12;

/// The command that writes the counts into the file at `path`.
pub fn patch(path: &str, gin: &GinPages) -> String {
    let bytes = BASE64.encode(counts(gin));
    let to = format!("dd of={path} bs=1 seek={PENDING_PAGES} conv=notrunc 2>/dev/null");
    format!("echo {bytes} | base64 -d | {to}")
}

/// From `nPendingPages` to `nEntries` (`GinMetaPageData` in ginblock.h). The list of what is
/// pending is empty: nobody reads it.
fn counts(gin: &GinPages) -> Vec<u8> {
    const PADDING: [u8; 4] = [0; 4];
    let mut bytes = gin.pending_pages.to_ne_bytes().to_vec();
    bytes.extend(0_i64.to_ne_bytes());
    for pages in [gin.total_pages, gin.entry_pages, gin.data_pages] {
        bytes.extend(pages.to_ne_bytes());
    }
    bytes.extend(PADDING);
    bytes.extend(gin.entries.to_ne_bytes());
    bytes
}
