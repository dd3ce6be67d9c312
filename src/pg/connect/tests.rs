//! Tables for what is pure here: strings, layers, files, and that no password is ever shown.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::conninfo::parse;
use super::source::{Candidates, Environment, Found, Given, resolve};
use super::target::{Host, Keepalives, SessionKind, Target};
use super::tls::{Mode, Roots};
use crate::error::{Error, Kind};
use crate::profile::secret::mask_url_password;

/// `k=v|k=v`, or the error and its hints.
fn read(text: &str) -> String {
    match parse(text, "--url") {
        Ok(values) => {
            let pairs: Vec<String> = values.iter().map(|(k, v)| format!("{k}={v}")).collect();
            pairs.join("|")
        }
        Err(error) => said(&error),
    }
}

fn said(error: &Error) -> String {
    assert_eq!(error.kind, Kind::Usage);
    format!("{error} | {}", error.hints.join(" | "))
}

#[test]
fn urls() {
    for (url, expected) in [
        ("postgres://", ""),
        ("postgresql://db", "host=db"),
        ("postgres://db/shop", "dbname=shop|host=db"),
        ("postgres://ann@db:6000/shop", "dbname=shop|host=db|port=6000|user=ann"),
        ("postgres://a%40b:p%3Aw%2f@db/", "host=db|password=p:w/|user=a@b"),
        ("postgres://ann:p:w@x@db", "host=db|password=p:w@x|user=ann"),
        ("postgres://a,b:2,[::1]:3/x", "dbname=x|host=a,b,::1|port=,2,3"),
        ("postgres://%2Frun%2Fpg:6000/x", "dbname=x|host=/run/pg|port=6000"),
        ("postgres:///shop?host=/tmp&user=ann", "dbname=shop|host=/tmp|user=ann"),
        ("postgres://db?sslmode=require", "host=db|sslmode=require"),
        ("postgres://db/x?ssl=true", "dbname=x|host=db|sslmode=require"),
        ("postgres://db/x?dbname=y", "dbname=y|host=db"),
        ("postgres://db/x?options=-c%20a%3Db", "dbname=x|host=db|options=-c a=b"),
    ] {
        assert_eq!(read(url), expected, "{url}");
    }
}

#[test]
fn key_value_strings() {
    for (text, expected) in [
        ("", ""),
        ("host=db port=6000", "host=db|port=6000"),
        ("  host = db\n user='a b' ", "host=db|user=a b"),
        (r"password='it\'s \\ =' user=a\ b", r"password=it's \ =|user=a b"),
        ("password='' user=ann", "password=|user=ann"),
        ("host=a host=b", "host=b"),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
}

#[test]
fn mistakes_name_the_source_and_the_way_out() {
    for (text, expected) in [
        (
            "postgres://db?sslmod=x",
            "unknown connection keyword \"sslmod\" | did you mean `sslmode`",
        ),
        ("host=db qqq=1", "unknown connection keyword \"qqq\" | known are application_name"),
        ("postgres://u:a/b@db/x", "there is an `@` behind the first `/` of the URL | percent-enc"),
        ("postgres://db/%zz", "a `%` of the URL is not followed by two hex digits | write `%`"),
        ("postgres://db/%00", "a `%` of the URL is not followed by two hex digits | write `%`"),
        ("postgres://db/%ff", "the URL decodes to bytes that are no UTF-8"),
        ("postgres://[::1/x", "an address in `[` of the URL has no `]`"),
        ("postgres://db/?x", "a parameter of the URL has no `=`"),
        ("mysql://u:pw@db/x", "neither a postgres:// URL nor a list of keyword=value"),
        ("mysql://u:pw@db/x?a=b", "neither a postgres:// URL nor a list of keyword=value"),
        ("host='db", "a quoted value has no closing quote"),
        ("password=se cr=et", "what follows the password is no known keyword | quote"),
        ("password=se cret", "neither a postgres:// URL nor a list of keyword=value"),
    ] {
        let said = read(text);
        assert!(said.starts_with(&format!("--url: {expected}")), "{text}: {said}");
    }
}

/// A machine: variables, and files by path (a leading `!` means open to others).
fn machine(variables: &[(&str, &str)], files: &[(&str, &str)]) -> Environment {
    let owned = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect()
    };
    let (texts, paths) = (owned(files), owned(files));
    Environment {
        variables: owned(variables),
        user: Some("os".to_string()),
        home: Some(PathBuf::from("/users/os")),
        read: Box::new(move |path: &Path| {
            let text = texts.get(path.to_str().unwrap()).ok_or(io::ErrorKind::NotFound)?;
            let open_to_others = text.starts_with('!');
            Ok(Found { text: text.trim_start_matches('!').to_string(), open_to_others })
        }),
        exists: Box::new(move |path: &Path| paths.contains_key(path.to_str().unwrap())),
    }
}

fn target(url: &str, variables: &[(&str, &str)], files: &[(&str, &str)]) -> Target {
    let asked = Given { text: url, origin: "--url" };
    resolve(&Candidates { asked, ..Candidates::default() }, &machine(variables, files)).unwrap()
}

fn refused(url: &str, variables: &[(&str, &str)], files: &[(&str, &str)]) -> String {
    let asked = Given { text: url, origin: "--url" };
    let candidates = Candidates { asked, ..Candidates::default() };
    said(&resolve(&candidates, &machine(variables, files)).unwrap_err())
}

fn shown(target: &Target) -> String {
    let lines: Vec<String> = target.settings.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[test]
fn defaults() {
    let lonely = target("", &[], &[]);
    assert_eq!(lonely.to_string(), "database \"os\" at localhost:5432 as user \"os\"");
    assert_eq!(lonely.tls.mode, Mode::Prefer);
    assert_eq!(lonely.connect_timeout, Some(Duration::from_secs(10)));
    let beside = target("dbname=x", &[("PGPORT", "6000")], &[("/tmp/.s.PGSQL.6000", "")]);
    assert_eq!(beside.to_string(), "database \"x\" at /tmp/.s.PGSQL.6000 as user \"os\"");
    assert_eq!(
        shown(&beside),
        "host = /tmp (default)\nport = 6000 (PGPORT)\ndbname = x (--url)\nuser = os (default)\n\
         sslmode = prefer (default)"
    );
}

#[test]
fn the_strongest_string_counts_alone() {
    let asked = Given { text: "host=asked", origin: "[env.prod]" };
    let usual = Given { text: "host=usual user=u password=p", origin: "pgtune.toml" };
    let none = Given::default();
    let url: &[(&str, &str)] = &[("DATABASE_URL", "postgres://url"), ("PGUSER", "var")];
    for (asked, variables, expected) in [
        (asked, url, "\"var\" at asked:5432 as user \"var\""),
        (none, url, "\"var\" at url:5432 as user \"var\""),
        (none, &[], "\"u\" at usual:5432 as user \"u\""),
    ] {
        let target = resolve(&Candidates { asked, usual }, &machine(variables, &[])).unwrap();
        assert_eq!(target.to_string(), format!("database {expected}"));
        assert_eq!(target.endpoints[0].password.is_some(), variables.is_empty());
    }
    let error = refused("", &[("DATABASE_URL", "mysql://x")], &[]);
    assert!(error.starts_with("DATABASE_URL: neither"), "{error}");
}

#[test]
fn services_beat_variables_and_yield_to_strings() {
    let own =
        ("/users/os/.pg_service.conf", "# mine\n[a]\nhost=other\n[shop]\nhost=db\nport=1\n[b]");
    let system = ("/etc/postgresql-common/pg_service.conf", "[far]\nhost=far\nuser=f\n");
    let variables = [("PGSERVICE", "shop"), ("PGHOST", "var"), ("PGPORT", "2"), ("PGUSER", "v")];
    let by_variable = target("port=3", &variables, &[own, system]);
    assert_eq!(by_variable.to_string(), "database \"v\" at db:3 as user \"v\"");
    let origin = "host = db (service shop of /users/os/.pg_service.conf)";
    assert!(shown(&by_variable).contains(origin), "{}", shown(&by_variable));
    let by_string = target("service=far", &variables, &[own, system]);
    assert_eq!(by_string.to_string(), "database \"f\" at far:2 as user \"f\"");
    let named = [("PGSERVICE", "x"), ("PGSERVICEFILE", "/s")];
    assert_eq!(target("", &named, &[("/s", "[x]\nuser=me")]).user, "me");
    for (text, expected) in [
        ("[x]\nhots=db", "/s:2: unknown connection keyword \"hots\" | did you mean `host`?"),
        ("[x]\n\nhost", "/s:3: a line needs keyword=value"),
        ("[x]\nservice=y", "/s:2: a service cannot name a service"),
        ("[y]", "PGSERVICE: no service \"x\" is defined | looked for [x] in /s, /etc/postg"),
    ] {
        let error = refused("", &named, &[("/s", text)]);
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn several_hosts() {
    let two = target("host=a,/tmp hostaddr=10.0.0.1, port=1,2", &[], &[]);
    assert_eq!(two.to_string(), "database \"os\" at a:1, /tmp/.s.PGSQL.2 as user \"os\"");
    let address = Some("10.0.0.1".parse().unwrap());
    assert_eq!(two.endpoints[0].host, Host::Tcp { name: "a".to_string(), address });
    assert_eq!(target("postgres://a,b:2", &[], &[]).endpoints[0].port, 5432);
    assert_eq!(target("host=a,b port=7", &[], &[]).endpoints[1].port, 7);
    assert_eq!(target("hostaddr=::1", &[], &[]).endpoints[0].to_string(), "[::1]:5432");
    for (text, expected) in [
        ("host=a,b hostaddr=10.0.0.1", "--url: host and hostaddr differ in length"),
        ("host=a,b,c port=1,2", "--url: 2 ports for 3 hosts"),
        ("host=a port=0", "--url: the port must be a number from 1 to 65535"),
        ("host=a port=x", "--url: the port must be a number from 1 to 65535"),
        ("hostaddr=db", "--url: hostaddr must be an IP address"),
    ] {
        let error = refused(text, &[], &[]);
        assert!(error.starts_with(expected), "{text}: {error}");
    }
}

#[test]
fn typed_values() {
    let typed = target(
        "connect_timeout=1 target_session_attrs=read-write keepalives=0 keepalives_idle=5 \
         tcp_user_timeout=7",
        &[("PGOPTIONS", "-c a=b")],
        &[],
    );
    assert_eq!(typed.connect_timeout, Some(Duration::from_secs(2)));
    assert_eq!(typed.session, SessionKind::ReadWrite);
    assert_eq!(typed.options.as_deref(), Some("-c a=b"));
    let keepalives = Keepalives {
        enabled: false,
        idle: Duration::from_secs(5),
        interval: Duration::from_secs(10),
        count: 3,
        user_timeout: Duration::from_millis(7),
    };
    assert_eq!(typed.keepalives, keepalives);
    assert_eq!(target("connect_timeout=0", &[], &[]).connect_timeout, None);
    let variable = [("PGCONNECT_TIMEOUT", "soon")];
    let error = refused("", &variable, &[]);
    assert!(error.starts_with("PGCONNECT_TIMEOUT: connect_timeout must be a whole"), "{error}");
    let error = refused("target_session_attrs=master", &[], &[]);
    assert!(
        error.contains("cannot be \"master\" | it can be any, read-write, read-only"),
        "{error}"
    );
}

#[test]
fn trust_follows_mode_and_files() {
    let root = ("/users/os/.postgresql/root.crt", "");
    let file = |name: &str| Roots::File(name.into());
    for (text, files, mode, roots) in [
        ("", &[][..], Mode::Prefer, Roots::Unchecked),
        ("sslmode=require", &[], Mode::Require, Roots::Unchecked),
        ("sslmode=require", &[root], Mode::Require, file(root.0)),
        ("sslmode=verify-ca sslrootcert=/r", &[root], Mode::VerifyCa, file("/r")),
        ("sslmode=verify-full", &[root], Mode::VerifyFull, file(root.0)),
        ("sslmode=verify-full", &[], Mode::VerifyFull, Roots::System),
        ("sslrootcert=system", &[root], Mode::VerifyFull, Roots::System),
    ] {
        let tls = target(text, &[], files).tls;
        assert_eq!((tls.mode, tls.roots), (mode, roots), "{text}");
    }
    assert!(refused("sslmode=verify-ca", &[], &[]).contains("needs a root certificate"));
    assert!(refused("sslmode=require sslrootcert=system", &[], &[]).contains("too weak"));
    assert!(refused("sslmode=no", &[], &[]).contains("it can be disable, allow, prefer"));
    assert!(refused("sslcert=/c", &[], &[]).contains("the client certificate /c has no key"));
    let key = ("/users/os/.postgresql/postgresql.key", "");
    assert!(target("sslcert=/c", &[], &[key]).tls.identity.is_some());
}

#[test]
fn password_files() {
    let file = ("/users/os/.pgpass", "a:5432:*:os:for-a\nlocalhost:*:*:*:local\n");
    let password = |target: &Target, i: usize| {
        target.endpoints[i].password.as_ref().map(|secret| secret.reveal().to_string())
    };
    let two = target("host=a,b", &[], &[file]);
    assert_eq!(password(&two, 0).as_deref(), Some("for-a"));
    assert_eq!(password(&two, 1), None);
    assert!(shown(&two).contains("password = *** (/users/os/.pgpass)"));
    assert_eq!(password(&target("host=/tmp", &[], &[file]), 0).as_deref(), Some("local"));
    assert_eq!(password(&target("host=/srv", &[], &[file]), 0), None);
    let stronger = target("host=a", &[("PGPASSWORD", "var")], &[file]);
    assert_eq!(password(&stronger, 0).as_deref(), Some("var"));
    let elsewhere = [("PGPASSFILE", "/p")];
    let open = target("host=a", &elsewhere, &[file, ("/p", "!*:*:*:*:open")]);
    assert_eq!(password(&open, 0), None);
    let warning = "ignored the password file /p: others may use it; chmod 600";
    assert_eq!(open.warnings, [warning]);
}

/// Percent-encodes every byte.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

proptest! {
    #[test]
    fn passwords_are_read_and_never_shown(password in "[ -~é]{0,20}Zq7[ -~é]{0,20}") {
        let quoted = password.replace('\\', "\\\\").replace('\'', "\\'");
        for text in [
            format!("postgres://ann:{}@db/x", encoded(&password)),
            format!("postgres://ann@db/x?password={}", encoded(&password)),
            format!("host=db user=ann password='{quoted}'"),
        ] {
            let target = target(&text, &[], &[]);
            let read = target.endpoints[0].password.as_ref().map(|secret| secret.reveal());
            prop_assert_eq!(read, Some(password.as_str()));
            let described = format!("{target} {target:?} {}", shown(&target));
            for shown in [described, mask_url_password(&text)] {
                prop_assert!(!shown.contains("Zq7") && !shown.contains("%5a%71"), "{}", shown);
            }
        }
    }

    #[test]
    fn unquoted_passwords_are_not_shown_either(password in "[!-~]{0,9}Zq7[!-~]{0,9}") {
        for text in [
            format!("postgres://ann:{password}@db/x"),
            format!("postgres://db/x?password={password}"),
            format!("password={password} host=db"),
            format!("password='{password}' host=db"),
            format!("mysql://ann:{password}@db/x"),
        ] {
            let asked = Given { text: &text, origin: "--url" };
            let candidates = Candidates { asked, ..Candidates::default() };
            let shown = match resolve(&candidates, &machine(&[], &[])) {
                Ok(target) => format!("{target} {target:?}"),
                Err(error) => format!("{error:?}"),
            };
            prop_assert!(!shown.contains(&password), "{}: {}", text, shown);
            let masked = mask_url_password(&text);
            prop_assert!(!masked.contains(&password), "{}: {}", text, masked);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(
        text in "\\PC{0,60}",
        tail in "[-a-z:/@?&=%,' \\\\\\[\\]]{0,30}",
    ) {
        let _ = (parse(&text, "--url").is_ok(), mask_url_password(&text));
        let url = format!("postgres://{tail}");
        let _ = (parse(&url, "--url").is_ok(), parse(&tail, "--url").is_ok());
        let _ = mask_url_password(&url);
    }
}
