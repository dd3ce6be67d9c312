//! What neither LIKE nor ATTACH gives a partition: owner, rights, policies, how it is stored,
//! what is known of its columns, and who is told of its changes.

use super::Kept;
use crate::support::{Database, connect};

/// The parent and its one partition differ from defaults in all of these.
const TRAITS: &str = "
    do $$ begin create role \"Part Owner\"; exception when others then end $$;
    do $$ begin create role part_reader; exception when others then end $$;
    do $$ begin create role \"Part \"\"W\"; exception when others then end $$;
    do $$ begin create role part_runner in role \"Part Owner\"; exception when others then end $$;
    grant all on schema public to \"Part Owner\";
    create table app (id int primary key, ev text);
    create table ev (id bigint, app int not null, \"at Time\" timestamptz not null, note text,
        primary key (id, app, \"at Time\")) partition by range (\"at Time\");
    alter table ev owner to \"Part Owner\";
    grant select, insert on ev to part_reader;
    grant update on ev to \"Part \"\"W\" with grant option;
    grant delete on ev to \"Part \"\"W\";
    grant select on ev to public;
    grant update (\"at Time\"), insert (\"at Time\", note) on ev to part_reader;
    grant references (note) on ev to public;
    alter table ev enable row level security;
    alter table ev force row level security;
    create policy open on ev using (true);
    create policy \"mine ev.\" on ev as restrictive for update to part_reader, \"Part \"\"W\"
        using (app = current_setting('ev.app', true)::int and note <> 'ev.app')
        with check (note is not null);
    create policy of_app on ev for select to part_reader
        using (exists (select from app a where a.id = ev.app and a.ev <> ev.note));
    create policy of_self on ev for delete
        using (app in (select x.app from ev x where x.id < ev.id));
    create policy writes on ev for insert with check (app > 0);
";

/// A partition that was tuned by hand.
const LEAF: &str = "
    create table ev_0 partition of ev
        for values from ('2026-01-01 00:00+00') to ('2026-02-01 00:00+00')
        with (fillfactor = 80, autovacuum_enabled = false);
    alter table ev_0 alter note set statistics 500, alter \"at Time\" set statistics 0;
    alter table ev_0 replica identity full;
";

/// The same, by hash below.
const LEAVES: &str = "
    create table ev_0 partition of ev
        for values from ('2026-01-01 00:00+00') to ('2026-02-01 00:00+00')
        partition by hash (app);
    create table ev_0_p0 partition of ev_0 for values with (modulus 1, remainder 0)
        with (fillfactor = 80, autovacuum_enabled = false);
    alter table ev_0_p0 alter note set statistics 500, alter \"at Time\" set statistics 0;
    alter table ev_0_p0 replica identity full;
";

const RULE: &str = "[[partitions]]\ntable = \"ev\"\ninterval = \"month\"\nahead = 1\n";

impl Kept {
    /// Whose it is and who may do what with it, without the table's name.
    fn rights(&self, table: &str) -> String {
        let query = "
            select concat_ws(E'\\n', relowner::regrole, relrowsecurity, relforcerowsecurity,
              (select string_agg(concat_ws(' ', grantee::regrole, grantor::regrole, privilege_type,
                  is_grantable), E'\\n' order by grantee, privilege_type)
                 from aclexplode(relacl) where grantee <> relowner),
              (select string_agg(concat_ws(' ', attname, x.grantee::regrole, x.privilege_type),
                  E'\\n' order by attname, x.grantee, x.privilege_type)
                 from pg_attribute a, aclexplode(attacl) x where attrelid = c.oid),
              (select string_agg(concat_ws(' ', policyname, permissive, roles, cmd,
                  regexp_replace(qual, '([<>=] )' || c.relname || '\\.', '\\1SELF.', 'g'),
                  with_check),
                  E'\\n' order by policyname)
                 from pg_policies p where p.tablename = c.relname))
              from pg_class c where oid = $1::text::regclass";
        self.texts(query, &[&table]).remove(0)
    }

    /// How it is stored and what is known of it.
    fn storage(&self, table: &str) -> String {
        let query = "
            select concat_ws(E'\\n', relreplident, reloptions, reltablespace, relam,
              (select string_agg(concat_ws(' ', attname, attstattarget), E'\\n' order by attname)
                 from pg_attribute a where attrelid = c.oid and attnum > 0),
              (select string_agg(concat_ws(' ', pubname, to_jsonb(p) ->> 'attnames',
                  to_jsonb(p) ->> 'rowfilter'), E'\\n' order by pubname)
                 from pg_publication_tables p where p.tablename = c.relname))
              from pg_class c where oid = $1::text::regclass";
        self.texts(query, &[&table]).remove(0)
    }
}

#[test]
fn a_new_partition_is_as_open_and_as_closed_as_its_parent() {
    let Some(kept) = Kept::new("traits", &[TRAITS, LEAF], RULE) else { return };
    kept.sql(
        "create publication of_parts for table ev_0; create publication of_all for all tables",
    );
    kept.run("create --yes --as-of 2026-03-15").expect(0, &[]);
    for child in ["ev_2026_02", "ev_2026_03", "ev_2026_04"] {
        assert_eq!(kept.rights(child), kept.rights("ev"), "{child}");
        assert_eq!(kept.storage(child), kept.storage("ev_0"), "{child}");
    }
    assert!(kept.rights("ev").contains("SELF.app"), "{}", kept.rights("ev"));
    assert!(kept.storage("ev_0").contains("of_parts"), "{}", kept.storage("ev_0"));
    kept.check_done("2026-03-15");
}

#[test]
fn so_are_the_hashes_below() {
    let Some(kept) = Kept::new(
        "traits_below",
        &[TRAITS, LEAVES],
        &format!("{RULE}hash = {{ columns = [\"app\"], modulus = 2 }}\n"),
    ) else {
        return;
    };
    kept.sql("create publication of_parts for table ev_0_p0");
    kept.run("create --yes --as-of 2026-03-15").expect(0, &[]);
    for child in ["ev_2026_03", "ev_2026_03_p0", "ev_2026_04_p1"] {
        assert_eq!(kept.rights(child), kept.rights("ev"), "{child}");
    }
    for child in ["ev_2026_03_p0", "ev_2026_03_p1", "ev_2026_04_p1"] {
        assert_eq!(kept.storage(child), kept.storage("ev_0_p0"), "{child}");
    }
    kept.check_done("2026-03-15");
}

#[test]
fn nothing_replicates_nothing() {
    let Some(kept) = Kept::new("traits_nothing", &[TRAITS, LEAF], RULE) else { return };
    kept.sql("alter table ev_0 replica identity nothing; alter table ev_0 reset (fillfactor)");
    kept.run("create --yes --as-of 2026-03-15").expect(0, &[]);
    assert_eq!(kept.storage("ev_2026_03"), kept.storage("ev_0"));
    assert!(kept.storage("ev_2026_03").starts_with('n'));
}

/// A unique index that is not the primary key, and another that it could be mistaken for.
const UNIQUE: &str = "
    create unique index \"Odd % 'Name\" on ev (app, \"at Time\", id);
    create unique index twin on ev (app, \"at Time\", id) include (note);
";
const ODD: &str = "\"Odd % 'Name\"";

impl Kept {
    /// The new partitions, and the parent's index that they replicate by.
    fn identities(&self) -> Vec<String> {
        let query = "
            select concat_ws(' ', t.relid, c.relreplident, (select string_agg(a.relid::text, ' ')
                from pg_index i, pg_partition_ancestors(i.indexrelid) a
               where i.indrelid = t.relid and i.indisreplident and a.relid::oid in (
                   select indexrelid from pg_index where indrelid = 'ev'::regclass)))
              from pg_partition_tree('ev') t join pg_class c on c.oid = t.relid
             where c.relname like 'ev\\_2%' order by 1";
        self.texts(query, &[])
    }

    /// Lets a partition replicate by its part of the parent's odd index.
    fn replicate(&self, partition: &str) {
        let query = "select format('alter table %s replica identity using index %I', $1::text,
                c.relname)
              from pg_index i join pg_class c on c.oid = i.indexrelid
              cross join pg_partition_ancestors(i.indexrelid) a
             where i.indrelid = $1::text::regclass and a.relid = $2::text::regclass";
        self.sql(&self.texts(query, &[&partition, &ODD]).remove(0));
    }
}

#[test]
fn a_new_partition_replicates_by_the_index_of_its_siblings() {
    let create = "create --yes --as-of 2026-03-15";
    let expected = |tables: &[&str]| -> Vec<String> {
        tables.iter().map(|table| format!("{table} i {ODD}")).collect()
    };
    let Some(kept) = Kept::new("traits_index", &[TRAITS, UNIQUE, LEAF], RULE) else { return };
    kept.replicate("ev_0");
    kept.sql(
        "create table ev_rest partition of ev default; insert into app values (1);
        insert into ev values (1, 1, '2026-03-31', 'of April, in Asia')",
    );
    kept.run(create).expect(0, &[]);
    assert_eq!(kept.identities(), expected(&["ev_2026_02", "ev_2026_03", "ev_2026_04"]));
    assert_eq!(kept.count("select count(*) from ev_2026_03"), 1);

    let rule = format!("{RULE}hash = {{ columns = [\"app\"], modulus = 2 }}\n");
    let below = Kept::new("traits_index_below", &[TRAITS, UNIQUE, LEAVES], &rule).unwrap();
    below.replicate("ev_0_p0");
    below.run(create).expect(0, &[]);
    let names = ["02", "02_p0", "02_p1", "03", "03_p0", "03_p1", "04", "04_p0", "04_p1"];
    let names = names.map(|name| format!("ev_2026_{name}"));
    assert_eq!(below.identities(), expected(&names.each_ref().map(String::as_str)));

    // The first partition takes after the table itself.
    let first = Kept::new("traits_index_first", &[TRAITS, UNIQUE], RULE).unwrap();
    first.sql(&format!("alter table ev replica identity using index {ODD}"));
    first.run(create).expect(0, &[]);
    assert_eq!(first.identities(), expected(&["ev_2026_03", "ev_2026_04"]));
}

#[test]
fn an_index_that_only_the_newest_partition_has_is_no_siblings() {
    let Some(kept) = Kept::new("traits_index_own", &[TRAITS, LEAF], RULE) else { return };
    kept.sql(
        "
        create unique index own_2 on ev_0 (app, id, \"at Time\");
        alter table ev_0 replica identity using index own_2",
    );
    let said = kept.run("create --yes --as-of 2026-03-15");
    said.expect(0, &["replica identity: its primary key; the newest partition's index is its own"]);
    assert_eq!(kept.identities()[0], "ev_2026_02 d");
}

#[test]
fn the_rules_own_storage_goes_first() {
    let rule =
        format!("{RULE}storage = {{ fillfactor = \"65\", autovacuum_enabled = \"true\" }}\n");
    let Some(kept) = Kept::new("traits_rule", &[TRAITS, LEAF], &rule) else { return };
    kept.run("create --yes --as-of 2026-03-15").expect(0, &[]);
    let options = "select reloptions::text from pg_class where relname = 'ev_2026_03'";
    assert_eq!(kept.texts(options, &[]), ["{autovacuum_enabled=true,fillfactor=65}"]);
}

#[test]
fn a_publication_shows_no_more_of_a_new_partition() {
    let Some(kept) = Kept::new("traits_columns", &[TRAITS, LEAF], RULE) else { return };
    if crate::support::server().is_some_and(|server| server.major < 15) {
        return; // Columns and filters of publications came with PostgreSQL 15.
    }
    kept.sql(
        "create publication of_some for table ev_0 (id, app, \"at Time\") where (note = 'it''s');
         alter table ev_0 replica identity default",
    );
    kept.run("create --yes --as-of 2026-03-15").expect(0, &[]);
    assert_eq!(kept.storage("ev_2026_03"), kept.storage("ev_0"));
}

#[test]
fn a_role_without_superpowers_creates_too() {
    let Some(database) = Database::create("traits_role") else { return };
    let mut client = connect(&database.url);
    client.batch_execute(TRAITS).unwrap();
    client.batch_execute(LEAF).unwrap();
    client
        .batch_execute(
            "grant all on schema public to part_runner;
             alter table ev_0 owner to \"Part Owner\";",
        )
        .unwrap();
    let kept = Kept::at(database, &format!("[database]\nrole = \"part_runner\"\n{RULE}"));
    kept.run("create --yes --as-of 2026-03-15").expect(0, &[]);
    assert_eq!(kept.rights("ev_2026_03"), kept.rights("ev"));
    assert_eq!(kept.storage("ev_2026_03"), kept.storage("ev_0"));
}
