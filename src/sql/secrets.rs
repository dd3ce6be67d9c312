//! What of a dump must not be written into a file that others read. Pure.

use super::split::{Piece, SyntaxError, split};
use super::without_psql;

/// A dump without the lines that only psql reads, and without statements that hold what opens other
/// servers: user mappings with their passwords, and servers that have one among their options.
///
/// Errors where the dump is no SQL.
pub fn without_secrets(dump: &str) -> Result<String, SyntaxError> {
    let dump = without_psql(dump);
    let pieces = split(&dump)?;
    let mut kept = String::new();
    let mut from = 0;
    for piece in pieces.iter().filter(|piece| holds_secrets(piece)) {
        kept += &dump[from..piece.offset];
        let end = piece.offset + piece.text.len();
        from = dump[end..].find(';').map_or(end, |at| end + at + 1);
    }
    Ok(kept + &dump[from..])
}

fn holds_secrets(piece: &Piece<'_>) -> bool {
    let words = piece.text.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
    let words = words.to_lowercase();
    let text = piece.text.to_lowercase();
    let is_secret = || ["passw", "secret", "token"].iter().any(|word| text.contains(word));
    ["create user mapping", "alter user mapping"].contains(&words.as_str())
        || (words.starts_with("create server") || words.starts_with("alter server")) && is_secret()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_opens_other_servers_is_left_out() {
        let dump = "\\restrict abc\nCREATE SERVER a OPTIONS (host 'x');\n\
                    CREATE SERVER b OPTIONS (\"api_token\" 'hush');\n\
                    CREATE USER MAPPING FOR app SERVER a OPTIONS (\n    password 'hu;sh'\n);\n\
                    CREATE TABLE passwords (secret text);\n\\unrestrict abc\n";
        let kept = without_secrets(dump).unwrap();
        for secret in ["hush", "hu;sh", "\\"] {
            assert!(!kept.contains(secret), "{kept}");
        }
        for harmless in ["CREATE SERVER a", "CREATE TABLE passwords"] {
            assert!(kept.contains(harmless), "{kept}");
        }
        assert!(without_secrets("select 'x").is_err());
    }
}
