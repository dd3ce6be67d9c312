//! Snapshots of tables with somebody's secrets in them: what the file tells, and how it plans.

use serde_json::Value;

use crate::snapshot::{rows, with_pg_dump};
use crate::support::Database;
use crate::user_project::{Project, skipped};

/// People whose names are skewed, and whose other columns are of the types that have substitutes.
const PEOPLE: &str = "
    create extension if not exists citext;
    create table people (
      id bigint primary key, email text not null, full_name text collate \"C\", birth date,
      phone bigint, mail_code smallint, hash_key uuid, ip_address inet, secret_at timestamptz,
      nick_name citext, name_kind text check (name_kind in ('short', 'long')));
    insert into people
    select i, 'User' || (i * 7919 % 20000) || '@example.com',
           case when i % 5 = 0 then 'Anna Konda' when i % 7 = 0 then 'Bea O''Problem'
                else 'Name ' || i % 900 end,
           date '1950-01-01' + (i * 31 % 20000), 491700000000 + i * 13 % 20000, i % 300,
           md5(i::text)::uuid, inet '192.168.0.0' + i % 5000,
           timestamptz '2020-01-01 00:00+00' + i * interval '17 min',
           'Nick' || i % 50, case when i % 3 = 0 then 'short' else 'long' end
    from generate_series(1, 20000) as i;
    create index on people (email);
    create index on people (full_name, birth);
    create index on people (birth);
    create index on people (secret_at);
    create table letters (id bigint primary key, email varchar(80), body text);
    insert into letters
    select i, 'User' || (i * 31 % 3000) || '@example.com', repeat('x', 100)
    from generate_series(1, 30000) as i;
    create index on letters (email);
    vacuum analyze people, letters;";

/// Conditions on all of the columns, with values that are frequent, rare and unknown.
const QUERIES: &str = r#"
[[queries]]
name = "by_email"
sql = "select id from people where email = $1"
parameters = [["User7919@example.com"], ["nobody@example.com"]]

[[queries]]
name = "by_name"
sql = "select id from people where full_name = $1 and birth > $2"
parameters = [["Anna Konda", "1980-05-05"], ["Name 17", "1960-01-01"], ["Zoe", "2004-01-01"]]

[[queries]]
name = "names_between"
sql = "select count(*) from people where full_name >= $1 and full_name < $2"
parameters = [["Name 1", "Name 2"], ["A", "B"]]

[[queries]]
name = "born"
sql = "select * from people where birth between $1 and $2 order by birth"
parameters = [
  ["1970-01-01", "1970-03-01"], ["1950-01-01", "2000-01-01"], ["2020-01-01", "2020-12-31"]]

[[queries]]
name = "phones"
sql = "select id from people where phone < $1 and mail_code = $2"
parameters = [["491700000900", "7"], ["491700019000", "299"]]

[[queries]]
name = "keys"
sql = "select id from people where hash_key = $1 or ip_address = $2"
parameters = [["c4ca4238-a0b9-2382-0dcc-509a6f75849b", "192.168.0.9"]]

[[queries]]
name = "since"
sql = "select id from people where secret_at >= $1"
parameters = [["2020-08-20"], ["2020-01-02"]]

[[queries]]
name = "nicks"
sql = "select nick_name, count(*) from people where nick_name = $1 or name_kind = $2 group by 1"
parameters = [["NICK7", "short"]]

[[queries]]
name = "letters"
sql = "select count(*) from people p join letters l on l.email = p.email where p.full_name = $1"
parameters = [["Anna Konda"], ["Name 3"]]

[[queries]]
name = "inside"
sql = "select id from people where email = 'User7919@example.com' and birth > date '1970-01-01'"

[[queries]]
name = "inside_a_list"
sql = """select count(*) from people
where full_name in ('Anna Konda', 'Bea O''Problem', 'Name 17') and birth < $1"""
parameters = [["1960-01-01"], ["2004-01-01"]]

[[queries]]
name = "inside_a_range"
sql = "select id from people where phone between 491700000000 and 491700000900"

[[queries]]
name = "no_date"
sql = "select id from people where birth = $1"
parameters = [["the day before"], ["1970-01-02"]]
"#;

/// A project with people in its database; `None` without a server.
fn people(test: &str) -> Option<(Project, Database)> {
    let (project, database) = Project::new(test)?;
    database.connect().batch_execute(PEOPLE.rsplit_once("vacuum").unwrap().0).unwrap();
    database.connect().batch_execute("vacuum analyze people, letters").unwrap();
    Some((project, database))
}

/// Takes a snapshot into a file and returns its text; `None` without a `pg_dump` that can.
fn take(project: &Project, file: &str) -> Option<String> {
    let said = project.run(&with_pg_dump(&["snapshot", "take", file, "--json"]));
    said.expect(0, &[]);
    let text = std::fs::read_to_string(project.folder.path().join(file)).unwrap();
    (!said.stdout.contains("there is no pg_dump")).then_some(text)
}

/// `random_page_cost`, with a little for the page's rows.
const PAGE_COST: f64 = 4.1;

/// What `snapshot verify` says of each query that has a plan.
fn verified(project: &Project, file: &str) -> Vec<Value> {
    let said = project.run(&["snapshot", "verify", file, "--json"]);
    said.expect(0, &[]);
    assert!(!said.stdout.contains("values-unknown"), "{said}");
    let mut told = rows(&said);
    told.retain(|row| row["fidelity"] != "no plan there");
    told
}

#[test]
fn redacted_values_are_nowhere_in_the_file_and_plans_are_the_same() {
    let Some((project, database)) = people("redaction") else { return };
    project.profile(format!("[snapshot]\nredact = []\n{QUERIES}"));
    let Some(open) = take(&project, "open.json") else {
        skipped("a snapshot's schema");
        database.drop();
        return;
    };
    assert!(open.contains("Anna Konda") && open.contains("@example.com"));
    let disclosed = verified(&project, "open.json");
    project.profile(QUERIES);
    let text = take(&project, "closed.json").unwrap();
    let sql = "select email from people union select full_name from people union
               select birth::text from people union select phone::text from people union
               select hash_key::text from people union select host(ip_address) from people union
               select secret_at::text from people union select nick_name::text from people";
    let mut searched = 0;
    for row in database.connect().query(sql, &[]).unwrap() {
        let value: String = row.get(0);
        assert!(!text.contains(&value), "{value}");
        searched += 1;
    }
    assert!(searched > 80_000, "{searched}");
    let json: Value = serde_json::from_str(&text).unwrap();
    let substituted = |name: &str| {
        let columns = json["columns"].as_array().unwrap();
        let mut of_name = columns.iter().filter(|one| one["column"] == name);
        of_name.all(|one| one["is_substituted"] == true && one["values"].is_object())
    };
    for name in [
        "email",
        "full_name",
        "birth",
        "phone",
        "mail_code",
        "hash_key",
        "ip_address",
        "secret_at",
        "nick_name",
    ] {
        assert!(substituted(name), "{name}: {}", json["columns"]);
    }
    // The schema compares it with values: nothing could stand for them.
    assert!(!substituted("name_kind"));
    let redacted = verified(&project, "closed.json");
    assert_eq!(disclosed.len(), redacted.len());
    assert!(redacted.len() >= 23, "{redacted:#?}");
    for (open, closed) in disclosed.iter().zip(&redacted) {
        let cost = |row: &Value| row["here"].as_str().unwrap().parse::<f64>().unwrap();
        let off = (cost(closed) - cost(open)).abs();
        let same = |row: &Value| row["fidelity"] == "exact" || row["fidelity"] == "same shape";
        // A row more can be the first of another page.
        let is_near = off <= (0.05 * cost(open)).max(PAGE_COST);
        assert!(same(closed) && is_near, "{closed} instead of {open}");
    }
    // Another query than the one that was taken is told.
    project.profile(QUERIES.replace("where email = $1", "where email > $1"));
    let said = project.run(&["plan", "predict", "--snapshot", "closed.json"]);
    assert!(said.stdout.contains("by_email") && said.stdout.contains("values-unknown"), "{said}");
    // And so are patterns and arrays, in which nothing stands for anything.
    let patterns = "[[queries]]\nname = \"like\"\n\
         sql = \"select 1 from people where email like 'User1%'\"\n\
         [[queries]]\nname = \"any\"\nsql = \"select 1 from people where full_name = any ($1)\"\n\
         parameters = [[\"{Zoe,Name 1}\"]]\n";
    let other = "[[queries]]\nname = \"regex\"\n\
         sql = \"select 1 from people where email ~ '^U' or full_name <> 'x'\"\n\
         [[queries]]\nname = \"two\"\n\
         sql = \"select 1 from people where full_name = $1 or name_kind = $1\"\n\
         parameters = [[\"long\"]]\n";
    project.profile(format!("{patterns}{other}"));
    let text = take(&project, "patterns.json").unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    let told = json["unread"].as_array().unwrap().iter();
    let told = told.filter(|one| one["check"] == "values-unknown");
    let told: Vec<&str> = told.map(|one| one["subject"].as_str().unwrap()).collect();
    assert_eq!(told, ["any", "like", "regex", "regex", "two"], "{}", json["unread"]);
    assert!(!text.contains("Zoe") && !text.contains("User1"), "{text}");
    database.drop();
}

/// Keys whose columns are redacted on one side by their names: of a number, in two steps, of a text
/// that is somebody's name, and of two columns to a partitioned table.
const KEYS: &str = "
    create table addresses (id bigint primary key, city text);
    insert into addresses select 4100000000 + i * 131, 'city' || i % 300
      from generate_series(1, 20000) i;
    create table people (
      id int primary key, address_id bigint not null references addresses,
      home bigint not null references addresses, note text);
    insert into people
      select i, 4100000000 + (1 + i::bigint * i % 7000) * 131,
             4100000000 + (case when i % 3 = 0 then 7 else 1 + i % 20000 end) * 131, repeat('x', 60)
      from generate_series(1, 60000) i;
    create index on people (address_id);
    create index on people (home);
    create table parcels (id int primary key, place bigint not null references addresses);
    insert into parcels
      select i, 4100000000 + (case when i % 4 = 0 then 7 else 1 + i * 7 % 9000 end) * 131
      from generate_series(1, 40000) i;
    create index on parcels (place);
    create index on parcels (abs(place));
    create table authors (username text primary key, since date);
    insert into authors select 'Pen' || md5(i::text), date '2020-01-01' + i % 900
      from generate_series(1, 5000) i;
    create table posts (
      id int primary key, author varchar(80) references authors, was_by varchar(80));
    insert into posts select i, 'Pen' || md5((1 + i::bigint * i % 3000)::text), 'x'
      from generate_series(1, 30000) i;
    create index on posts (author);
    create table boxes (mail_region int, box bigint, size int, primary key (mail_region, box))
      partition by hash (mail_region);
    create table boxes_0 partition of boxes for values with (modulus 2, remainder 0);
    create table boxes_1 partition of boxes for values with (modulus 2, remainder 1);
    insert into boxes select i % 40, 8200000000 + i * 17, i % 9 from generate_series(1, 20000) i;
    create table bills (
      id int primary key, region int, mailbox bigint,
      foreign key (region, mailbox) references boxes);
    insert into bills select i, (1 + i % 15000) % 40, 8200000000 + (1 + i % 15000) * 17
      from generate_series(1, 30000) i;
    create index on bills (mailbox);
    create table kinds (id int primary key, label text);
    insert into kinds select 30000 - i, 'label' || i from generate_series(1, 2000) i;
    create table calls (id int primary key, phone_kind int references kinds);
    insert into calls select i, 30000 - (1 + i % 700) from generate_series(1, 30000) i;
    create index on calls (phone_kind);";

const JOINS: &str = r#"
[[queries]]
name = "whole"
sql = "select count(*) from people p join addresses a on a.id = p.address_id"

[[queries]]
name = "in_order"
sql = "select * from people p join addresses a on a.id = p.address_id order by a.id limit 100"

[[queries]]
name = "in_city"
sql = "select p.note from addresses a join people p on p.address_id = a.id where a.city = $1"
parameters = [["city7"]]

[[queries]]
name = "at"
sql = "select p.note from addresses a join people p on p.address_id = a.id where a.id = $1"
parameters = [["4100000917"]]

[[queries]]
name = "between"
sql = "select * from addresses a join people p on p.address_id = a.id where a.id between $1 and $2"
parameters = [["4100001310", "4100131000"], ["4100000000", "4101000000"]]

[[queries]]
name = "frequent"
sql = "select count(*) from people p join parcels q on q.place = p.home where p.id < $1"
parameters = [["1000"], ["50000"]]

[[queries]]
name = "redacted_or_not"
sql = "select count(*) from people p join parcels q on abs(q.place) = p.address_id where p.id < $1"
parameters = [["1000"], ["50000"]]

[[queries]]
name = "written_by"
sql = "select count(*) from posts p join authors a on a.username = p.author where p.author < $1"
parameters = [["Pen8"], ["Pen01"]]

[[queries]]
name = "billed"
sql = """select count(*) from bills i join boxes b on b.mail_region = i.region and b.box = i.mailbox
where i.mailbox < $1"""
parameters = [["8200009000"], ["8200900000"]]

[[queries]]
name = "called"
sql = "select count(*) from calls c join kinds k on k.id = c.phone_kind where k.id > $1"
parameters = [["29990"], ["29000"]]
"#;

#[test]
fn keys_meet_where_one_side_is_redacted() {
    let Some((project, database)) = Project::new("redacted_keys") else { return };
    database.connect().batch_execute(KEYS).unwrap();
    database.connect().batch_execute("vacuum analyze").unwrap();
    project.profile(JOINS);
    let Some(text) = take(&project, "keys.json") else {
        skipped("a snapshot's schema");
        database.drop();
        return;
    };
    let sql = "select distinct address_id::text from people union select id::text from addresses
               union select username from authors union select mailbox::text from bills";
    for row in database.connect().query(sql, &[]).unwrap() {
        let value: String = row.get(0);
        assert!(!text.contains(&value), "{value}");
    }
    let told = verified(&project, "keys.json");
    assert_eq!(told.len(), 16);
    for row in &told {
        assert!(row["fidelity"] == "exact" || row["fidelity"] == "same shape", "{row}\n{told:#?}");
    }
    database.drop();
}

const MADE_OF_SECRETS: &str = "
    create type contact as (mail text, extension int);
    create table people (
      id int primary key, email text, kind text, c contact, doc jsonb, docs jsonb[],
      key2 text generated always as (lower(email)) stored);
    insert into people (id, email, kind, c, doc, docs)
      select i, 'SECRETX' || i % 50, 'kind ' || i % 7, row('SECRETX' || i % 50, 1)::contact,
             jsonb_build_object('mail', 'SECRETX' || i % 50),
             array[jsonb_build_object('mail', 'SECRETX' || i % 50)]
      from generate_series(1, 5000) i;
    create statistics of_docs (mcv) on doc, kind from people;
    create statistics of_parts on (doc -> 'contact'), (jsonb_build_array(doc)) from people;
    create extension hstore;
    create type inner_part as (email text, n int);
    create type outer_part as (i inner_part, n int);
    create table parts as select i as id, row(row('SECRETX' || i % 9, 1)::inner_part, 2)::outer_part
      as nested, array[row('SECRETX' || i % 9, 1)::inner_part] as listed,
      hstore('email', 'SECRETX' || i % 9) as pairs from generate_series(1, 900) i;
    create function taken() returns table (q text) language sql as
      $$ select email from public.people $$;
    create materialized view of_function as select q from taken();
    create view v as select email as login, kind from people;
    create view computed as select login || '!' as shout, kind as \"the kind\" from v;
    create materialized view logins as select email as login, id from people;
    create materialized view of_view as select login as who, kind as login2 from v;
    create materialized view same_name as select login, kind from v;
    create materialized view swapped as
      select p.email as kind, q.kind as other from people p join people q using (id);
    create materialized view of_views as
      select who || shout as joined, \"the kind\" from of_view, computed limit 1000;
    create materialized view of_union as select kind as k from people union select who from of_view;
    create index on logins (login);";

#[test]
fn what_is_made_of_redacted_columns_is_redacted() {
    let Some((project, database)) = Project::new("made_of_secrets") else { return };
    database.connect().batch_execute(MADE_OF_SECRETS).unwrap();
    database.connect().batch_execute("vacuum analyze").unwrap();
    let query = |name: &str, sql: &str| {
        format!("[[queries]]\nname = \"{name}\"\nsql = \"select 1 from {sql}\"\n")
    };
    let queries = [
        query("made", "people where key2 = 'x' or c = null"),
        query("doc", "people where doc = '{}' and kind = 'x'"),
        query("login", "logins where login = 'x' and id > 7"),
        query("parts", "parts where nested = null or listed = null or pairs = ''"),
        query("function", "of_function where q = 'x'"),
        query("who", "of_view where who = 'x'"),
    ]
    .concat();
    let take = |values: &str, redact: &str| {
        project.profile(format!("{redact}{queries}"));
        let said = project.run(&with_pg_dump(&["snapshot", "take", "s.json", "--values", values]));
        said.expect(0, &[]);
        std::fs::read_to_string(project.folder.path().join("s.json")).unwrap().to_lowercase()
    };
    let places = |text: &str| -> Vec<String> {
        let json: Value = serde_json::from_str(text).unwrap();
        let of = |key: &str| json[key].as_array().cloned().unwrap_or_default();
        let secret = |one: &Value| one.to_string().contains("secretx");
        let all = [of("columns"), of("extended")].concat();
        let told = all.iter().filter(|one| secret(one));
        told.map(|one| format!("{} {}", one["relation"], one["column"])).collect()
    };
    // They are otherwise there.
    let open = places(&take("all", "[snapshot]\nredact = []\n"));
    assert!(open.len() >= 17, "{open:#?}");
    for values in ["workload", "all"] {
        let text = take(values, "");
        assert!(!text.contains("secretx"), "{values}: {:#?}", places(&text));
    }
    // What only comes from other columns stays.
    let json: Value = serde_json::from_str(&take("all", "")).unwrap();
    let has_values = |relation: &str, column: &str| {
        let columns = json["columns"].as_array().unwrap().iter();
        let mut of = columns.filter(|one| one["relation"].to_string().contains(relation));
        let of = of.find(|one| one["column"] == column).unwrap();
        of["values"].is_object() && of["is_substituted"] != true
    };
    for (relation, column) in [
        ("of_view", "login2"),
        ("same_name", "kind"),
        ("swapped", "other"),
        ("of_views", "the kind"),
    ] {
        assert!(has_values(relation, column), "{relation}.{column}");
    }
    database.drop();
}
