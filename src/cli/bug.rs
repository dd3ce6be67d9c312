//! A panic is a bug in pgtune: says so, says how to report it, and keeps the exit code of bugs.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};

use crate::error::{Error, Kind};
use crate::ui::Ui;

/// Replaces Rust's own message for panics. A backtrace comes with `RUST_BACKTRACE=1`.
pub fn install_hook(ui: Ui) {
    std::panic::set_hook(Box::new(move |panic| {
        let mut error = describe(panic);
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            error = error.hint(format!("backtrace for the report:\n{backtrace}"));
        }
        ui.error(&error);
    }));
}

/// Runs `work`; `None` where it panicked, after what it held was dropped (private servers stop).
pub fn catch<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

fn describe(panic: &PanicHookInfo<'_>) -> Error {
    let message = panic.payload_as_str().unwrap_or("no message");
    let place = panic.location().map_or_else(String::new, |place| format!(" at {place}"));
    Error::new(Kind::Bug, format!("this is a bug in pgtune{place}: {message}"))
        .hint(concat!(
            "please report it with the command you ran: ",
            env!("CARGO_PKG_REPOSITORY"),
            "/issues (this is pgtune ",
            env!("CARGO_PKG_VERSION"),
            ")"
        ))
        .hint("what was done in the database can be seen with `pgtune status`")
}
