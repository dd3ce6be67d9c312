//! Migrations from templates: which there are, what each needs, and the SQL that comes out.

use minijinja::{Environment, UndefinedBehavior, Value, context};
use squawk_lexer::{LiteralKind, TokenKind};

use super::object_name::{ObjectName, index_name, parse_single, with_suffix};
use crate::error::{Error, Result};
use crate::model::ident::Ident;
use crate::model::suggest::nearest;

/// A template for a migration.
#[derive(Debug)]
pub struct Template {
    /// What users call it; also the file's name without `.sql`.
    pub name: &'static str,
    /// What it makes, in one line.
    pub about: &'static str,
    /// What must be given.
    pub needs: &'static [Need],
    /// The built-in text.
    pub sql: &'static str,
}

/// Something a template needs to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The table.
    Table,
    /// One or more columns.
    Column,
    /// A condition.
    Where,
    /// The index to drop.
    Index,
    /// The first month.
    From,
    /// How many months.
    Months,
    /// How many hash partitions.
    Partitions,
}

const ALL_NEEDS: [Need; 7] = [
    Need::Table,
    Need::Column,
    Need::Where,
    Need::Index,
    Need::From,
    Need::Months,
    Need::Partitions,
];

impl Need {
    /// The flag that gives it, with an example.
    pub fn flag(self) -> &'static str {
        match self {
            Need::Table => "--table orders",
            Need::Column => "--column created_at",
            Need::Where => "--where 'not is_read'",
            Need::Index => "--name orders_created_at_idx",
            Need::From => "--from 2026-01",
            Need::Months => "--months 12",
            Need::Partitions => "--partitions 8",
        }
    }

    /// The question to ask for it.
    pub fn question(self) -> &'static str {
        match self {
            Need::Table => "Table (name or schema.name)",
            Need::Column => "Columns (separated by commas)",
            Need::Where => "Condition (SQL)",
            Need::Index => "Index (name or schema.name)",
            Need::From => "First month (YYYY-MM)",
            Need::Months => "How many months",
            Need::Partitions => "How many partitions",
        }
    }
}

/// All templates, in the order to show them.
pub const TEMPLATES: &[Template] = &[
    Template {
        name: "empty",
        about: "nothing but a comment",
        needs: &[],
        sql: include_str!("../../templates/migration/empty.sql"),
    },
    Template {
        name: "index",
        about: "b-tree index",
        needs: &[Need::Table, Need::Column],
        sql: include_str!("../../templates/migration/index.sql"),
    },
    Template {
        name: "partial-index",
        about: "b-tree index over the rows that meet a condition",
        needs: &[Need::Table, Need::Column, Need::Where],
        sql: include_str!("../../templates/migration/partial-index.sql"),
    },
    Template {
        name: "brin",
        about: "block range index, for columns that follow the order of the rows",
        needs: &[Need::Table, Need::Column],
        sql: include_str!("../../templates/migration/brin.sql"),
    },
    Template {
        name: "gin",
        about: "inverted index, for jsonb, arrays and text search",
        needs: &[Need::Table, Need::Column],
        sql: include_str!("../../templates/migration/gin.sql"),
    },
    Template {
        name: "unlogged-staging",
        about: "unlogged table to copy into, and a function that moves its rows on",
        needs: &[Need::Table],
        sql: include_str!("../../templates/migration/unlogged-staging.sql"),
    },
    Template {
        name: "monthly-partitions",
        about: "RANGE partitions by month",
        needs: &[Need::Table, Need::From, Need::Months],
        sql: include_str!("../../templates/migration/monthly-partitions.sql"),
    },
    Template {
        name: "hash-partitions",
        about: "all HASH partitions of a table",
        needs: &[Need::Table, Need::Partitions],
        sql: include_str!("../../templates/migration/hash-partitions.sql"),
    },
    Template {
        name: "drop-index",
        about: "drops an index",
        needs: &[Need::Index],
        sql: include_str!("../../templates/migration/drop-index.sql"),
    },
];

/// What was asked for, as typed.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The migration's name, as in its file.
    pub name: String,
    /// `--table`
    pub table: Option<String>,
    /// `--column`
    pub columns: Vec<String>,
    /// `--where`
    pub predicate: Option<String>,
    /// `--name`
    pub index: Option<String>,
    /// `--from`
    pub from: Option<String>,
    /// `--months`
    pub months: Option<u32>,
    /// `--partitions`
    pub partitions: Option<u32>,
}

impl Options {
    fn has(&self, need: Need) -> bool {
        match need {
            Need::Table => self.table.is_some(),
            Need::Column => !self.columns.is_empty(),
            Need::Where => self.predicate.is_some(),
            Need::Index => self.index.is_some(),
            Need::From => self.from.is_some(),
            Need::Months => self.months.is_some(),
            Need::Partitions => self.partitions.is_some(),
        }
    }
}

/// The template of that name; the error suggests the nearest and lists all.
pub fn find(name: &str) -> Result<&'static Template> {
    TEMPLATES.iter().find(|template| template.name == name).ok_or_else(|| {
        let error = Error::usage(format!("there is no template \"{name}\""));
        let names: Vec<&str> = TEMPLATES.iter().map(|template| template.name).collect();
        match nearest(name, names.iter().copied()) {
            Some(known) => error.hint(format!("did you mean {known}?")),
            None => error.hint(format!("there are: {}", names.join(", "))),
        }
    })
}

/// What the template needs and `options` do not say.
pub fn missing(template: &Template, options: &Options) -> Vec<Need> {
    template.needs.iter().copied().filter(|need| !options.has(*need)).collect()
}

/// Errors where something was given that the built-in template does not use.
pub fn refuse_unused(template: &Template, options: &Options) -> Result<()> {
    // Every new index may have a name.
    let may_use = |need| need == Need::Index && template.needs.contains(&Need::Column);
    let unused =
        |need: &&Need| options.has(**need) && !template.needs.contains(need) && !may_use(**need);
    let Some(need) = ALL_NEEDS.iter().find(unused) else { return Ok(()) };
    let flag = need.flag().split(' ').next().unwrap_or_default();
    Err(Error::usage(format!("the template {} has no use for {flag}", template.name)))
}

/// Writes the migration's SQL: from `own`, the user's text for this template, or the built-in.
///
/// Errors are the user's: something is missing, a name is none, the template does not render.
pub fn render(template: &Template, own: Option<&str>, options: &Options) -> Result<String> {
    let missing = missing(template, options);
    if !missing.is_empty() {
        let flags = |needs: &[Need]| needs.iter().map(|n| n.flag()).collect::<Vec<_>>().join(" ");
        let error = Error::usage(format!("the template {} needs more", template.name))
            .hint(format!("add: {}", flags(&missing)));
        return Err(if missing.len() == template.needs.len() {
            error
        } else {
            error.hint(format!("all it needs: {}", flags(template.needs)))
        });
    }
    let file = format!("{}.sql", template.name);
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment
        .render_named_str(&file, own.unwrap_or(template.sql), values(template, options)?)
        .map(|text| format!("{}\n", text.trim_end()))
        .map_err(|error| explain(&file, &error))
}

fn explain(file: &str, error: &minijinja::Error) -> Error {
    let line = error.line().map_or_else(String::new, |line| format!(":{line}"));
    let detail = error.detail().map_or_else(String::new, |detail| format!(": {detail}"));
    Error::usage(format!("the template {file}{line} does not render: {}{detail}", error.kind()))
        .hint("it may use name, table, columns, index, predicate, staging, function, partitions")
}

/// What a template may use. Names are quoted here, so that no template can forget to.
fn values(template: &Template, options: &Options) -> Result<Value> {
    let table =
        options.table.as_deref().map(|text| ObjectName::parse("--table", text)).transpose()?;
    let columns: Vec<Ident> =
        options.columns.iter().map(|text| parse_single("--column", text)).collect::<Result<_>>()?;
    let predicate = options.predicate.as_deref().map(check_predicate).transpose()?;
    let index = match (&options.index, &table) {
        (Some(text), _) if template.needs.contains(&Need::Index) => {
            Some(ObjectName::parse("--name", text)?.to_string())
        }
        (Some(text), _) => Some(parse_single("--name", text)?.to_string()),
        (None, Some(table)) if !columns.is_empty() => {
            Some(index_name(&table.name, &columns).to_string())
        }
        (None, _) => None,
    };
    let beside = |label: &str| {
        table.as_ref().map(|table| table.sibling(with_suffix(&table.name, label)).to_string())
    };
    let partitions = match &table {
        Some(table) => partitions(table, options)?,
        None => Vec::new(),
    };
    Ok(context! {
        name => options.name.as_str(),
        table => table.as_ref().map(ObjectName::to_string),
        columns => columns.iter().map(Ident::to_string).collect::<Vec<_>>(),
        predicate => predicate,
        index => index,
        staging => beside("staging"),
        function => beside("flush"),
        partitions => partitions,
    })
}

/// Months or remainders, whichever was asked for.
fn partitions(table: &ObjectName, options: &Options) -> Result<Vec<Value>> {
    if let (Some(from), Some(months)) = (&options.from, options.months) {
        let first = parse_month(from)?;
        check_count("--months", months)?;
        return Ok((first..first + months).map(|month| monthly(table, month)).collect());
    }
    let Some(modulus) = options.partitions else { return Ok(Vec::new()) };
    check_count("--partitions", modulus)?;
    Ok((0..modulus).map(|remainder| hashed(table, modulus, remainder)).collect())
}

fn check_count(flag: &str, count: u32) -> Result<()> {
    match count {
        1..=1000 => Ok(()),
        _ => Err(Error::usage(format!("{flag} {count}: from 1 to 1000 can be made at a time"))),
    }
}

/// Months since the year 0, from `YYYY-MM`.
fn parse_month(text: &str) -> Result<u32> {
    let wrong =
        || Error::usage(format!("--from {text}: write year and month, for example 2026-01"));
    let (year, month) = text.split_once('-').ok_or_else(wrong)?;
    let number = |digits: &str, length: usize| {
        let is_number = digits.len() == length && digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse::<u32>().ok().filter(|_| is_number)
    };
    match (number(year, 4), number(month, 2)) {
        (Some(year @ 1..=9899), Some(month @ 1..=12)) => Ok(year * 12 + month - 1),
        _ => Err(wrong()),
    }
}

/// A partition as templates see it: its name, first day, and the first day behind it.
fn monthly(table: &ObjectName, month: u32) -> Value {
    let day = |month: u32| format!("{:04}-{:02}-01", month / 12, month % 12 + 1);
    let label = format!("{:04}_{:02}", month / 12, month % 12 + 1);
    let name = table.sibling(with_suffix(&table.name, &label)).to_string();
    context! { table => name, from => day(month), to => day(month + 1) }
}

/// A partition as templates see it: its name and its part of the hash.
fn hashed(table: &ObjectName, modulus: u32, remainder: u32) -> Value {
    let name = table.sibling(with_suffix(&table.name, &format!("p{remainder}"))).to_string();
    context! { table => name, modulus => modulus, remainder => remainder }
}

/// A condition must end where it ends: no semicolon, no comment, nothing left open.
fn check_predicate(text: &str) -> Result<String> {
    let wrong = |what: &str| Error::usage(format!("--where {text}: {what}"));
    let mut depth = 0_i32;
    for token in squawk_lexer::tokenize(text) {
        if let Some(what) = out_of_place(token.kind) {
            return Err(wrong(what));
        }
        depth += i32::from(token.kind == TokenKind::OpenParen);
        depth -= i32::from(token.kind == TokenKind::CloseParen);
        if depth < 0 {
            break;
        }
    }
    match depth {
        _ if text.trim().is_empty() => Err(wrong("the condition is empty")),
        0 => Ok(text.trim().to_string()),
        _ => Err(wrong("its parentheses do not match")),
    }
}

fn out_of_place(kind: TokenKind) -> Option<&'static str> {
    if kind == TokenKind::Semi {
        Some("a condition holds no semicolon")
    } else if matches!(kind, TokenKind::LineComment | TokenKind::BlockComment { .. }) {
        Some("a condition holds no comment")
    } else if matches!(kind, TokenKind::QuotedIdent { terminated: false, .. }) {
        Some("a quoted name has no end")
    } else if matches!(kind, TokenKind::Literal { kind } if !is_terminated(kind)) {
        Some("a string has no end")
    } else {
        None
    }
}

fn is_terminated(kind: LiteralKind) -> bool {
    match kind {
        LiteralKind::Int { .. } | LiteralKind::Numeric { .. } => true,
        LiteralKind::Str { terminated }
        | LiteralKind::NationalStr { terminated }
        | LiteralKind::ByteStr { terminated }
        | LiteralKind::BitStr { terminated }
        | LiteralKind::DollarQuotedString { terminated }
        | LiteralKind::UnicodeEscStr { terminated }
        | LiteralKind::EscStr { terminated } => terminated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options {
            name: "a_change".into(),
            table: Some("app.events".into()),
            columns: vec!["app_id".into(), "Order".into()],
            predicate: Some("not is_read".into()),
            index: None,
            from: Some("2025-12".into()),
            months: Some(2),
            partitions: None,
        }
    }

    fn sql(name: &str, options: &Options) -> String {
        let text = render(find(name).unwrap(), None, options).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with("--"));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn renders_each_index() {
        let options = options();
        assert_eq!(
            sql("index", &options),
            "create index events_app_id_order_idx on app.events (app_id, \"order\");"
        );
        assert_eq!(
            sql("partial-index", &options),
            "create index events_app_id_order_idx on app.events (app_id, \"order\")\n    \
             where not is_read;"
        );
        assert!(sql("brin", &options).contains("on app.events using brin (app_id, \"order\")"));
        assert!(sql("gin", &options).contains("using gin (app_id, \"order\");"));
        let named = Options { index: Some("My_Index".into()), ..options.clone() };
        assert!(sql("gin", &named).starts_with("create index my_index on app.events"));
        let elsewhere = Options { index: Some("app.i".into()), ..options.clone() };
        assert!(render(find("gin").unwrap(), None, &elsewhere).is_err());
        let drop = Options { index: Some("app.\"Old\"".into()), ..options };
        assert_eq!(sql("drop-index", &drop), "drop index app.\"Old\";");
    }

    #[test]
    fn renders_partitions() {
        assert_eq!(
            sql("monthly-partitions", &options()),
            "\
create table app.events_2025_12 (like app.events including all excluding identity);
alter table app.events attach partition app.events_2025_12
    for values from ('2025-12-01 00:00:00+00') to ('2026-01-01 00:00:00+00');

create table app.events_2026_01 (like app.events including all excluding identity);
alter table app.events attach partition app.events_2026_01
    for values from ('2026-01-01 00:00:00+00') to ('2026-02-01 00:00:00+00');"
        );
        let hash = Options { from: None, partitions: Some(2), ..options() };
        assert_eq!(
            sql("hash-partitions", &hash),
            "\
create table app.events_p0 partition of app.events
    for values with (modulus 2, remainder 0);
create table app.events_p1 partition of app.events
    for values with (modulus 2, remainder 1);"
        );
    }

    #[test]
    fn every_template_renders_and_its_sql_parses() {
        for template in TEMPLATES {
            let options = Options { index: Some("an_index".into()), ..options() };
            let is_hash = template.needs.contains(&Need::Partitions);
            let options = Options { partitions: Some(3), ..options };
            let options = if is_hash { Options { from: None, ..options } } else { options };
            let text = render(template, None, &options).unwrap();
            assert!(text.ends_with('\n') && !text.contains("\n\n\n"), "{text}");
            let parse = squawk_syntax::SourceFile::parse(&text);
            assert_eq!(parse.errors(), Vec::new(), "{}", template.name);
        }
    }

    #[test]
    fn says_what_is_missing() {
        let error = render(find("partial-index").unwrap(), None, &Options::default()).unwrap_err();
        assert_eq!(error.message, "the template partial-index needs more");
        assert_eq!(error.hints[0], "add: --table orders --column created_at --where 'not is_read'");
        assert_eq!(find("partial_index").unwrap_err().hints, ["did you mean partial-index?"]);
        assert!(find("x").unwrap_err().hints[0].starts_with("there are: empty, index"));
    }

    #[test]
    fn refuses_what_would_leave_its_place() {
        for bad in ["true; drop table x", "a -- b", "a /* b */", "a)", "(a", "'a", "\"a", "$$a", ""]
        {
            assert!(check_predicate(bad).is_err(), "{bad}");
        }
        assert!(check_predicate("note = ';--' and (a or \"b;\" > 1)").is_ok());
        for bad in ["2025", "2025-13", "25-01", "2025-1", "2025-01-01", "9999-01", "+025-01"] {
            assert!(parse_month(bad).is_err(), "{bad}");
        }
        assert!(check_count("--months", 0).is_err() && check_count("--months", 1001).is_err());
    }

    #[test]
    fn users_templates_replace_the_built_in_ones() {
        let index = find("index").unwrap();
        let own = render(index, Some("-- ours\nselect '{{ table }}';\n"), &options()).unwrap();
        assert_eq!(own, "-- ours\nselect 'app.events';\n");
        let error = render(index, Some("\n{{ tabel }}"), &options()).unwrap_err();
        assert!(error.message.starts_with("the template index.sql:2 does not render"), "{error}");
    }
}
