//! What keeps migrations on a server that is borrowed to their own database: behind each of the
//! user's statements, in its transaction, a statement that marks the roles it made as ours, and
//! fails where it changed what was on the server before.
//!
//! "Before" is what has a lower OID than the role that owns the database, which is made first.

use crate::model::ident::literal;

/// How the comments on roles and databases begin that pgtune made on a server of others.
pub const MARK: &str = "pgtune shadow: dropped when its pgtune has ended";

/// Asks for a number that changes when anything does that all databases of the server share, and
/// that was there before; NULL in a database that is not ours.
pub fn fingerprint(version_num: u32) -> String {
    // Rights on settings came with PostgreSQL 15.
    let parameters = match version_num >= 150_000 {
        true => "UNION ALL SELECT p::text FROM pg_catalog.pg_parameter_acl p",
        false => "",
    };
    format!(
        "SELECT pg_catalog.hashtextextended(pg_catalog.string_agg(line, '' ORDER BY line), 0) \
         FROM (SELECT d.datdba AS owner FROM pg_catalog.pg_database d \
         WHERE d.datname = pg_catalog.current_database()) own CROSS JOIN LATERAL (\
         SELECT r::text AS line FROM pg_catalog.pg_authid r WHERE r.oid < owner \
         UNION ALL SELECT m::text FROM pg_catalog.pg_auth_members m \
         WHERE m.roleid < owner AND m.member < owner \
         UNION ALL SELECT s::text FROM pg_catalog.pg_db_role_setting s \
         WHERE s.setrole < owner AND s.setdatabase < owner \
         UNION ALL SELECT ROW(d.oid, d.datname, d.datdba, d.datistemplate, d.datallowconn, \
         d.datconnlimit, d.dattablespace, d.datacl)::text FROM pg_catalog.pg_database d \
         WHERE d.oid < owner \
         UNION ALL SELECT t::text FROM pg_catalog.pg_tablespace t WHERE t.oid < owner \
         UNION ALL SELECT c::text FROM pg_catalog.pg_shdescription c WHERE c.objoid < owner \
         {parameters}) shared"
    )
}

/// The statement to put behind each of the user's; `known` is what [`fingerprint`] said before.
pub fn guard(version_num: u32, known: i64) -> String {
    let fingerprint = fingerprint(version_num);
    let mark = literal(MARK);
    // A row that this transaction wrote is visible and in progress; its age is 0 or, of one that a
    // part of the transaction wrote, less.
    let own = |xmin: &str| {
        format!(
            "CASE WHEN pg_catalog.age({xmin}) <= 0 THEN pg_catalog.pg_xact_status(\
             ((pg_catalog.pg_current_xact_id()::text)::int8 - pg_catalog.age({xmin}))\
             ::text::pg_catalog.xid8) = 'in progress' END"
        )
    };
    let (made, commented) = (own("r.xmin"), own("c.xmin"));
    format!(
        "DO $pgtune$
DECLARE role text;
BEGIN
  -- Who is no superuser cannot have changed any of it.
  IF NOT (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user) THEN
    RETURN;
  END IF;
  IF ({fingerprint}) IS DISTINCT FROM {known} THEN
    RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
      MESSAGE = 'this changes what all databases of the shadow''s server share',
      HINT = 'leave --shadow-url out: on a private server a migration may change everything';
  END IF;
  FOR role IN
    SELECT r.rolname FROM pg_catalog.pg_authid r
    JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database()
    LEFT JOIN pg_catalog.pg_shdescription c
      ON c.objoid = r.oid AND c.classoid = 'pg_catalog.pg_authid'::pg_catalog.regclass
    WHERE r.oid > d.datdba AND ({made} OR {commented})
      AND c.description IS DISTINCT FROM {mark}
  LOOP
    EXECUTE pg_catalog.format('COMMENT ON ROLE %I IS %L', role, {mark});
  END LOOP;
END
$pgtune$"
    )
}
