//! Finds PostgreSQL's server programs on this machine. Downloads nothing.

use std::cmp::Reverse;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::account::Account;
use super::surroundings::Surroundings;
use crate::error::{Error, Kind, Result};

/// The major versions of PostgreSQL that pgtune knows.
pub const SUPPORTED: RangeInclusive<u32> = 14..=18;

/// Folders below the root that may hold installations; `*` stands for one version's folder.
/// Debian, Red Hat, Alpine, Arch, Homebrew on both architectures, Postgres.app.
const INSTALL_FOLDERS: [&str; 7] = [
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "usr/libexec/postgresql*",
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
    "home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
    "Applications/Postgres.app/Contents/Versions/*/bin",
];

/// One installation of PostgreSQL's server programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The absolute folder of `postgres` and `initdb`.
    pub bin_dir: PathBuf,
    /// The major version: 15.
    pub major: u32,
    /// The whole version as the program tells it: `15.13 (Debian 15.13-0+deb12u1)`.
    pub version: String,
}

/// Finds the programs to use: in `explicit` (`--pg-bin`), else in `PGTUNE_PG_BIN`, else the first
/// that works of `pg_config`'s, those on `PATH`, and those in the usual folders, newest first.
///
/// A folder somebody named has to work; the error says why it does not. Where the search finds
/// nothing, the error's hint is the command that installs PostgreSQL on this system.
pub fn find(explicit: Option<&Path>, surroundings: &Surroundings) -> Result<Binaries> {
    if let Some(folder) = explicit {
        return inspect(folder, surroundings).map_err(|e| e.context("--pg-bin"));
    }
    if let Some(folder) = &surroundings.pg_bin {
        return inspect(folder, surroundings).map_err(|e| e.context("PGTUNE_PG_BIN"));
    }
    let mut passed_over = Vec::new();
    for folder in candidates(surroundings) {
        match inspect(&folder, surroundings) {
            Ok(binaries) => return Ok(binaries),
            Err(error) if resolve(&folder).is_some() => passed_over.push(error.message),
            Err(_) => {}
        }
    }
    Err(not_found(surroundings, passed_over))
}

/// Finds the programs of one major version, or of another where there is none.
///
/// Errors as [`find`] does.
pub fn find_major(
    explicit: Option<&Path>,
    surroundings: &Surroundings,
    major: u32,
) -> Result<Binaries> {
    if explicit.is_none() && surroundings.pg_bin.is_none() {
        let found =
            candidates(surroundings).filter_map(|folder| inspect(&folder, surroundings).ok());
        if let Some(binaries) = found.into_iter().find(|binaries| binaries.major == major) {
            return Ok(binaries);
        }
    }
    find(explicit, surroundings)
}

/// Folders that may hold PostgreSQL's programs: those on `PATH`, and the usual ones, newest first.
pub fn folders(surroundings: &Surroundings) -> impl Iterator<Item = PathBuf> {
    let installed = std::iter::once_with(|| installed(surroundings)).flatten();
    surroundings.path.iter().cloned().chain(installed)
}

/// The error for a search without result; `passed_over` says what is wrong with the servers that
/// there are.
fn not_found(surroundings: &Surroundings, mut passed_over: Vec<String>) -> Error {
    let os_release = surroundings.root.join("etc/os-release");
    let install = install_command(&fs::read_to_string(os_release).unwrap_or_default());
    let error =
        Error::usage(format!("no PostgreSQL server ({}) found on this machine", supported()))
            .hint(format!("install one: {install}"))
            .hint("or name the folder of an installed one with --pg-bin or PGTUNE_PG_BIN");
    passed_over.dedup();
    passed_over.iter().fold(error, |error, why| error.hint(format!("not used: {why}")))
}

/// Folders to look into, in order. Lazy, since `pg_config` is a program to run.
fn candidates(surroundings: &Surroundings) -> impl Iterator<Item = PathBuf> {
    let pg_config = surroundings.path.iter().filter_map(|folder| bindir_of_pg_config(folder));
    pg_config.take(1).chain(folders(surroundings))
}

/// What `pg_config --bindir` in `folder` says.
fn bindir_of_pg_config(folder: &Path) -> Option<PathBuf> {
    let output = Command::new(folder.join("pg_config")).arg("--bindir").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| PathBuf::from(text.trim()))
}

/// The folders of [`INSTALL_FOLDERS`] and of `.postgres/` that exist, newest version first.
fn installed(surroundings: &Surroundings) -> Vec<PathBuf> {
    let mut found = expand(&surroundings.current_folder, ".postgres/*/bin");
    for pattern in INSTALL_FOLDERS {
        found.extend(expand(&surroundings.root, pattern));
    }
    found.sort_by_key(|(numbers, _)| Reverse(numbers.clone()));
    found.into_iter().map(|(_, folder)| folder).collect()
}

/// The folders below `base` that match `pattern`, whose only `*` is in one folder's name; each
/// with the numbers that stand for the `*`.
fn expand(base: &Path, pattern: &str) -> Vec<(Vec<u32>, PathBuf)> {
    let Some((before, after)) = pattern.split_once('*') else { return Vec::new() };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or(("", before));
    let Ok(entries) = fs::read_dir(base.join(parent)) else { return Vec::new() };
    let matching = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let numbers = name.strip_prefix(prefix)?.split('.').map_while(|n| n.parse().ok());
        Some((numbers.collect(), entry.path().join(after.trim_start_matches('/'))))
    });
    matching.filter(|(_, folder)| folder.is_dir()).collect()
}

/// Looks at one folder: both programs there, runnable by the server's user, a supported version.
fn inspect(folder: &Path, surroundings: &Surroundings) -> Result<Binaries> {
    let bin_dir = resolve(&surroundings.current_folder.join(folder)).ok_or_else(|| {
        Error::usage(format!("{} does not hold both postgres and initdb", folder.display()))
            .hint("give the folder of the server's programs, such as /usr/lib/postgresql/17/bin")
    })?;
    let text = version_text(&bin_dir.join("postgres"), surroundings.account.as_ref())?;
    let Some((major, version)) = parse_version(&text) else {
        let program = bin_dir.join("postgres");
        let said = text.trim();
        return Err(Error::usage(format!("{} is not PostgreSQL: \"{said}\"", program.display())));
    };
    if !SUPPORTED.contains(&major) {
        let (folder, supported) = (bin_dir.display(), supported());
        return Err(Error::usage(format!(
            "{folder} is PostgreSQL {version}, and pgtune needs {supported}"
        )));
    }
    Ok(Binaries { bin_dir, major, version })
}

/// The folder that really holds both programs: `folder` may only link to them.
fn resolve(folder: &Path) -> Option<PathBuf> {
    let postgres = folder.join("postgres").canonicalize().ok()?;
    let target = postgres.parent()?.to_path_buf();
    let complete = |dir: &PathBuf| ["postgres", "initdb"].iter().all(|p| dir.join(p).is_file());
    [target, folder.canonicalize().ok()?].into_iter().find(complete)
}

/// What `program --version` prints, run as the user who will run the server.
fn version_text(program: &Path, account: Option<&Account>) -> Result<String> {
    let mut command = Command::new(program);
    command.arg("--version").current_dir("/");
    if let Some(account) = account {
        account.apply(&mut command);
    }
    let user = account.map_or_else(String::new, |a| format!(" as user \"{}\"", a.name));
    let doing = format!("run {}{user}", program.display());
    let output = command.output().map_err(|error| {
        let error = Error { kind: Kind::Usage, ..Error::system(&doing, error) };
        if account.is_none() {
            return error;
        }
        error.hint("PostgreSQL does not run as root: the folder must be readable for that user")
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_string();
        return Err(Error::usage(format!("cannot {doing}: {}", output.status)).caused_by(said));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Major version and whole version out of `postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)`;
/// `19devel` and `18beta1` count as 19 and 18.
fn parse_version(text: &str) -> Option<(u32, String)> {
    let version = text.trim().strip_prefix("postgres (PostgreSQL) ")?.trim();
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    Some((version[..digits].parse().ok()?, version.to_string()))
}

/// "14 to 18".
fn supported() -> String {
    format!("{} to {}", SUPPORTED.start(), SUPPORTED.end())
}

/// The command that installs PostgreSQL here, by `ID` and `ID_LIKE` of `/etc/os-release`
/// (os-release(5)); without that file, macOS is assumed.
fn install_command(os_release: &str) -> &'static str {
    let value = |key: &str| {
        let line = os_release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches(['"', '\'']).to_lowercase()
    };
    let ids = format!("{} {}", value("ID"), value("ID_LIKE"));
    let known = ids.split_whitespace().find_map(|id| match id {
        "debian" | "ubuntu" => Some("apt-get install postgresql"),
        "fedora" | "rhel" | "centos" => Some("dnf install postgresql-server"),
        "alpine" => Some("apk add postgresql17"),
        "arch" => Some("pacman -S postgresql"),
        "suse" | "opensuse" => Some("zypper install postgresql-server"),
        _ => None,
    });
    match known {
        Some(command) => command,
        None if os_release.is_empty() => "brew install postgresql@17",
        None => "the package postgresql of this system",
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A machine whose file system is a temporary folder.
    struct Machine(tempfile::TempDir);

    impl Machine {
        fn new() -> Machine {
            Machine(tempfile::tempdir().unwrap())
        }

        fn at(&self, path: &str) -> PathBuf {
            self.0.path().canonicalize().unwrap().join(path)
        }

        fn program(&self, path: &str, prints: &str) {
            let path = self.at(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            // Written by a child: a file that a fork of this process holds open cannot be run.
            let script = "printf '#!/bin/sh\\necho \"%s\"\\n' \"$1\" >\"$0\"; chmod 755 \"$0\"";
            let shell = Command::new("sh").args(["-c", script]).arg(path).arg(prints).status();
            assert!(shell.unwrap().success());
        }

        fn server(&self, folder: &str, version: &str) {
            let prints = format!("postgres (PostgreSQL) {version}");
            self.program(&format!("{folder}/postgres"), &prints);
            self.program(&format!("{folder}/initdb"), "");
        }

        fn surroundings(&self) -> Surroundings {
            Surroundings {
                pg_bin: None,
                path: vec![self.at("usr/bin"), self.at("usr/local/bin")],
                current_folder: self.at("home"),
                root: self.at(""),
                temp_folder: self.at("tmp"),
                account: None,
            }
        }

        fn versions(&self) -> Vec<String> {
            let surroundings = self.surroundings();
            let usable = candidates(&surroundings).filter_map(|f| inspect(&f, &surroundings).ok());
            let mut folders = std::collections::BTreeSet::new();
            usable.filter(|b| folders.insert(b.bin_dir.clone())).map(|b| b.version).collect()
        }
    }

    #[test]
    fn the_search_has_an_order() {
        let machine = Machine::new();
        machine.server("usr/lib/postgresql/9.6/bin", "9.6.24");
        machine.server("usr/lib/postgresql/14/bin", "14.1");
        machine.server("usr/pgsql-16/bin", "16.1");
        machine.server("home/.postgres/18/bin", "18.1");
        machine.server("home/.postgres/client/bin", "18.0");
        assert_eq!(machine.versions(), ["18.1", "16.1", "14.1", "18.0"]);
        machine.server("opt/fifteen", "15.2");
        fs::create_dir_all(machine.at("usr/local/bin")).unwrap();
        symlink(machine.at("opt/fifteen/postgres"), machine.at("usr/local/bin/postgres")).unwrap();
        assert_eq!(machine.versions(), ["15.2", "18.1", "16.1", "14.1", "18.0"]);
        let bindir = machine.at("usr/pgsql-16/bin");
        machine.program("usr/bin/pg_config", &bindir.to_string_lossy());
        assert_eq!(machine.versions(), ["16.1", "15.2", "18.1", "14.1", "18.0"]);
    }

    #[test]
    fn a_named_folder_wins_and_has_to_work() {
        let machine = Machine::new();
        machine.server("usr/lib/postgresql/17/bin", "17.1");
        machine.server("home/mine", "14.2");
        machine.server("old", "11.2");
        let mut surroundings = machine.surroundings();
        assert_eq!(find(None, &surroundings).unwrap().major, 17);
        surroundings.pg_bin = Some(machine.at("old"));
        let error = find(None, &surroundings).unwrap_err().message;
        assert!(error.starts_with("PGTUNE_PG_BIN: "), "{error}");
        assert!(error.ends_with("is PostgreSQL 11.2, and pgtune needs 14 to 18"), "{error}");
        assert_eq!(find(Some(Path::new("mine")), &surroundings).unwrap().major, 14);
        let error = find(Some(Path::new("missing")), &surroundings).unwrap_err();
        assert_eq!(error.message, "--pg-bin: missing does not hold both postgres and initdb");
    }

    #[test]
    fn half_an_installation_is_passed_over() {
        let machine = Machine::new();
        machine.program("usr/bin/postgres", "postgres (PostgreSQL) 17.1");
        machine.program("usr/local/bin/postgres", "something else 17");
        machine.program("usr/local/bin/initdb", "");
        assert_eq!(machine.versions(), Vec::<String>::new());
        let error = find(None, &machine.surroundings()).unwrap_err();
        assert_eq!(error.kind, Kind::Usage);
        assert_eq!(error.hints[0], "install one: brew install postgresql@17");
        let why = &error.hints[2];
        assert!(why.ends_with("is not PostgreSQL: \"something else 17\""), "{why}");
    }

    #[test]
    fn versions_are_read() {
        let debian = "postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)\n";
        let whole = "15.13 (Debian 15.13-0+deb12u1)".to_string();
        assert_eq!(parse_version(debian), Some((15, whole)));
        let major = |text| parse_version(text).map(|(major, _)| major);
        assert_eq!(major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major("postgres (PostgreSQL) 9.6.24"), Some(9));
        assert_eq!(major("postgres (PostgreSQL) devel"), None);
        assert_eq!(major("psql (PostgreSQL) 15.1"), None);
        assert_eq!(major(""), None);
    }

    #[test]
    fn the_install_command_is_this_systems() {
        assert_eq!(install_command("NAME=x\nID=debian\n"), "apt-get install postgresql");
        let rocky = "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n";
        assert_eq!(install_command(rocky), "dnf install postgresql-server");
        assert_eq!(install_command("ID=alpine"), "apk add postgresql17");
        assert_eq!(install_command("ID=void"), "the package postgresql of this system");
    }
}
