//! Dies on purpose: `PGTUNE_FAULT=7` kills the process, for real, before it handles its seventh
//! event. Debug builds only; the tests sweep over all events.

/// Counts down to the event to die at.
pub struct Fault {
    events_left: Option<u32>,
}

impl Fault {
    /// As the environment says; never in a release build.
    pub fn of_process() -> Fault {
        let asked = std::env::var("PGTUNE_FAULT").ok().and_then(|number| number.parse().ok());
        Fault { events_left: asked.filter(|_| cfg!(debug_assertions)) }
    }

    /// An event is about to be handled.
    pub fn strike(&mut self) {
        if let Some(left) = &mut self.events_left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                std::process::abort();
            }
        }
    }
}
