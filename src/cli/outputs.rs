//! All that one run writes: the answer on standard output, files in other formats, annotations.

use std::path::{Component, Path, PathBuf};

use clap::{ArgAction, ValueEnum};

use super::context::Context;
use crate::cli::context::DEFAULT_PROFILE;
use crate::error::{Error, Result};
use crate::model::finding::{Finding, Place, Severity};
use crate::model::suggest::nearest;
use crate::report::verdict::Checked;
use crate::report::{Report, Section, github, gitlab, html, json, junit, markdown, sarif, text};

/// What to write besides the answer.
#[derive(Debug, clap::Args)]
pub struct OutputArgs {
    /// Write the answer into a file too, whatever it is; may be repeated
    ///
    /// Formats: text, markdown (for a comment), json, junit, sarif, gitlab (code quality) and html
    /// (one page).
    #[arg(
        long = "output",
        value_name = "FORMAT=FILE",
        value_parser = parse_output,
        action = ArgAction::Append
    )]
    outputs: Vec<Output>,
    /// Say findings so that the CI system shows them beside the lines; without this flag, where
    /// GITHUB_ACTIONS is "true"
    #[arg(long, value_enum, value_name = "SYSTEM")]
    annotations: Option<Annotations>,
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Markdown,
    Json,
    Junit,
    Sarif,
    Gitlab,
    Html,
}

/// A file to write.
#[derive(Debug, Clone, PartialEq)]
struct Output {
    format: Format,
    path: PathBuf,
}

/// Who is told of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Annotations {
    /// GitHub Actions, on standard error
    Github,
    /// Nobody
    None,
}

/// What a check found, and the answer that its exit code gives.
pub struct Examined {
    /// All of it.
    pub report: Report,
    /// An error of the kind "answer", where it is no.
    pub answer: Result<()>,
}

/// Shows and writes what was found. An examination that failed is written too, as a finding: those
/// who read the files shall not take it for one that passed.
pub fn deliver(context: &Context, args: &OutputArgs, examined: Result<Examined>) -> Result<()> {
    let (report, answer) = match examined {
        Ok(Examined { report, answer }) => {
            let shown = context.show(&report);
            (report, answer.and(shown))
        }
        Err(error) => (failed(&error), Err(error)),
    };
    let within = report_of_repository(&report);
    if args.annotations() == Annotations::Github {
        context.ui.annotate(&github::render(&within));
    }
    // Each is tried, whatever becomes of the others.
    let failures: Vec<Error> =
        args.outputs.iter().filter_map(|output| output.write(&report, &within).err()).collect();
    unwritten(failures, answer)
}

impl OutputArgs {
    fn annotations(&self) -> Annotations {
        let on_github = || std::env::var("GITHUB_ACTIONS").is_ok_and(|value| value == "true");
        let default = || if on_github() { Annotations::Github } else { Annotations::None };
        self.annotations.unwrap_or_else(default)
    }
}

impl Output {
    /// `within` is the report with paths as the repository has them.
    fn write(&self, report: &Report, within: &Report) -> Result<()> {
        let text = match self.format {
            Format::Text => anstream::adapter::strip_str(&text::render(report, None)).to_string(),
            Format::Markdown => markdown::render(report),
            Format::Json => json::render(report),
            Format::Junit => junit::render(within),
            Format::Sarif => sarif::render(within, &fallback(within)),
            Format::Gitlab => gitlab::render(within, &fallback(within)),
            Format::Html => html::render(report),
        };
        let failed = |error| Error::system(format!("write {}", self.path.display()), error);
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        std::fs::write(&self.path, text).map_err(failed)
    }
}

/// The answer; where files could not be written, an error that names them and the answer.
fn unwritten(failures: Vec<Error>, answer: Result<()>) -> Result<()> {
    let mut failures = failures.into_iter();
    let Some(mut first) = failures.next() else { return answer };
    for other in failures {
        let causes = other.causes().join(": ");
        first.message += &format!(", and {} ({causes})", other.message);
    }
    if let Err(answer) = answer {
        first.message += &format!("; the check itself: {answer}");
        first.hints.extend(answer.hints);
    }
    Err(first)
}

/// A check that came to no answer, as a report.
fn failed(error: &Error) -> Report {
    let message = [vec![error.message.clone()], error.causes()].concat().join(": ");
    let finding = Finding::new("check-failed", Severity::Error, "pgtune check", message);
    let finding = Finding { place: error.place.clone(), ..finding.help(error.hints.join("\n")) };
    Report::new("").findings(vec![finding]).judged(Vec::new())
}

/// The file that findings without one are put to: the first that was checked, else the profile.
fn fallback(report: &Report) -> String {
    let checked = report.verdict().map(|verdict| verdict.checked.as_slice()).unwrap_or_default();
    let place = checked.iter().find_map(|one| one.place.as_ref());
    place.map_or_else(|| within_repository(DEFAULT_PROFILE), |place| place.path.clone())
}

/// The report with paths that begin at the top of the repository, where CI systems look for them.
fn report_of_repository(report: &Report) -> Report {
    let mut report = report.clone();
    let rebase = |place: &mut Place| place.path = within_repository(&place.path);
    for section in &mut report.sections {
        match section {
            Section::Verdict(verdict) => {
                let places =
                    verdict.checked.iter_mut().filter_map(|one: &mut Checked| one.place.as_mut());
                places.for_each(rebase);
            }
            Section::Findings { findings } => {
                findings.iter_mut().filter_map(|one| one.place.as_deref_mut()).for_each(rebase);
            }
            Section::Facts { .. }
            | Section::Table(_)
            | Section::PlanDiff { .. }
            | Section::Course(_)
            | Section::Locks { .. }
            | Section::Timeline(_)
            | Section::Text { .. } => {}
        }
    }
    report
}

/// A path from here as one from the top of the repository, where the CI system says where that is.
fn within_repository(path: &str) -> String {
    let tops = ["GITHUB_WORKSPACE", "CI_PROJECT_DIR"].into_iter().filter_map(std::env::var_os);
    let Ok(here) = std::env::current_dir() else { return path.to_string() };
    let full = without_parents(&here.join(path));
    let mut tops = tops.filter(|top| !top.is_empty());
    let inside =
        tops.find_map(|top| full.strip_prefix(Path::new(&top)).ok().map(Path::to_path_buf));
    inside.map_or_else(|| path.to_string(), |inside| inside.display().to_string())
}

/// A path without `.` and `..`, as CI systems write theirs.
fn without_parents(path: &Path) -> PathBuf {
    let mut short = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(short.pop()),
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => short.push(part),
        }
    }
    short
}

fn parse_output(text: &str) -> std::result::Result<Output, String> {
    let names: Vec<String> = Format::value_variants()
        .iter()
        .filter_map(|format| Some(format.to_possible_value()?.get_name().to_string()))
        .collect();
    let Some((format, path)) = text.split_once('=').filter(|(_, path)| !path.is_empty()) else {
        return Err(format!("write FORMAT=FILE; formats: {}", names.join(", ")));
    };
    let format = Format::from_str(format, false).map_err(|_| {
        let names = names.iter().map(String::as_str);
        match nearest(format, names.clone()) {
            Some(known) => format!("there is no format {format}; did you mean {known}?"),
            None => format!("formats: {}", names.collect::<Vec<_>>().join(", ")),
        }
    })?;
    Ok(Output { format, path: PathBuf::from(path) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn an_output_is_a_format_and_a_file() {
        let output = parse_output("junit=out/a=b.xml").unwrap();
        assert_eq!(output, Output { format: Format::Junit, path: PathBuf::from("out/a=b.xml") });
        assert!(parse_output("junit").unwrap_err().starts_with("write FORMAT=FILE; formats: text"));
        assert!(parse_output("html=").is_err());
        assert_eq!(
            parse_output("junt=x").unwrap_err(),
            "there is no format junt; did you mean junit?"
        );
    }

    #[test]
    fn files_that_cannot_be_written_do_not_hide_the_answer() {
        let answer = || Err(Error::new(Kind::Answer, "would be worse: q").hint("look"));
        assert_eq!(unwritten(Vec::new(), answer()).unwrap_err().kind, Kind::Answer);
        let failures = ["a", "b"]
            .map(|name| Error::system(format!("write {name}"), std::io::Error::other("disk full")));
        let error = unwritten(failures.into(), answer()).unwrap_err();
        assert_eq!(error.kind, Kind::System);
        let told = "cannot write a, and cannot write b (disk full); the check itself: would be \
                    worse: q";
        assert_eq!((error.message.as_str(), error.hints[0].as_str()), (told, "look"));
    }
}
