//! The temporary folder of one server, and the removal of folders whose owner was killed.
//!
//! A folder belongs to the pgtune that holds the lock on its `owner` file. The kernel gives the
//! lock back when that process ends, however it ends, so an unlocked `owner` file is the proof that
//! nobody will stop this server any more. Folders without such a file are never touched.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::account::Account;
use super::process::{self, Signal};
use super::surroundings::Surroundings;
use crate::error::{Error, Result};

/// How the folders' names begin.
const PREFIX: &str = "pgtune-server-";
/// The file in the folder that its owner keeps locked.
const OWNER: &str = "owner";
/// Its first line, so that no other program's file is taken for ours.
const OWNER_TEXT: &[u8] = b"pgtune private server: deleted when its pgtune has ended\n";
/// The longest path of a socket: `sun_path` of unix(7) holds 108 bytes with the final zero, that
/// of macOS 104.
const SOCKET_PATH_BYTES: usize = 103;
/// What comes behind the base folder in a socket's path.
const SOCKET_NAME: &str = "/pgtune-server-XXXXXX/.s.PGSQL.65535";
/// How long the processes of a stale or stopping server may take to end.
const END_LIMIT: Duration = Duration::from_secs(8);

/// A server's folder. Dropping it deletes it; whatever runs in it must have been stopped before.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Held for its lock.
    _owner: File,
}

impl Folder {
    /// Makes a folder that only the server's user (and root) can enter.
    ///
    /// It lies in the system's temporary folder, or in `/tmp` where that is too long for a socket
    /// or closed to the server's user. Fails where the system refuses to write there.
    pub fn create(surroundings: &Surroundings) -> Result<Folder> {
        let base = base(surroundings);
        let refused = |error| {
            Error::system(format!("make a folder in {}", base.display()), error)
                .hint("TMPDIR names the folder for temporary files")
        };
        // Links out, since a server is recognised by the folder in its command line.
        let base = base.canonicalize().map_err(refused)?;
        let made = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(base)
            .map_err(refused)?;
        let owner = write_owner(made.path()).map_err(refused)?;
        let folder = Folder { path: made.keep(), _owner: owner };
        folder.give_to(surroundings.account.as_ref(), &folder.path)?;
        Ok(folder)
    }

    /// Where it is; without a symbolic link in it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The server's data directory.
    pub fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// What initdb and the server print.
    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// Makes `account` the owner of `path`, which lies in the folder.
    pub fn give_to(&self, account: Option<&Account>, path: &Path) -> Result<()> {
        let Some(account) = account else { return Ok(()) };
        chown(path, Some(account.uid), Some(account.gid)).map_err(|error| {
            Error::system(format!("give {} to user {}", path.display(), account.name), error)
        })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be deleted now is deleted by the next start.
        let _ = remove(&self.path);
    }
}

/// Stops the servers and deletes the folders of every pgtune that was killed. What resists is left
/// for the next time; no error keeps a new server from starting.
pub fn clean_stale(surroundings: &Surroundings) {
    let bases = [surroundings.temp_folder.as_path(), base(surroundings)];
    for base in bases.iter().flat_map(|base| base.canonicalize()) {
        // The second time round, nothing is left to do.
        for entry in fs::read_dir(base).into_iter().flatten().flatten() {
            let ours = entry.file_name().as_bytes().starts_with(PREFIX.as_bytes());
            let path = entry.path();
            if ours && let Some(_lock) = lock_of_dead_owner(&path) {
                stop_stale(&path.join("data"));
                let _ = remove(&path);
            }
        }
    }
}

/// The folder to put the server's folder into.
fn base(surroundings: &Surroundings) -> &Path {
    let usual = &surroundings.temp_folder;
    let short = usual.as_os_str().len() + SOCKET_NAME.len() <= SOCKET_PATH_BYTES;
    // Root's server runs as somebody else, who has to get there.
    let open = |folder: &Path| folder.metadata().is_ok_and(|m| m.mode() & 0o001 != 0);
    let reachable = surroundings.account.is_none() || usual.ancestors().all(open);
    // A folder that does not exist is to be refused, not replaced.
    if short && (reachable || !usual.exists()) { usual } else { Path::new("/tmp") }
}

/// Writes the owner file of `folder`, locked. It gets its name last, so it is never seen unlocked
/// while its owner lives.
fn write_owner(folder: &Path) -> io::Result<File> {
    let unnamed = folder.join("owner.new");
    let mut owner = File::create_new(&unnamed)?;
    owner.try_lock()?;
    owner.write_all(OWNER_TEXT)?;
    fs::rename(unnamed, folder.join(OWNER))?;
    Ok(owner)
}

/// The lock on the owner file of `folder`, if its owner has ended and was the user that we are.
///
/// The file's owner is what proves that the folder is ours: others can make folders in `/tmp` too,
/// but no file of ours.
fn lock_of_dead_owner(folder: &Path) -> Option<File> {
    let path = folder.join(OWNER);
    let kind = folder.symlink_metadata().ok()?;
    let metadata = path.symlink_metadata().ok()?;
    let ours = metadata.uid() == rustix::process::geteuid().as_raw();
    if !kind.is_dir() || !metadata.is_file() || !ours {
        return None;
    }
    let mut owner = File::open(&path).ok()?;
    owner.try_lock().ok()?;
    let mut text = Vec::new();
    io::Read::read_to_end(&mut owner, &mut text).ok()?;
    (text == OWNER_TEXT).then_some(owner)
}

/// Ends what still works on the data directory `data`: a server, or initdb, which would make the
/// folder anew. Both are named by their command lines before they write a file.
fn stop_stale(data: &Path) {
    for signal in [Signal::QUIT, Signal::KILL] {
        let working = process::serving(data);
        working.iter().for_each(|pid| process::signal(*pid, signal));
        let all_gone = || working.iter().all(|pid| !process::serves(*pid, data)).then_some(());
        if process::poll(END_LIMIT, all_gone).is_some() {
            return;
        }
    }
}

/// Deletes `folder`. Processes of a killed server may write into it for a moment longer.
fn remove(folder: &Path) -> io::Result<()> {
    let mut last = Ok(());
    process::poll(END_LIMIT, || {
        last = match fs::remove_dir_all(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        };
        let busy = io::ErrorKind::DirectoryNotEmpty;
        (!last.as_ref().is_err_and(|error| error.kind() == busy)).then_some(())
    });
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings(temp_folder: &Path) -> Surroundings {
        Surroundings {
            pg_bin: None,
            path: Vec::new(),
            current_folder: PathBuf::from("/"),
            root: PathBuf::from("/"),
            temp_folder: temp_folder.to_path_buf(),
            account: None,
        }
    }

    #[test]
    fn a_folder_goes_when_its_value_goes() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::create(&surroundings(temp.path())).unwrap();
        let path = folder.path().to_path_buf();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o700);
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn only_folders_of_dead_owners_are_cleaned() {
        let temp = tempfile::tempdir().unwrap();
        let surroundings = surroundings(temp.path());
        let live = Folder::create(&surroundings).unwrap();
        let make = |name: &str, owner: Option<&[u8]>| {
            let path = temp.path().join(name);
            fs::create_dir(&path).unwrap();
            if let Some(text) = owner {
                fs::write(path.join(OWNER), text).unwrap();
            }
            path
        };
        let dead = make("pgtune-server-dead", Some(OWNER_TEXT));
        // A number that is in use again, by a process that is no server.
        fs::create_dir(dead.join("data")).unwrap();
        let pid_file = dead.join("data/postmaster.pid");
        fs::write(pid_file, format!("{}\n", std::process::id())).unwrap();
        let strangers = [
            make("pgtune-server-unmarked", None),
            make("pgtune-server-other", Some(b"somebody else's")),
            make("other", Some(OWNER_TEXT)),
        ];
        let link = temp.path().join("pgtune-server-link");
        std::os::unix::fs::symlink(&strangers[2], &link).unwrap();

        clean_stale(&surroundings);

        assert!(!dead.exists());
        assert!(live.path().exists());
        assert!(strangers.iter().all(|path| path.exists()) && link.exists());
    }

    #[test]
    fn long_temporary_folders_are_avoided() {
        assert_eq!(base(&surroundings(Path::new("/var/tmp"))), Path::new("/var/tmp"));
        let long = PathBuf::from(format!("/{}", "x".repeat(90)));
        assert_eq!(base(&surroundings(&long)), Path::new("/tmp"));
    }
}
