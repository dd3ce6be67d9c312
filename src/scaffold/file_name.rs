//! Migration file names as refinery reads them: `V3__add_indexes.sql`.
//!
//! refinery's rule (`refinery_core/src/util.rs`): `^([U|V])(\d+(?:\.\d+)?)__(\w+)` before `.sql`
//! or `.rs`.

use crate::error::{Error, Result};

/// The version after the highest of the files' versions; 1 where there are none.
///
/// Zeros in front are kept up: `V001__a.sql` is followed by `002`. Other files do not count.
pub fn next_version<'a>(file_names: impl Iterator<Item = &'a str>) -> Result<String> {
    let highest = file_names.filter_map(version_digits).max_by_key(|(version, _)| *version);
    let Some((version, digits)) = highest else { return Ok("1".to_string()) };
    let next = version.checked_add(1).ok_or_else(|| {
        Error::usage(format!("no version follows {version}")).hint("name one with --timestamp")
    })?;
    let width = if digits.starts_with('0') { digits.len() } else { 0 };
    Ok(format!("{next:0width$}"))
}

/// The version of a migration file, as number and as written; `None` for other files.
pub fn version_digits(file_name: &str) -> Option<(i64, &str)> {
    let stem = file_name.strip_suffix(".sql").or_else(|| file_name.strip_suffix(".rs"))?;
    let (version, name) = stem.strip_prefix(['V', 'U'])?.split_once("__")?;
    let digits = version.split_once('.').map_or(version, |(whole, _)| whole);
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !is_number || !name.chars().all(is_word) || name.is_empty() {
        return None;
    }
    Some((digits.parse().ok()?, digits))
}

/// The file for a version and a name that [`migration_name`] gave.
pub fn file_name(version: &str, name: &str) -> String {
    format!("V{version}__{name}.sql")
}

/// Turns what was typed into a name that refinery accepts: `add an index!` becomes
/// `add_an_index`.
///
/// Errors where nothing is left, or the file name would pass the usual limit of 255 bytes.
pub fn migration_name(typed: &str) -> Result<String> {
    let words = typed.split(|c: char| !is_word(c)).filter(|word| !word.is_empty());
    let name = words.collect::<Vec<_>>().join("_");
    if name.trim_matches('_').is_empty() {
        return Err(Error::usage(format!(
            "\"{typed}\" holds no letter or digit to name a file by"
        ))
        .hint("name the migration by what it does, for example add_orders_index"));
    }
    if name.len() > 200 {
        return Err(Error::usage(format!(
            "the migration's name is {} bytes long; 200 are the limit",
            name.len()
        )));
    }
    Ok(name)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_version_follows_the_highest() {
        let next = |names: &[&str]| next_version(names.iter().copied()).unwrap();
        assert_eq!(next(&[]), "1");
        assert_eq!(next(&["V2__b.sql", "V10__c.sql", "V9__a.sql"]), "11");
        assert_eq!(next(&["V1__a.sql", "U7__late.sql", "V3__code.rs"]), "8");
        assert_eq!(next(&["V001__a.sql", "V009__b.sql"]), "010");
        assert_eq!(next(&["V20260101093000__a.sql"]), "20260101093001");
        assert_eq!(next(&["README.md", "V5_a.sql", "V__a.sql", "Vx__a.sql", "V6__a b.sql"]), "1");
        assert!(next_version([format!("V{}__a.sql", i64::MAX).as_str()].into_iter()).is_err());
    }

    #[test]
    fn names_become_what_refinery_accepts() {
        for (typed, name) in [
            ("add_index", "add_index"),
            ("add an index!", "add_an_index"),
            ("  orders/2026-11 ", "orders_2026_11"),
            ("../../etc/passwd", "etc_passwd"),
            ("größe", "größe"),
        ] {
            assert_eq!(migration_name(typed).unwrap(), name);
            assert!(version_digits(&file_name("1", name)).is_some());
        }
        for bad in ["", " ", "--", "__", &"x".repeat(201)] {
            assert!(migration_name(bad).is_err(), "{bad}");
        }
    }
}
