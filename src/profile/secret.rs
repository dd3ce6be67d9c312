//! Hides passwords in connection strings. The only place that does; when in doubt it hides more.

/// What stands where a secret was.
pub const MASK: &str = "***";

/// A connection string (URL or `key=value`) that may be shown: without passwords.
///
/// Accepts anything. A URL's password may hold an unescaped `@` or `/`, so all up to the last `@`
/// belongs to it; text that is neither form is hidden altogether.
pub fn mask_url_password(connection: &str) -> String {
    let text = connection.trim();
    match text.split_once("://") {
        Some((scheme @ ("postgres" | "postgresql"), rest)) => {
            format!("{scheme}://{}", mask_url(rest))
        }
        Some((_, rest)) if rest.contains('@') => MASK.to_string(),
        Some(_) | None => mask_pairs(text),
    }
}

/// `user:password@host/name?password=…`, the part of a URL behind the scheme.
fn mask_url(rest: &str) -> String {
    let user =
        rest.rsplit_once('@').and_then(|(user, place)| Some((user.split_once(':')?.0, place)));
    let shown = match user {
        Some((name, place)) => format!("{name}:{MASK}@{place}"),
        None => rest.to_string(),
    };
    match shown.split_once('?') {
        Some((place, parameters)) => format!("{place}?{}", mask_parameters(parameters)),
        None => shown,
    }
}

/// `key=value&…` up to the first secret: what follows it may belong to it.
fn mask_parameters(parameters: &str) -> String {
    let mut shown = Vec::new();
    for parameter in parameters.split('&') {
        match parameter.split_once('=') {
            // A key with an escape may spell "password".
            Some((key, _)) if is_secret(key) || key.contains('%') => {
                shown.push(format!("{key}={MASK}"));
                break;
            }
            Some(_) | None => shown.push(parameter.to_string()),
        }
    }
    shown.join("&")
}

/// `host=a password='b c'`, as libpq's `conninfo_parse` reads it.
fn mask_pairs(text: &str) -> String {
    let mut shown = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let Some((key, after)) = rest.split_once('=') else {
            shown.push(MASK.to_string());
            break;
        };
        let after = after.trim_start();
        let end = value_length(after);
        let key = key.trim();
        let value = if is_secret(key) { MASK } else { &after[..end] };
        shown.push(format!("{key}={value}"));
        rest = after[end..].trim_start();
    }
    shown.join(" ")
}

/// Bytes of the value at the start of `text`: quoted, or up to a space; a backslash escapes.
fn value_length(text: &str) -> usize {
    let quoted = text.starts_with('\'');
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(usize::from(quoted)) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if quoted && c == '\'' {
            return at + 1;
        } else if !quoted && c.is_whitespace() {
            return at;
        }
    }
    text.len()
}

fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["password", "secret", "token"].iter().any(|word| key.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_everything_but_passwords() {
        for (connection, shown) in [
            ("", ""),
            (
                "postgres://app@db:5432/x?sslmode=require",
                "postgres://app@db:5432/x?sslmode=require",
            ),
            ("postgres://app:s3cret@db/x", "postgres://app:***@db/x"),
            ("postgresql://app:a@b/c:d@db/x", "postgresql://app:***@db/x"),
            ("postgres://db/x?user=a&password=s3cret", "postgres://db/x?user=a&password=***"),
            ("postgres://db/x?p%61ssword=s3cret", "postgres://db/x?p%61ssword=***"),
            (
                "postgres://a:s3cret?x@db/x?sslpassword=s3cret",
                "postgres://a:***@db/x?sslpassword=***",
            ),
            ("host=db user=app", "host=db user=app"),
            ("host=db password=s3cret port=1", "host=db password=*** port=1"),
            ("password = 's3 \\' cret' host = db", "password=*** host=db"),
            ("password='s3cret", "password=***"),
            ("mysql://app:s3cret@db", "***"),
            ("host=db s3cret", "host=db ***"),
        ] {
            assert_eq!(mask_url_password(connection), shown, "{connection}");
        }
    }

    #[test]
    fn no_spelling_shows_the_password() {
        for connection in [
            "postgres://app:s3cret@db/x?user=me@here",
            "POSTGRES://app:s3cret@db?sslmode=require",
            "s3cret",
            "host=db PASSWORD=s3cret",
            "postgres://db/x?user=a@b&password=s3cret",
            "postgres://db/x?options=a&PassWord=s3cret@b",
        ] {
            let shown = mask_url_password(connection);
            assert!(!shown.contains("s3cret"), "{connection}: {shown}");
        }
    }
}
