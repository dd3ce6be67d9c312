//! Which statement of a migration made a query's plan another one. Pure.
//!
//! It is the one about an index that the plan lost, else the one about an index that it gained,
//! else the first that touches one of its tables. Of a query that fails it is the first that takes
//! away what the server misses.

use super::lint::File;
use super::lint::world::{Index as Known, World};
use crate::model::finding::Place;
use crate::model::ident::{Ident, QualifiedName, parse_name};
use crate::query_plan::{Index, Node, QueryPlan};
use crate::sql::Statement;
use crate::sql::index_shape::IndexShape;
use crate::sql::statement::Kind;
use crate::sql::tokens::names;

/// A statement, and what it did to the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blame {
    /// Where it stands.
    pub place: Place,
    /// What it did.
    pub did: Did,
}

/// A plan, or in the server's words why there is none.
pub type Planned<'a> = std::result::Result<&'a QueryPlan, &'a str>;

/// What a statement did to a plan, the surest last.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Did {
    /// Nothing that can be seen: it is the first of its file.
    Unknown,
    /// It touches a table that the plan reads.
    Touched,
    /// It made an index that the plan uses now.
    Made,
    /// It dropped an index that the plan used.
    Dropped(QualifiedName),
    /// It took away, or gave another name or type, to what the query names.
    TookAway,
}

/// The statement of `files` that did most to a plan, where any has one. `world` knows what each of
/// their statements makes and drops.
pub fn blame(files: &[File<'_>], world: &World, sides: [Planned<'_>; 2]) -> Option<Blame> {
    let of_file = |file: &File<'_>| match sides {
        [_, Err(why)] => of_failure(file, sides, why),
        [_, Ok(_)] => of_plan(file, world, sides),
    };
    let mut blames: Vec<Blame> = files.iter().filter_map(of_file).collect();
    // The last of equals: what comes later is what the plan came from.
    let surest = (0..blames.len()).max_by_key(|at| &blames[*at].did)?;
    Some(blames.swap_remove(surest))
}

/// The statement behind which a query has another plan.
fn of_plan(file: &File<'_>, world: &World, sides: [Planned<'_>; 2]) -> Option<Blame> {
    let [before, after] = sides.map(|plan| plan.map(uses).unwrap_or_default());
    let lost = only_in(&before, &after);
    let gained = only_in(&after, &before);
    let is_here = |place: &Place| place.path == file.path;
    let is_among = |uses: &[&Use<'_>], name: &QualifiedName, index: &Known| {
        uses.iter().any(|one| one.is(name, index))
    };
    let mut dropped = world.dropped.iter().filter(|(_, _, place)| is_here(place));
    if let Some((name, _, place)) = dropped.find(|(name, index, _)| is_among(&lost, name, index)) {
        return Some(Blame { place: place.clone(), did: Did::Dropped(name.clone()) });
    }
    let made = world.indexes.iter().filter_map(|(name, index)| {
        let place = index.made.as_ref().filter(|place| is_here(place))?;
        is_among(&gained, name, index).then(|| place.clone())
    });
    if let Some(place) = made.min() {
        return Some(Blame { place, did: Did::Made });
    }
    of_touch(file, sides)
}

/// The first statement that touches a table of the plans, else the first of the file.
fn of_touch(file: &File<'_>, sides: [Planned<'_>; 2]) -> Option<Blame> {
    let tables: Vec<Ident> = sides.into_iter().flatten().flat_map(tables).collect();
    match file.statements.iter().find(|statement| touches(statement, &tables)) {
        Some(statement) => Some(Blame { place: at(file, statement), did: Did::Touched }),
        None => {
            let first = file.statements.first()?;
            Some(Blame { place: at(file, first), did: Did::Unknown })
        }
    }
}

/// The statement behind which a query fails for this reason: the first that names what is missing,
/// with a word for taking something away.
fn of_failure(file: &File<'_>, sides: [Planned<'_>; 2], why: &str) -> Option<Blame> {
    const OF_THE_SERVER: [&str; 9] =
        ["column", "relation", "function", "operator", "schema", "type", "of", "table", "exist"];
    const TAKES_AWAY: [&str; 4] = ["drop", "rename", "type", "schema"];
    let missed = names(why).into_iter().filter(|name| !OF_THE_SERVER.contains(&name.as_str()));
    let missed: Vec<Ident> = missed.collect();
    let takes_away = |statement: &&Statement| {
        let said = said(statement);
        missed.iter().any(&said) && TAKES_AWAY.map(Ident::from_sql).iter().any(&said)
    };
    match file.statements.iter().find(takes_away) {
        Some(statement) => Some(Blame { place: at(file, statement), did: Did::TookAway }),
        None => of_touch(file, sides),
    }
}

/// Whether a statement has a name in it; those that code runs are inside its strings.
fn said(statement: &Statement) -> impl Fn(&Ident) -> bool {
    let words = names(&statement.text);
    let code = if statement.runs_code() { statement.text.as_str() } else { "" };
    let lower = code.to_lowercase();
    move |name| words.contains(name) || name.is_mentioned_in(code) || name.is_mentioned_in(&lower)
}

fn at(file: &File<'_>, statement: &Statement) -> Place {
    Place { path: file.path.to_string(), line: statement.line }
}

/// An index that a plan uses, and the table (at the top, where it is a partition) that it is on.
struct Use<'a> {
    table: &'a str,
    index: &'a Index,
}

impl Use<'_> {
    /// Whether a statement about this index is about it: an index of a partition has another name
    /// than the one that it belongs to.
    fn is(&self, name: &QualifiedName, index: &Known) -> bool {
        let table = index.table.to_string();
        let tail = self.index.definition.trim_start_matches("UNIQUE ");
        let is_alike = || IndexShape::read(tail).is_some_and(|shape| shape == index.shape);
        self.index.name == name.name.as_str() || (self.table == table && is_alike())
    }
}

/// Whether a plan uses the index.
pub fn is_used(plan: &QueryPlan, name: &QualifiedName, index: &Known) -> bool {
    uses(plan).iter().any(|one| one.is(name, index))
}

fn uses(plan: &QueryPlan) -> Vec<Use<'_>> {
    let mut found = Vec::new();
    collect(&plan.root, "", &mut found);
    found
}

fn collect<'a>(node: &'a Node, table: &'a str, found: &mut Vec<Use<'a>>) {
    let table = node.target.as_ref().map_or(table, |target| target.name.as_str());
    found.extend(node.index.iter().map(|index| Use { table, index }));
    node.children.iter().for_each(|child| collect(child, table, found));
}

/// What one plan uses and the other does not.
fn only_in<'u, 'p>(these: &'u [Use<'p>], others: &[Use<'p>]) -> Vec<&'u Use<'p>> {
    let is_same =
        |a: &Use<'_>, b: &Use<'_>| a.table == b.table && a.index.definition == b.index.definition;
    these.iter().filter(|one| !others.iter().any(|other| is_same(one, other))).collect()
}

/// The tables of a plan, without their schemas: a migration may leave these out.
fn tables(plan: &QueryPlan) -> impl Iterator<Item = Ident> + '_ {
    plan.relations.keys().filter_map(|name| parse_name(name)?.pop())
}

fn touches(statement: &Statement, tables: &[Ident]) -> bool {
    let is_meant = |name: &[Ident]| name.last().is_some_and(|name| tables.contains(name));
    let creates = match &statement.kind {
        Kind::CreateIndex(create) => is_meant(&create.table),
        Kind::AddKey(add) => is_meant(&add.table),
        Kind::DropIndex(_)
        | Kind::Reindex(_)
        | Kind::CreateTable(_)
        | Kind::DropTable(_)
        | Kind::TransactionBoundary
        | Kind::Set(_)
        | Kind::AddEnumValue
        | Kind::DetachConcurrently(_)
        | Kind::Alone
        | Kind::Other => false,
    };
    creates
        || statement.locks.iter().any(|lock| is_meant(&lock.table))
        || (statement.runs_code() && tables.iter().any(said(statement)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::lint::lint;
    use crate::model::check::CheckRules;
    use crate::query_plan::{Names, read};
    use crate::sql::parse;

    const BEFORE: &str = "create table app.t (a int, b int) partition by range (a);
        create index t_a on app.t (a); alter table app.t add constraint t_b unique (b, a);";

    /// A plan that reads app.t, a partition of which is `t_1`, with an index of this name on these
    /// columns, or with none.
    fn plan(index: Option<(&str, &str)>) -> QueryPlan {
        let name = |name: &str| QualifiedName::new(Ident::from_sql("app"), Ident::from_sql(name));
        let mut names = Names::default();
        names.roots.insert(name("t_1"), name("t"));
        let scan = match index {
            Some((index, columns)) => {
                names.indexes.insert(name(index), format!("USING btree ({columns})"));
                format!(r#""Index Scan", "Index Name": "{index}""#)
            }
            None => r#""Seq Scan""#.to_string(),
        };
        let json = format!(
            r#"[{{"Plan": {{"Node Type": {scan}, "Schema": "app", "Relation Name": "t_1",
            "Alias": "t_1", "Total Cost": 1, "Plan Rows": 1}}}}]"#
        );
        read(&json, &names).unwrap()
    }

    /// Line and deed of the statement of a migration that is to blame.
    fn blamed(sql: &str, before: &QueryPlan, after: Planned<'_>) -> Option<(usize, Did)> {
        let mut world = World::default();
        parse(BEFORE).unwrap().iter().for_each(|one| world.follow(&one.text, None));
        let statements = parse(sql).unwrap();
        let files = [File { path: "V1.sql", statements: &statements }];
        let world = lint(&files, world, &CheckRules::default()).world;
        blame(&files, &world, [Ok(before), after]).map(|blame| (blame.place.line, blame.did))
    }

    #[test]
    fn an_index_that_is_gone_comes_before_one_that_is_new() {
        let (old, new) = (plan(Some(("t_1_a_idx", "a"))), plan(Some(("t_1_b_idx", "b"))));
        let sql = "select 1;\ncreate index on app.t (b);\ndrop index app.t_a;";
        let Some((3, Did::Dropped(index))) = blamed(sql, &old, Ok(&new)) else { panic!() };
        assert_eq!(index.to_string(), "app.t_a");
        let sql = "select 1;\ncreate index on app.t (b);\nalter table app.t add c int;";
        assert_eq!(blamed(sql, &old, Ok(&new)), Some((2, Did::Made)));
        let sql = "select 1;\nalter table app.t\n  drop constraint t_b;";
        let unique = plan(Some(("t_1_b_a_key", "b, a")));
        assert!(matches!(blamed(sql, &unique, Ok(&plan(None))), Some((3, Did::Dropped(_)))));
    }

    #[test]
    fn else_it_is_what_touches_the_table() {
        let (old, new) = (plan(Some(("t_1_a_idx", "a"))), plan(None));
        let sql = "create table u (a int);\nalter table app.t add c int;\ndrop index u_a;";
        assert_eq!(blamed(sql, &old, Ok(&new)), Some((2, Did::Touched)));
        assert_eq!(blamed("select 1;\nselect 2;", &old, Ok(&new)), Some((1, Did::Unknown)));
        // Code that names the table.
        let sql = "select 1;\n\ndo $$ begin execute 'x' || ' t '; end $$;";
        assert_eq!(blamed(sql, &old, Ok(&new)), Some((3, Did::Touched)));
        let sql = "select 1;\n\ndo $$ begin execute 'the next'; end $$;";
        assert_eq!(blamed(sql, &old, Ok(&new)), Some((1, Did::Unknown)), "no name");
        assert_eq!(blamed("", &old, Ok(&new)), None);
    }

    #[test]
    fn a_query_that_fails_misses_what_was_taken_away() {
        let old = plan(Some(("t_1_a_idx", "a")));
        for (why, sql, expected) in [
            (
                "column t.b does not exist",
                "create index on app.t (b);\ndrop index app.t_a;\nalter table app.t drop b;",
                Some((3, Did::TookAway)),
            ),
            (
                "relation \"t\" does not exist",
                "alter table app.t add c int;\nalter table app.t rename to u;",
                Some((2, Did::TookAway)),
            ),
            (
                "column \"b\" does not exist",
                "alter table u drop c;\ndo $$ begin execute 'ALTER TABLE t DROP b'; end $$;",
                Some((2, Did::TookAway)),
            ),
            (
                "operator does not exist: text = integer",
                "drop index app.t_a;\nalter table app.t alter a type text;",
                Some((2, Did::TookAway)),
            ),
            ("permission denied", "alter table app.t add c int;", Some((1, Did::Touched))),
        ] {
            assert_eq!(blamed(sql, &old, Err(why)), expected, "{why}");
        }
    }
}
