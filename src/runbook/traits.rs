//! The statements that make a new table what a partition has to be.

use crate::model::ident::{Ident, QualifiedName, literal};
use crate::model::traits::{Expression, Grant, Policy, Publication, Traits};

/// What stands behind the columns in CREATE TABLE: ` USING … WITH (…) TABLESPACE …`, or nothing.
pub fn options(traits: &Traits) -> String {
    let mut text = String::new();
    if let Some(method) = &traits.access_method {
        text += &format!(" USING {}", method);
    }
    if !traits.storage.is_empty() {
        text += &format!(" WITH ({})", traits.storage.join(", "));
    }
    if let Some(tablespace) = &traits.tablespace {
        text += &format!(" TABLESPACE {}", tablespace);
    }
    text
}

/// What has to be said about the table once it is there.
pub fn statements(traits: &Traits, table: &QualifiedName) -> Vec<String> {
    let mut sql = Vec::new();
    for (column, target) in &traits.statistics {
        sql.push(format!("ALTER TABLE {table} ALTER {column} SET STATISTICS {target}"));
    }
    if let Some(identity) = replica_identity(traits) {
        sql.push(format!("ALTER TABLE {table} REPLICA IDENTITY {identity}"));
    }
    if traits.row_security {
        sql.push(format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"));
    }
    if traits.force_row_security {
        sql.push(format!("ALTER TABLE {table} FORCE ROW LEVEL SECURITY"));
    }
    sql.extend(traits.policies.iter().map(|policy| create_policy(policy, table)));
    sql.extend(traits.grants.iter().map(|grant| grant_sql(grant, table)));
    sql.extend(traits.publications.iter().map(|publication| publish(publication, table)));
    if let Some(owner) = &traits.owner {
        sql.push(format!("ALTER TABLE {table} OWNER TO {owner}"));
    }
    sql
}

fn publish(publication: &Publication, table: &QualifiedName) -> String {
    let mut sql = format!("ALTER PUBLICATION {} ADD TABLE {table}", publication.name);
    if let Some(columns) = &publication.columns {
        sql += &format!(" ({})", list(columns));
    }
    if let Some(filter) = &publication.filter {
        sql += &format!(" WHERE ({filter})");
    }
    sql
}

/// `REPLICA IDENTITY USING INDEX`, once the table is attached. The server has named its indexes;
/// which of them is meant says the parent's, whose part it is.
pub fn replicate_by_index(traits: &Traits, table: &QualifiedName) -> Option<String> {
    let index = traits.replica_index.as_ref().filter(|_| traits.replica_identity == "i")?;
    let (table, index) = (literal(&table.to_string()), literal(&index.to_string()));
    let body = format!(
        "DECLARE own name; BEGIN SELECT c.relname INTO own FROM pg_index i JOIN pg_class c ON \
         c.oid = i.indexrelid WHERE i.indrelid = {table}::regclass AND {index}::regclass IN \
         (SELECT relid FROM pg_partition_ancestors(i.indexrelid) AS a(relid)); IF own IS NULL THEN \
         RAISE EXCEPTION '% has no part of the index %', {table}::regclass, {index}::regclass; \
         END IF; EXECUTE format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', \
         {table}::regclass, own); END"
    );
    Some(format!("DO {}", literal(&body)))
}

/// `None` for the primary key, which is the default, and for an index, which has no name yet.
fn replica_identity(traits: &Traits) -> Option<&'static str> {
    match traits.replica_identity.as_str() {
        "f" => Some("FULL"),
        "n" => Some("NOTHING"),
        _ => None,
    }
}

fn create_policy(policy: &Policy, table: &QualifiedName) -> String {
    let Policy { name, permissive, command, roles, using, check } = policy;
    let kind = if *permissive { "PERMISSIVE" } else { "RESTRICTIVE" };
    let roles = if roles.is_empty() { "PUBLIC".to_string() } else { list(roles) };
    let mut sql = format!("CREATE POLICY {name} ON {table} AS {kind} FOR {command} TO {roles}");
    let about = |expression: &Expression| expression.join(&table.name.to_string());
    if let Some(using) = using {
        sql += &format!(" USING ({})", about(using));
    }
    if let Some(check) = check {
        sql += &format!(" WITH CHECK ({})", about(check));
    }
    sql
}

fn grant_sql(grant: &Grant, table: &QualifiedName) -> String {
    let on = grant.column.as_ref().map_or_else(String::new, |column| format!(" ({column})"));
    let privileges: Vec<String> = grant.privileges.iter().map(|p| format!("{p}{on}")).collect();
    let role = grant.role.as_ref().map_or("PUBLIC".to_string(), ToString::to_string);
    let option = if grant.grantable { " WITH GRANT OPTION" } else { "" };
    format!("GRANT {} ON {table} TO {role}{option}", privileges.join(", "))
}

fn list(names: &[Ident]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
