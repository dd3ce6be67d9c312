//! What keeps a shadow to itself: statements that open sessions on other servers fail there,
//! wherever they stand, be it in a function or in the schema of a snapshot.

/// What is ours in a shadow. It goes with the database.
pub const SHADOW_SCHEMA: &str = "pgtune_shadow";

/// Makes our schema and an event trigger on the statements that reach others: those about
/// subscriptions connect to the publisher, and make or drop a replication slot there; IMPORT
/// FOREIGN SCHEMA connects to the foreign server. To be run by a superuser in an empty database.
pub fn seclude() -> String {
    format!(
        "CREATE SCHEMA {SHADOW_SCHEMA};
CREATE FUNCTION {SHADOW_SCHEMA}.refuse() RETURNS event_trigger LANGUAGE plpgsql AS $pgtune$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
    MESSAGE = tg_tag || ' opens a session on another server, which no shadow may reach',
    HINT = 'run it by hand, outside of migrations';
END
$pgtune$;
CREATE EVENT TRIGGER {SHADOW_SCHEMA} ON ddl_command_start WHEN TAG IN ('CREATE SUBSCRIPTION', \
         'ALTER SUBSCRIPTION', 'DROP SUBSCRIPTION', 'IMPORT FOREIGN SCHEMA')
  EXECUTE FUNCTION {SHADOW_SCHEMA}.refuse();
-- Whatever session_replication_role is.
ALTER EVENT TRIGGER {SHADOW_SCHEMA} ENABLE ALWAYS"
    )
}
