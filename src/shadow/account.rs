//! Whom the server runs as: PostgreSQL refuses to run as root, so root lends it another user.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::error::{Error, Result};

/// A user of this machine, from `/etc/passwd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name, for messages.
    pub name: String,
    /// Its user number, never 0.
    pub uid: u32,
    /// Its main group's number.
    pub gid: u32,
}

impl Account {
    /// Makes `command` run as this user, without root's supplementary groups.
    pub fn apply(&self, command: &mut Command) {
        // The standard library drops the supplementary groups when root gives a user.
        command.uid(self.uid).gid(self.gid);
    }
}

/// The user to run a server as; `None` is the one that runs pgtune, unless that is root.
///
/// Fails where root finds no other user in `/etc/passwd`; initdb wants a user with a name.
pub fn for_server() -> Result<Option<Account>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let passwd = fs::read_to_string("/etc/passwd")
        .map_err(|error| Error::system("read /etc/passwd", error))?;
    let Some(account) = choose(&passwd) else {
        return Err(Error::usage("PostgreSQL does not run as root, and there is no other user")
            .hint("create one (useradd postgres), or run pgtune as an ordinary user"));
    };
    Ok(Some(account))
}

/// `postgres` if there is one, else `nobody`, else the lowest user number that is not root's.
fn choose(passwd: &str) -> Option<Account> {
    let accounts: Vec<Account> = passwd.lines().filter_map(parse).collect();
    let named = |name: &str| accounts.iter().find(|account| account.name == name);
    named("postgres")
        .or_else(|| named("nobody"))
        .or_else(|| accounts.iter().min_by_key(|account| account.uid))
        .cloned()
}

/// One line of `/etc/passwd` (passwd(5)); `None` for root, comments and broken lines.
fn parse(line: &str) -> Option<Account> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_string();
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    (uid != 0).then_some(Account { name, uid, gid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_lends_the_least_privileged_user() {
        let root = "root:x:0:0:root:/root:/bin/bash\n";
        let daemon = "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n";
        let nobody = "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
        let postgres = "postgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash\n";
        let name = |passwd: String| choose(&passwd).map(|account| account.name);
        assert_eq!(name([root, daemon, nobody, postgres].concat()).as_deref(), Some("postgres"));
        assert_eq!(name([root, daemon, nobody].concat()).as_deref(), Some("nobody"));
        assert_eq!(name([root, daemon].concat()).as_deref(), Some("daemon"));
        assert_eq!(name(format!("{root}# a comment\nbroken:x\n")), None);
        assert_eq!(choose(postgres).unwrap().gid, 104);
    }
}
