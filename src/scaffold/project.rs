//! What a new project starts with: a commented profile, and a CI workflow.

/// Where the project's CI runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Ci {
    /// GitHub Actions: `.github/workflows/pgtune.yml`
    Github,
    /// GitLab CI: `.gitlab-ci.yml`
    Gitlab,
}

/// What runs `pgtune partitions rotate` regularly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Schedule {
    /// A CronJob: `deploy/pgtune-partitions.yml`
    Kubernetes,
    /// A service and its timer, in `deploy/`
    Systemd,
    /// A crontab: `deploy/pgtune.cron`
    Cron,
}

/// A file to write.
#[derive(Debug, PartialEq, Eq)]
pub struct File {
    /// Relative to the project's folder.
    pub path: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// The files of a new project, the profile first.
pub fn files(ci: Option<Ci>, schedule: Option<Schedule>) -> Vec<File> {
    let profile =
        File { path: "pgtune.toml", text: include_str!("../../templates/init/pgtune.toml") };
    let workflow = ci.map(|ci| match ci {
        Ci::Github => File {
            path: ".github/workflows/pgtune.yml",
            text: include_str!("../../templates/init/github.yml"),
        },
        Ci::Gitlab => {
            File { path: ".gitlab-ci.yml", text: include_str!("../../templates/init/gitlab.yml") }
        }
    });
    let schedule = schedule.map_or_else(Vec::new, schedule_files);
    std::iter::once(profile).chain(workflow).chain(schedule).collect()
}

fn schedule_files(schedule: Schedule) -> Vec<File> {
    match schedule {
        Schedule::Kubernetes => vec![File {
            path: "deploy/pgtune-partitions.yml",
            text: include_str!("../../templates/init/schedule/cronjob.yml"),
        }],
        Schedule::Systemd => vec![
            File {
                path: "deploy/pgtune-partitions.service",
                text: include_str!("../../templates/init/schedule/pgtune-partitions.service"),
            },
            File {
                path: "deploy/pgtune-partitions.timer",
                text: include_str!("../../templates/init/schedule/pgtune-partitions.timer"),
            },
        ],
        Schedule::Cron => vec![File {
            path: "deploy/pgtune.cron",
            text: include_str!("../../templates/init/schedule/pgtune.cron"),
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Profile, layers};

    #[test]
    fn the_profile_can_be_read_and_changes_nothing() {
        let text = files(None, None)[0].text;
        let layered = layers::read(Some(("pgtune.toml", text)), None, Vec::new()).unwrap();
        assert_eq!(layered.profile, Profile::default());
    }

    #[test]
    fn what_the_profile_shows_as_comment_is_the_default() {
        let is_setting = |line: &str| line.contains(" = ") || line.starts_with('[');
        let uncomment = |line: &str| match line.strip_prefix("# ") {
            Some(setting) if is_setting(setting) => setting.to_string(),
            Some(_) | None => line.to_string(),
        };
        let lines: Vec<String> = files(None, None)[0].text.lines().map(uncomment).collect();
        let text = lines.join("\n");
        let layered = layers::read(Some(("pgtune.toml", &text)), Some("prod"), Vec::new()).unwrap();
        let shown = layers::read(Some(("pgtune.toml", &text)), None, Vec::new()).unwrap().profile;
        assert_eq!(layered.profile.limits.lock_budget.0, 500);
        assert_eq!(shown.limits, Profile::default().limits);
        assert_eq!(shown.migrations, Profile::default().migrations);
        assert_eq!(shown.gate, Profile::default().gate);
        assert_eq!(shown.snapshot, Profile::default().snapshot);
        assert_eq!(shown.check.allow.len(), 1);
        assert_eq!(shown.check.indexes_max, Profile::default().check.indexes_max);
        assert_eq!(shown.queries.len(), 1);
        for key in layers::keys() {
            let name = key.rsplit('.').next().unwrap();
            assert!(text.contains(&format!("\n{name} = ")), "the template lacks {key}");
        }
    }
}
