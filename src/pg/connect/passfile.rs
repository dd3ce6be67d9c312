//! Finds a password in the text of a password file (`~/.pgpass`). Pure.
//!
//! Source: the manual, "The Password File" (libpq-pgpass.html): lines of
//! `host:port:database:user:password`, the first that matches holds; `*` matches all, `\`
//! escapes `:` and `\`.

use super::target::Secret;

/// What a line must match.
pub struct Login<'a> {
    /// Names of the server: the host; for a socket its folder, and `localhost` for a usual one.
    pub hosts: &'a [String],
    /// TCP port, or the number in the socket's name.
    pub port: u16,
    /// Database.
    pub database: &'a str,
    /// User.
    pub user: &'a str,
}

/// The password of the first line that matches; none if there is no such line.
pub fn find(text: &str, login: &Login<'_>) -> Option<Secret> {
    let port = login.port.to_string();
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let (host, rest) = field(line)?;
        let (line_port, rest) = field(rest)?;
        let (database, rest) = field(rest)?;
        let (user, password) = field(rest)?;
        let holds = login.hosts.iter().any(|name| matches(host, name))
            && matches(line_port, &port)
            && matches(database, login.database)
            && matches(user, login.user);
        let password = unescape(password);
        (holds && !password.is_empty()).then(|| Secret::new(password))
    })
}

/// The text up to the next unescaped `:`, still escaped, and what is behind it.
fn field(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    let end = text.bytes().position(|byte| {
        let ends = byte == b':' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    Some((&text[..end], &text[end + 1..]))
}

fn matches(pattern: &str, value: &str) -> bool {
    pattern == "*" || unescape(pattern) == value
}

fn unescape(text: &str) -> String {
    let mut characters = text.chars();
    let mut plain = String::new();
    while let Some(character) = characters.next() {
        let escaped = if character == '\\' { characters.next() } else { None };
        plain.push(escaped.unwrap_or(character));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str, host: &str) -> Option<String> {
        let hosts = [host.to_string()];
        let login = Login { hosts: &hosts, port: 5432, database: "shop", user: "ann" };
        find(text, &login).map(|secret| secret.reveal().to_string())
    }

    #[test]
    fn the_first_matching_line_holds() {
        let text = "# db:5432:shop:ann:comment\n\
            db:5433:shop:ann:port\n\
            db:5432:other:ann:database\n\
            db:5432:shop:bob:user\n\
            broken line\n\
            db:5432:shop:ann:\n\
            db:*:shop:ann:first\n\
            *:*:*:*:last\r\n";
        assert_eq!(password(text, "db").as_deref(), Some("first"));
        assert_eq!(password(text, "elsewhere").as_deref(), Some("last"));
        assert_eq!(password("db:5432:shop:ann:x", "elsewhere"), None);
        assert_eq!(password("", "db"), None);
    }

    #[test]
    fn escapes_and_colons() {
        assert_eq!(password(r"\:\:1:5432:shop:ann:a\:b\\c", "::1").as_deref(), Some(r"a:b\c"));
        assert_eq!(password("*:*:*:*:a:b", "db").as_deref(), Some("a:b"));
        // Only a lone star matches everything.
        assert_eq!(password("d*:*:*:*:x", "db"), None);
    }
}
