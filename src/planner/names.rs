//! Names PostgreSQL would choose: what pgtune builds is called what plain SQL would call it.

use crate::model::catalog::Catalog;
use crate::model::ident::{Ident, MAX_IDENT_BYTES, QualifiedName, truncate};

/// The name `CREATE INDEX` without a name would get: `ChooseIndexName` in indexcmds.c.
///
/// `label` is "idx" for an index, "key" for a unique constraint, "pkey" for a primary key, which
/// leaves the columns out.
pub fn index_name(
    catalog: &Catalog,
    table: &QualifiedName,
    columns: &[Ident],
    label: &str,
) -> QualifiedName {
    index_names(table, columns, label)
        .find(|name| is_free(catalog, name))
        .expect("some number is free")
}

/// The names that are tried, in order; there is no end of them.
pub fn index_names(
    table: &QualifiedName,
    columns: &[Ident],
    label: &str,
) -> impl Iterator<Item = QualifiedName> {
    let middle = if label == "pkey" { String::new() } else { column_part(columns) };
    (0..).map(move |pass: u32| {
        let label = if pass == 0 { label.to_string() } else { format!("{label}{pass}") };
        table.sibling(object_name(table.name.as_str(), &middle, &label))
    })
}

/// Whether no table and no index has the name.
pub fn is_free(catalog: &Catalog, name: &QualifiedName) -> bool {
    !catalog.indexes.contains_key(name) && !catalog.relations.contains_key(name)
}

/// `ChooseIndexNameAddition`: the columns joined by underscores.
fn column_part(columns: &[Ident]) -> String {
    let names: Vec<&str> = columns.iter().map(Ident::as_str).collect();
    truncate(&names.join("_"), MAX_IDENT_BYTES).to_string()
}

/// `makeObjectName`: shortens the longer of the two parts until all fits.
fn object_name(first: &str, second: &str, label: &str) -> Ident {
    let underscores = if second.is_empty() { 1 } else { 2 };
    let room = MAX_IDENT_BYTES - label.len() - underscores;
    let (mut first_bytes, mut second_bytes) = (first.len(), second.len());
    while first_bytes + second_bytes > room {
        if first_bytes > second_bytes { first_bytes -= 1 } else { second_bytes -= 1 }
    }
    let (first, second) = (truncate(first, first_bytes), truncate(second, second_bytes));
    let name = match second {
        "" => format!("{first}_{label}"),
        second => format!("{first}_{second}_{label}"),
    };
    Ident::new(name).expect("it was cut to fit")
}

/// Numbers repeated column names as `ChooseIndexColumnNames` does: a, a1, a2.
pub fn distinct_columns(columns: &[String]) -> Vec<Ident> {
    let mut chosen: Vec<Ident> = Vec::new();
    for column in columns {
        let name = (0..)
            .map(|pass: u32| {
                let number = if pass == 0 { String::new() } else { pass.to_string() };
                let kept = truncate(column, MAX_IDENT_BYTES - number.len());
                Ident::new(format!("{kept}{number}")).expect("it was cut to fit")
            })
            .find(|name| !chosen.contains(name))
            .expect("some number is free");
        chosen.push(name);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(table: &str, columns: &[&str], label: &str) -> String {
        let table = QualifiedName::new(Ident::from_sql("s"), Ident::from_sql(table));
        let columns: Vec<Ident> = columns.iter().map(|c| Ident::from_sql(c)).collect();
        index_name(&Catalog::default(), &table, &columns, label).name.as_str().to_string()
    }

    #[test]
    fn follows_the_server() {
        assert_eq!(
            name("events", &["app_id", "created_at"], "idx"),
            "events_app_id_created_at_idx"
        );
        assert_eq!(name("events", &["id"], "pkey"), "events_pkey");
        let long = name(&"t".repeat(60), &[&"c".repeat(60)], "idx");
        assert_eq!(long, format!("{}_{}_idx", "t".repeat(29), "c".repeat(29)));
    }

    #[test]
    fn repeated_columns_are_numbered() {
        let columns = ["expr", "a", "expr", "expr"].map(str::to_string);
        let names: Vec<String> =
            distinct_columns(&columns).iter().map(|i| i.as_str().to_string()).collect();
        assert_eq!(names, ["expr", "a", "expr1", "expr2"]);
    }
}
