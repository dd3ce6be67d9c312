//! Shows an execution while it runs: bars on a terminal, a line per event elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{Ui, to_stderr};
use crate::executor::event::Event;
use crate::model::units::{human_count, human_duration};

/// Clocks and spinners move this often.
const TICK: Duration = Duration::from_millis(100);
/// Steps that take less than this are not worth a line of their own.
const WORTH_A_LINE: Duration = Duration::from_millis(100);
/// A waiting step is reported this often where there is no terminal.
const REPEAT_WAITING: Duration = Duration::from_secs(5);

/// Returns what shows each event of a run of about `steps` steps.
pub fn display(ui: Ui, steps: usize) -> Box<dyn FnMut(&Event)> {
    if ui.quiet {
        Box::new(|_| {})
    } else if std::io::stderr().is_terminal() {
        let mut bars = Bars::new(steps);
        Box::new(move |event| bars.show(event))
    } else {
        let mut lines = Lines::default();
        Box::new(move |event| {
            if let Some(line) = lines.line(event) {
                to_stderr(&format!("{line}\n"));
            }
        })
    }
}

/// The same where somebody looks on; elsewhere it shows nothing.
pub fn bars(ui: Ui, steps: usize) -> Box<dyn FnMut(&Event)> {
    match std::io::stderr().is_terminal() {
        true => display(ui, steps),
        false => Box::new(|_| {}),
    }
}

/// Returns what shows how many of `total` things are done, of which kind: a bar on a terminal,
/// nothing elsewhere.
pub fn count(ui: Ui, total: u64) -> Box<dyn FnMut(u64, &'static str)> {
    if ui.quiet || !std::io::stderr().is_terminal() {
        return Box::new(|_, _| {});
    }
    let template = "{bar:30} {percent:>3} %  {human_pos}/{human_len}  {eta:>4}  {wide_msg}";
    let bar = Cleared(ProgressBar::new(total).with_style(style(template)));
    Box::new(move |done, kind| {
        bar.0.set_message(kind);
        bar.0.set_position(done);
    })
}

/// Returns what shows how much of the time is over, and how many things of a kind are done: a bar
/// on a terminal, nothing elsewhere.
pub fn clock(ui: Ui, total: Duration, kind: &'static str) -> Box<dyn FnMut(Duration, u64)> {
    if ui.quiet || !std::io::stderr().is_terminal() {
        return Box::new(|_, _| {});
    }
    let template = "{bar:30} {percent:>3} %  {eta:>4}  {wide_msg}";
    let total = u64::try_from(total.as_millis()).unwrap_or(u64::MAX);
    let bar = Cleared(ProgressBar::new(total).with_style(style(template)));
    Box::new(move |elapsed, done| {
        bar.0.set_message(format!("{} {kind}", human_count(done)));
        bar.0.set_position(u64::try_from(elapsed.as_millis()).unwrap_or(total).min(total));
    })
}

/// A bar that leaves nothing on the terminal.
struct Cleared(ProgressBar);

impl Drop for Cleared {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// One line per event that matters.
#[derive(Default)]
struct Lines {
    names: BTreeMap<usize, String>,
    waited: BTreeMap<usize, Duration>,
    percent: BTreeMap<usize, u64>,
}

impl Lines {
    fn line(&mut self, event: &Event) -> Option<String> {
        match event {
            Event::StageStarted { .. } | Event::StageDone => None,
            Event::StepStarted { step, name } => {
                self.names.insert(*step, name.clone());
                None
            }
            Event::Waiting { step, blockers, waited } => {
                let last = self.waited.get(step).copied();
                if last.is_some_and(|last| *waited >= last && *waited < last + REPEAT_WAITING) {
                    return None;
                }
                self.waited.insert(*step, *waited);
                let who = blockers.first().map_or_else(String::new, ToString::to_string);
                Some(format!("waiting  {} for {who}", self.name(*step)))
            }
            Event::Progress { step, phase, done, total } => {
                let percent = done.saturating_mul(100).checked_div(*total)?;
                let last = self.percent.insert(*step, percent / 10);
                (last != Some(percent / 10))
                    .then(|| format!("working  {}: {phase} {percent} %", self.name(*step)))
            }
            Event::Retrying { step, attempts, pause, reason } => Some(format!(
                "retrying {} in {} (tried {attempts} times: {reason})",
                self.name(*step),
                human_duration(*pause)
            )),
            Event::Remarked { step, severity, message } => {
                Some(remark(&self.name(*step), severity, message))
            }
            Event::StepDone { step, elapsed } => {
                let name = self.name(*step);
                self.forget(*step);
                Some(format!("done     {name} ({})", human_duration(*elapsed)))
            }
            Event::StepFailed { step, name } => {
                self.forget(*step);
                Some(format!("failed   {name}"))
            }
        }
    }

    fn name(&self, step: usize) -> String {
        self.names.get(&step).cloned().unwrap_or_default()
    }

    fn forget(&mut self, step: usize) {
        self.names.remove(&step);
        self.waited.remove(&step);
        self.percent.remove(&step);
    }
}

/// A remark of the server; what it says may come from data, which must not steer the terminal.
fn remark(name: &str, severity: &str, message: &str) -> String {
    let harmless = |c: char| if c.is_control() && c != '\n' { ' ' } else { c };
    let message: String = message.chars().map(harmless).collect();
    format!("{}: {name}: {message}", severity.to_lowercase())
}

/// A bar for the run, and one below it for each step at work.
struct Bars {
    all: MultiProgress,
    run: ProgressBar,
    steps: BTreeMap<usize, ProgressBar>,
}

impl Bars {
    fn new(steps: usize) -> Bars {
        let all = MultiProgress::new();
        let run = all.add(
            ProgressBar::new(steps as u64)
                .with_style(style("{bar:30} {pos}/{len} steps  {elapsed_precise}  {wide_msg}")),
        );
        run.enable_steady_tick(TICK);
        Bars { all, run, steps: BTreeMap::new() }
    }

    fn show(&mut self, event: &Event) {
        match event {
            Event::StageStarted { title, .. } => self.run.set_message(title.clone()),
            Event::StageDone => {}
            Event::StepStarted { step, name } => {
                let bar = ProgressBar::new(0).with_style(style("  {spinner} {prefix}  {wide_msg}"));
                let bar = self.all.add(bar).with_prefix(name.clone());
                bar.enable_steady_tick(TICK);
                self.steps.insert(*step, bar);
            }
            Event::Waiting { step, blockers, waited } => {
                let who = blockers.first().map_or_else(String::new, ToString::to_string);
                self.say(*step, format!("waiting {} for {who}", human_duration(*waited)));
            }
            Event::Progress { step, phase, done, total } => {
                self.advance(*step, phase, *done, *total)
            }
            Event::Retrying { step, attempts, reason, .. } => {
                self.say(*step, format!("stood back after try {attempts}: {reason}"));
            }
            Event::Remarked { step, severity, message } => {
                let name = self.steps.get(step).map_or_else(String::new, |bar| bar.prefix());
                // A terminal that went away must not stop the work.
                let _ = self.all.println(remark(&name, severity, message));
            }
            Event::StepDone { step, elapsed } => {
                self.run.inc(1);
                self.end(*step, "✓", *elapsed);
            }
            Event::StepFailed { step, .. } => self.end(*step, "✗", WORTH_A_LINE),
        }
    }

    fn say(&self, step: usize, message: String) {
        if let Some(bar) = self.steps.get(&step) {
            bar.set_message(message);
            bar.tick();
        }
    }

    fn advance(&self, step: usize, phase: &str, done: u64, total: u64) {
        if let Some(bar) = self.steps.get(&step) {
            bar.set_style(style("  {bar:20} {percent:>3} %  {eta:>4}  {prefix}  {wide_msg}"));
            bar.set_length(total);
            bar.set_position(done);
            bar.set_message(phase.to_string());
        }
    }

    /// Takes the step's bar away; what took its time leaves a line.
    fn end(&mut self, step: usize, mark: &str, elapsed: Duration) {
        let Some(bar) = self.steps.remove(&step) else { return };
        bar.finish_and_clear();
        if elapsed >= WORTH_A_LINE {
            let line = format!("  {mark} {}  {}", bar.prefix(), human_duration(elapsed));
            // A terminal that went away must not stop the work.
            let _ = self.all.println(line);
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.run.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates of this file are valid")
}
