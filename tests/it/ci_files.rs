//! The workflows that `pgtune init --ci` writes: they are YAML, and what they call runs.

use std::process::Command;

use serde_json::Value;

use crate::support::Database;
use crate::user_project::{Project, said, skipped};

/// A workflow as a value; `None`, said loudly, where nobody can read YAML.
fn read(project: &Project, path: &str) -> Option<Value> {
    let script = "import json, sys, yaml\nprint(json.dumps(yaml.safe_load(open(sys.argv[1])), \
                  default=str))";
    let path = project.folder.path().join(path);
    let output = Command::new("python3").args(["-c", script]).arg(path).output();
    let read = output.ok().filter(|output| {
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() || error.contains("No module named"), "{error}");
        output.status.success()
    });
    if read.is_none() {
        skipped("no python3 with yaml: nobody read the workflows");
    }
    Some(serde_json::from_slice(&read?.stdout).unwrap())
}

/// Runs the lines of a workflow that call pgtune, in their order, as the CI system would.
fn run(project: &Project, database: &Database, scripts: &[&str]) {
    let mut called = 0;
    for line in scripts.iter().flat_map(|script| script.lines()) {
        // What is installed is there already.
        if !line.contains("pgtune ") || line.contains("cargo install") || line.starts_with("gh ") {
            continue;
        }
        let script = line.replace("pgtune ", "\"$PGTUNE\" ");
        let mut command = Command::new("sh");
        command.args(["-ec", &script]).current_dir(project.folder.path()).env_clear();
        command
            .env("PGTUNE", crate::support::program())
            .env("PATH", std::env::var("PATH").unwrap());
        command.env("HOME", project.folder.path()).env("DATABASE_URL", &database.url);
        if let Some(folder) = std::env::var_os("PGTUNE_TEST_PG_BIN") {
            command.env("PGTUNE_PG_BIN", folder);
        }
        let told = said(command);
        assert_eq!(told.code, 0, "{line}: {told}");
        called += 1;
    }
    assert!(called >= 4, "{scripts:?}");
}

/// A new project, whose only migration makes a table, with the workflow of a system.
fn project(test: &str, system: &str) -> Option<(Project, Database)> {
    let (project, database) = Project::new(test)?;
    project.run(&["init", "--ci", system]).expect(0, &[]);
    project.migration("V1__first", "create table t (id int primary key);\n");
    Some((project, database))
}

fn is_written(project: &Project, path: &str) {
    assert!(project.folder.path().join(path).is_file(), "{path} is uploaded and not written");
}

#[test]
fn the_workflow_for_github_works_unchanged() {
    let Some((project, database)) = project("github", "github") else { return };
    let Some(workflow) = read(&project, ".github/workflows/pgtune.yml") else { return };
    let job = &workflow["jobs"]["migrate"];
    let image = job["services"]["postgres"]["image"].as_str().unwrap();
    let steps = job["steps"].as_array().unwrap();
    assert!(steps.iter().all(|step| step["run"].is_string() != step["uses"].is_string()));
    let scripts: Vec<&str> = steps.iter().filter_map(|step| step["run"].as_str()).collect();
    let package = image.replace("postgres:", "postgresql-");
    assert!(scripts.iter().any(|script| script.contains(&package)), "{package}");
    run(&project, &database, &scripts);
    // What later steps take was written.
    let sarif = steps.iter().find_map(|step| step["with"]["sarif_file"].as_str()).unwrap();
    for path in [sarif, "pgtune/check.md", "pgtune/check.html", "pgtune/check.xml"] {
        is_written(&project, path);
    }
    assert!(scripts.iter().any(|script| script.contains("--body-file pgtune/check.md")));
}

#[test]
fn the_pipeline_for_gitlab_works_unchanged() {
    let Some((project, database)) = project("gitlab", "gitlab") else { return };
    let Some(pipeline) = read(&project, ".gitlab-ci.yml") else { return };
    let lines = |job: &str| pipeline[job]["script"].as_array().unwrap().iter();
    let scripts: Vec<&str> =
        lines("check").chain(lines("migrations")).map(|line| line.as_str().unwrap()).collect();
    run(&project, &database, &scripts);
    let artifacts = &pipeline["check"]["artifacts"];
    for report in ["junit", "codequality"] {
        is_written(&project, artifacts["reports"][report].as_str().unwrap());
    }
    is_written(&project, "pgtune/check.html");
    assert!(
        lines("check").all(|line| pipeline["check"]["extends"] == ".pgtune" && line.is_string())
    );
}
