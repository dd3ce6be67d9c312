//! Each tool's rows and files, and what comes of them.

use super::*;
use crate::model::ident::{Ident, QualifiedName};
use crate::model::migration::{Checksums, VersionWidth};
use crate::profile::Limits;

fn our(stem: &str, text: &str) -> OurFile {
    let id = MigrationId::from_file_stem(stem).unwrap();
    let checksums = Checksums::of(&id, text);
    let file = MigrationFile { id, path: format!("{stem}.sql"), checksums };
    OurFile { file, text: text.to_string() }
}

fn old(tool: Tool, name: &str, text: &str) -> OldFile {
    old_file(tool, &format!("old/{name}"), name, text.to_string()).unwrap().unwrap()
}

fn row(version: &str, checksum: &str) -> ForeignRow {
    let (version, checksum) = (version.to_string(), checksum.to_string());
    ForeignRow { version, checksum, finished: true, ..ForeignRow::default() }
}

/// The adoption as lines: "V1__a verified", then "Error check subject".
fn check(tool: Tool, rows: &[ForeignRow], ours: &[OurFile], old: &[OldFile]) -> Vec<String> {
    let files: Vec<MigrationFile> = ours.iter().map(|our| our.file.clone()).collect();
    let ledger = Ledger {
        files: &files,
        history: &History::default(),
        table: &QualifiedName::new(Ident::from_sql("public"), Ident::from_sql("h")),
        new_width: VersionWidth::Int8,
        limits: &Limits::default(),
    };
    let adoption = adopt(tool, rows, ours, old, &ledger);
    let evidence = adoption.evidence.iter().map(|told| {
        let word = if told.verified { "verified" } else { "believed" };
        format!("{} {word}", told.migration)
    });
    let findings = adoption.planned.findings.iter();
    let findings = findings
        .filter(|f| !["verified", "believed"].contains(&f.check.as_str()))
        .map(|f| format!("{:?} {} {}", f.severity, f.check, f.subject));
    evidence.chain(findings).collect()
}

/// "123456789" is the check input of every CRC catalogue: CRC-32 gives 0xCBF43926.
#[test]
fn flyways_checksum_is_crc_32_of_the_lines() {
    let expected = 0xCBF4_3926_u32.cast_signed().to_string();
    assert_eq!(expected, "-873187034");
    for text in ["123456789", "1234\n56789\n", "1234\r\n56789\r\n", "\u{feff}12\r3456789\n\n"] {
        assert_eq!(flyway::checksum(text), expected, "{text:?}");
    }
    assert_eq!(flyway::checksum(""), "0");
}

/// FIPS 180-4's example for SHA-384 is "abc".
#[test]
fn sqlx_checksum_is_sha_384() {
    let expected = "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
                    8086072ba1e7cc2358baeca134c825a7";
    assert_eq!(sqlx::checksum("abc"), expected);
}

#[test]
fn refinerys_rows_are_verified_at_their_width() {
    let ours = [our("V1__a", "select 1;"), our("V2__b", "select 2;")];
    let sum = ours[0].file.checksums.int4.unwrap().to_string();
    let first = ForeignRow { kind: "integer".to_string(), ..row("1", &sum) };
    assert_eq!(check(Tool::Refinery, std::slice::from_ref(&first), &ours, &[]), ["V1__a verified"]);
    let wide = ForeignRow { kind: "bigint".to_string(), ..first };
    assert_eq!(
        check(Tool::Refinery, &[wide], &ours, &[]),
        ["Error divergent-migration V1__a"],
        "the checksum of one width is none of the other's"
    );
}

#[test]
fn flyways_rows_are_verified_undone_baselined_and_refused() {
    let sql = |version: &str, text: &str| ForeignRow {
        kind: "SQL".to_string(),
        file: format!("V{version}__x.sql"),
        ..row(version, &flyway::checksum(text))
    };
    let ours = [our("V1__x", "one\r\n"), our("V2__x", "two"), our("V3__x", "three")];
    let undo = ForeignRow { kind: "UNDO_SQL".to_string(), ..sql("2", "") };
    let theirs = old(Tool::Flyway, "V1__x.sql", "\u{feff}one\n");
    let found = check(Tool::Flyway, &[sql("1", "one")], &ours[..1], &[theirs]);
    assert_eq!(found, ["V1__x verified"], "line ends make no other migration");
    let schema = ForeignRow { kind: "SCHEMA".to_string(), ..row("", "") };
    let rows = [schema, sql("1", "one\n"), sql("2", "two"), undo];
    assert_eq!(check(Tool::Flyway, &rows, &ours, &[]), ["V1__x verified"]);
    let baseline = ForeignRow { kind: "BASELINE".to_string(), ..row("2", "") };
    let rows = [baseline, sql("3", "three")];
    assert_eq!(
        check(Tool::Flyway, &rows, &ours, &[]),
        ["V1__x believed", "V2__x believed", "V3__x verified"]
    );
    let failed = ForeignRow { finished: false, ..sql("2", "two") };
    let rows = [sql("1", "other"), failed, sql("1.2", ""), sql("", ""), sql("9", "")];
    assert_eq!(
        check(Tool::Flyway, &rows, &ours, &[]),
        [
            "Error failed-row flyway V2__x.sql",
            "Error unmapped-row flyway V1.2__x.sql",
            "Warning unmapped-row flyway V__x.sql",
            "Warning row-without-file flyway V9__x.sql",
            "Error divergent-migration V1__x",
        ]
    );
}

#[test]
fn sqlx_rows_are_verified_by_our_files_or_theirs() {
    let ours = [our("V20260101000000__a", "abc"), our("V20260102000000__b", "reworded")];
    let theirs = old(Tool::Sqlx, "20260102000000_b.up.sql", "original");
    let rows = [
        row("20260101000000", &sqlx::checksum("abc")),
        row("20260102000000", &sqlx::checksum("original")),
    ];
    assert_eq!(
        check(Tool::Sqlx, &rows, &ours, &[theirs]),
        [
            "V20260101000000__a verified",
            "V20260102000000__b verified",
            "Warning rewritten-migration V20260102000000__b"
        ]
    );
    assert_eq!(
        check(Tool::Sqlx, &rows[1..], &ours[1..], &[]),
        ["Error divergent-migration V20260102000000__b"]
    );
    let begun = ForeignRow { finished: false, ..rows[0].clone() };
    assert_eq!(
        check(Tool::Sqlx, &[begun], &ours[..1], &[]),
        ["Error failed-row sqlx 20260101000000_"]
    );
}

#[test]
fn golang_migrates_row_covers_all_before_it() {
    let ours = [our("V1__a", "1"), our("V2__b", "2"), our("V3__c", "3")];
    let rows = [row("2", "")];
    assert_eq!(check(Tool::GolangMigrate, &rows, &ours, &[]), ["V1__a believed", "V2__b believed"]);
    let dirty = ForeignRow { finished: false, ..row("2", "") };
    let expected = ["Error failed-row golang-migrate version 2"];
    assert_eq!(check(Tool::GolangMigrate, &[dirty], &ours, &[]), expected);
    let found = check(Tool::GolangMigrate, &[row("20260101", "")], &ours, &[]);
    assert_eq!(found[3], "Error row-without-file golang-migrate version 20260101");
}

#[test]
fn dbmates_versions_are_believed_and_gaps_are_late() {
    let ours = [our("V1__a", "1"), our("V2__b", "2"), our("V3__c", "3")];
    assert_eq!(
        check(Tool::Dbmate, &[row("1", ""), row("3", "")], &ours, &[]),
        ["V1__a believed", "V3__c believed", "Warning late-migration V2__b"]
    );
}

#[test]
fn dbmates_up_section_is_cut_out() {
    let text = "-- header\n-- migrate:up transaction:false\nup 1;\nup 2;\n\n-- migrate:down\nno;\n";
    assert_eq!(dbmate::up_section(text), "up 1;\nup 2;\n\n");
    assert_eq!(dbmate::up_section("--migrate:up\r\nup;\r\n--migrate:down\r\n"), "up;\r\n");
    assert_eq!(dbmate::up_section("all;"), "all;");
    let words = "-- migrate:up\n-- migrate:update is no mark\n";
    assert_eq!(dbmate::up_section(words), "-- migrate:update is no mark\n");
}

#[test]
fn liquibases_change_sets_are_found_by_file_or_id() {
    let set = |file: &str, id: &str, kind: &str| ForeignRow {
        file: file.to_string(),
        name: id.to_string(),
        kind: kind.to_string(),
        finished: kind != "FAILED",
        ..ForeignRow::default()
    };
    let text =
        "--liquibase formatted sql\n--changeset ann:a\n1\n-- changeset ann:b splitStatements";
    let ours = [our("V1__a", text), our("V2__b", "2"), our("V3__c", "3")];
    let rows = [
        set("db/001-first.sql", "a", "EXECUTED"),
        set("db/001-first.sql", "b", "RERAN"),
        set("db.changelog-master.xml", "2", "MARK_RAN"),
        set("db.changelog-master.xml", "3", "SKIPPED"),
    ];
    assert_eq!(
        check(Tool::Liquibase, &rows, &ours, &[]),
        [
            "V1__a believed",
            "V2__b believed",
            "Warning skipped-row liquibase db.changelog-master.xml::3"
        ]
    );
    assert_eq!(check(Tool::Liquibase, &rows[..1], &ours[..1], &[]), ["Error partly-applied V1__a"]);
    let rows = [set("master.xml", "raw", "EXECUTED"), set("1.xml", "x", "FAILED")];
    assert_eq!(
        check(Tool::Liquibase, &rows, &ours[1..2], &[]),
        ["Error unmapped-row liquibase master.xml::raw", "Error failed-row liquibase 1.xml::x"]
    );
}

#[test]
fn old_files_get_names_of_refinery() {
    for (tool, name, expected) in [
        (Tool::Refinery, "V1__a.sql", "V1__a"),
        (Tool::Flyway, "V007__add users!.sql", "V7__add_users"),
        (Tool::Sqlx, "20260101000000_add-users.sql", "V20260101000000__add_users"),
        (Tool::Sqlx, "1_a.up.sql", "V1__a"),
        (Tool::GolangMigrate, "000001_a.up.sql", "V1__a"),
        (Tool::Dbmate, "20260101_.sql", "V20260101__migration"),
        (Tool::Liquibase, "001-first.sql", "V1__first"),
    ] {
        assert_eq!(old(tool, name, "").id.to_string(), expected);
    }
    for (tool, name) in [
        (Tool::Flyway, "U1__a.sql"),
        (Tool::Sqlx, "1_a.down.sql"),
        (Tool::GolangMigrate, "1_a.down.sql"),
        (Tool::Dbmate, "README.sql"),
    ] {
        assert_eq!(old_file(tool, name, name, String::new()), Ok(None), "{name}");
    }
    for (tool, name) in [
        (Tool::Flyway, "V1.2__a.sql"),
        (Tool::Flyway, "R__view.sql"),
        (Tool::Sqlx, "99999999999999999999_a.sql"),
        (Tool::Liquibase, "changes.sql"),
    ] {
        let finding = old_file(tool, name, name, String::new()).unwrap_err();
        assert_eq!((finding.check.as_str(), finding.subject.as_str()), ("unmapped-file", name));
    }
}
