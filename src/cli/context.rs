//! What every command shares: the global flags, and what they come to.

use std::path::{Component, Path, PathBuf};

use clap::ValueHint;
use clap::builder::{OsStringValueParser, TypedValueParser};

use crate::error::{Error, Kind, Result};
use crate::profile::Profile;
use crate::profile::layers::{self, Layered, Origin, Overrides};
use crate::report::Report;
use crate::report::json;
use crate::runbook::Runbook;
use crate::ui::{ColorChoice, Format, Ui};

/// The profile that is read where none is named.
pub const DEFAULT_PROFILE: &str = "pgtune.toml";

/// Flags that every command takes, as they were typed.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Profile to read; without it pgtune.toml in the current folder, if it is there
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        value_parser = OsStringValueParser::new().map(PathBuf::from),
        env = "PGTUNE_PROFILE",
        hide_env_values = true
    )]
    pub profile: Option<PathBuf>,
    /// Overlay of the profile to use: `[env.NAME]`
    #[arg(long, global = true, value_name = "NAME", env = "PGTUNE_ENV", hide_env_values = true)]
    pub env: Option<String>,
    /// Database to connect to: postgres://… or "host=… dbname=…"
    ///
    /// Without it `database.url` of the profile, `DATABASE_URL`, or libpq's own variables. Others
    /// can see a password that is given here: use the password file or `PGPASSWORD`.
    #[arg(long, global = true, value_name = "URL")]
    pub url: Option<String>,
    /// How to print the answer
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "text",
        env = "PGTUNE_FORMAT",
        hide_env_values = true
    )]
    pub format: Format,
    /// Short for --format json
    #[arg(long, global = true)]
    pub json: bool,
    /// When to colour the output
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value = "auto",
        env = "PGTUNE_COLOR",
        hide_env_values = true
    )]
    pub color: ColorChoice,
    /// Leave out progress and remarks
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

impl GlobalArgs {
    /// The way to print that was asked for.
    pub fn ui(&self) -> Ui {
        let format = if self.json { Format::Json } else { self.format };
        Ui::new(self.color, format, self.quiet)
    }

    /// The profile's path: the one named, or the default one where it exists.
    pub fn profile_path(&self) -> Option<PathBuf> {
        let default = || Some(PathBuf::from(DEFAULT_PROFILE)).filter(|path| path.is_file());
        // CI systems set variables that mean nothing to the empty text.
        let named = self.profile.clone().filter(|path| !path.as_os_str().is_empty());
        named.or_else(default)
    }

    /// Values of the profile that were given as flags.
    fn overrides(&self) -> Overrides {
        let url = self.url.iter().map(|url| {
            ("database.url".to_string(), url.clone(), Origin::Flag("--url".to_string()))
        });
        url.collect()
    }
}

/// What a command works with; made once, before it runs.
#[derive(Debug)]
pub struct Context {
    /// Where to print.
    pub ui: Ui,
    /// The profile with the origin of each value.
    pub layered: Layered,
    /// The folder that paths in the profile start from.
    pub profile_folder: PathBuf,
}

impl Context {
    /// Reads the profile and puts the layers together: flags over `PGTUNE_*` variables over the
    /// profile over the defaults.
    pub fn load(global: &GlobalArgs, ui: Ui) -> Result<Context> {
        let path = global.profile_path();
        let file = path.as_deref().map(read_profile).transpose()?;
        let mut overrides = layers::variables(utf8_variables())?;
        overrides.extend(global.overrides());
        let environment = global.env.clone().filter(|name| !name.is_empty());
        let file = file.as_ref().map(|(name, text)| (name.as_str(), text.as_str()));
        let layered = layers::read(file, environment.as_deref(), overrides)?;
        let parent = path.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        Ok(Context { ui, layered, profile_folder: parent.to_path_buf() })
    }

    /// The values that hold.
    pub fn profile(&self) -> &Profile {
        &self.layered.profile
    }

    /// Where the migration files are.
    pub fn migrations_folder(&self) -> PathBuf {
        let folder = self.profile_folder.join(&self.profile().migrations.folder);
        without_parents(&folder).unwrap_or(folder)
    }

    /// Prints a runbook: as `shown` for people, itself for machines.
    pub fn show_runbook(&self, runbook: &Runbook, shown: &Report) -> Result<()> {
        match self.ui.format {
            Format::Text | Format::Markdown => self.ui.show(shown),
            Format::Json => self.ui.answer(&json::runbook(runbook)),
        }
    }

    /// Prints a report to stdout, in the format that was asked for.
    pub fn show(&self, report: &Report) -> Result<()> {
        self.ui.show(report)
    }
}

/// A folder without `..` in its path, where it is below the current one: what is shown, and what CI
/// systems know files by.
fn without_parents(folder: &Path) -> Option<PathBuf> {
    folder.components().find(|part| *part == Component::ParentDir)?;
    let here = Path::new(".").canonicalize().ok()?;
    let folder = folder.canonicalize().ok()?.strip_prefix(here).ok()?.to_path_buf();
    (folder != Path::new("")).then_some(folder)
}

/// The profile's name to show, and its text.
fn read_profile(path: &Path) -> Result<(String, String)> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let error = Error::system(format!("read the profile {name}"), error);
        match missing {
            true => Error { kind: Kind::Usage, ..error }.hint("`pgtune init` writes one"),
            false => error,
        }
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Error::usage(format!("{name}: byte {at} is not UTF-8, which TOML is written in"))
    })?;
    // Editors on Windows put a byte-order mark in front.
    Ok((name, text.trim_start_matches('\u{feff}').to_string()))
}

/// The environment; what is not UTF-8 names no key of ours.
fn utf8_variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}
