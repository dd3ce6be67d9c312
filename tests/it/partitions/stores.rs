//! A place for archives that takes nothing, at the command: nothing is dropped, all else is done,
//! and the next run goes on.

use std::net::TcpListener;
use std::process::Command;

use super::archive::{MONTHS, NOW, RULE};
use super::{Kept, rotation};
use crate::archive::{KEY, Mount, S3, SECRET, run_as};
use crate::support::program;
use crate::user_project::{Said, said};

/// What does not pack into a megabyte, in the month that leaves.
const NOISE: &str = "insert into ev select timestamptz '2025-09-10Z' + n * interval '1 second', n,
        (select string_agg(md5((n * 8 + k)::text), '') from generate_series(1, 8) as k)
    from generate_series(1, 20000) as n";

impl Kept {
    fn noise(test: &str) -> Option<Kept> {
        Kept::new(test, &[MONTHS, NOISE], RULE)
    }

    /// Everything below that folder, relative to the profile's.
    fn files(&self, folder: &std::path::Path) -> Vec<std::path::PathBuf> {
        crate::archive::files_in(&self.project.folder.path().join(folder))
    }

    /// After a run that could not archive.
    #[track_caller]
    fn check_kept(&self, said: &Said) {
        assert!(said.stdout.contains("1 of 1 table failed"), "{said}");
        assert!(self.has("ev_2026_04"), "what is missing is created: {said}");
        assert_eq!(self.count("select count(*) from ev_2025_09"), 20_708, "{said}");
        let done = "select count(*) from pgtune_state.partition_ledger
            where archive is not null or dropped_at is not null";
        assert_eq!(self.count(done), 0, "{said}");
        super::check_tidy(&mut self.connect());
    }

    /// After the next run, which could.
    #[track_caller]
    fn check_archived(&self, said: &Said) {
        said.expect(0, &[]);
        assert!(!self.has("ev_2025_09") && self.has("ev_2025_10"), "{said}");
        let done = "select count(*) from pgtune_state.partition_ledger
            where archive is not null and dropped_at is not null";
        assert_eq!(self.count(done), 1, "{said}");
    }
}

#[test]
fn a_full_disk_drops_nothing_and_the_next_run_goes_on() {
    let Some(kept) = Kept::noise("store_full") else { return };
    let Some(small) = Mount::tmpfs("size=1m") else { return };
    let to = |place: &str| RULE.replace("\"archive\"\n[[", &format!("\"{place}\"\n[["));
    let place = small.0.path().to_str().unwrap();
    kept.project.profile(to(place));
    for _ in 0..2 {
        let said = kept.project.run(&rotation(NOW));
        said.expect(6, &["cannot write", "No space left", "the disk is full"]);
        kept.check_kept(&said);
        assert_eq!(kept.files(small.0.path()), Vec::<std::path::PathBuf>::new());
    }
    let grown = Command::new("mount").args(["-o", "remount,size=64m", place]).status().unwrap();
    assert!(grown.success());
    kept.check_archived(&kept.project.run(&rotation(NOW)));
    assert_eq!(kept.files(small.0.path()).len(), 2);
    kept.check_done(NOW);
}

/// A limit on the size of files (`setrlimit`), as a supervisor may set it. The signal that comes
/// with it has to be ignored to become an error; else the process dies, as `kill` would let it.
#[test]
fn a_limit_of_file_sizes_drops_nothing_and_the_next_run_goes_on() {
    for (trap, code) in [("trap '' XFSZ", 6), (":", -1)] {
        let Some(kept) = Kept::noise("store_limit") else { return };
        let script = format!("{trap}; ulimit -c 0; ulimit -f 200; exec \"$0\" \"$@\"");
        let pgtune = kept.project.command(&rotation(NOW));
        let mut limited = Command::new("bash");
        limited.args(["-c", &script]).arg(program()).args(pgtune.get_args());
        let folder = kept.project.folder.path();
        limited.current_dir(folder).env_clear().env("HOME", folder);
        let outcome = said(limited);
        assert_eq!(outcome.code, code, "{outcome}");
        if code == 6 {
            outcome
                .expect(6, &["cannot write", "File too large", "a limit of this user is reached"]);
            kept.check_kept(&outcome);
        }
        assert_eq!(kept.count("select count(*) from ev_2025_09"), 20_708, "{outcome}");
        kept.check_archived(&kept.project.run(&rotation(NOW)));
        kept.check_done(NOW);
    }
}

#[test]
fn a_store_that_is_down_drops_nothing_and_the_next_run_goes_on() {
    let Some(kept) = Kept::noise("store_down") else { return };
    let at = |url: &str| {
        let to = "\"s3://archive/rows\"";
        let settings = format!("{to}\nendpoint = \"{url}\"\npath_style = true\n[[");
        RULE.replace("\"archive\"\n[[", &settings)
    };
    // Nobody listens where somebody did.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    kept.project.profile(at(&format!("http://127.0.0.1:{port}")));
    let rotate = || run_as(&kept.project, KEY, SECRET, &rotation(NOW));
    let said = rotate();
    said.expect(6, &["cannot reach s3://archive/rows at 127.0.0.1", "see archive.endpoint"]);
    kept.check_kept(&said);
    let Some(s3) = S3::start(&[]) else { return };
    kept.project.profile(at(&s3.url));
    kept.check_archived(&rotate());
    // It goes down between archiving and dropping.
    let grace = at(&s3.url).replace("grace = \"0\"", "grace = \"7d\"");
    kept.project.profile(&grace);
    let later = || run_as(&kept.project, KEY, SECRET, &rotation("2026-04-15"));
    later().expect(0, &[]);
    kept.sql("update pgtune_state.partition_ledger set detached_at = '2026-03-01'");
    drop(s3);
    later().expect(6, &["cannot reach s3://archive/rows at 127.0.0.1"]);
    assert!(kept.has("ev_2025_10"));
}
