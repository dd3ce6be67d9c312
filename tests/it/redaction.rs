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
    assert!(told.len() >= 19, "{said}");
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
    database.drop();
}
