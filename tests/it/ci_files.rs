//! The workflows that `pgtune init --ci` writes: they are YAML, and what they call runs.

use std::process::Command;

use serde_json::Value;

use crate::support::{Holder, debug_server, server};
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

/// Runs the lines of a workflow that call pgtune, in their order, as the CI system would: with the
/// variable that it sets, and with no other server than the service's.
fn run(project: &Project, service: &Holder, scripts: &[&str]) {
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
        command.env("HOME", project.folder.path()).env("PGTUNE_SHADOW_URL", &service.url);
        let told = said(command);
        assert_eq!(told.code, 0, "{line}: {told}");
        if script.contains(" check") {
            told.expect(0, &["of PGTUNE_SHADOW_URL for a shadow"]);
        }
        called += 1;
    }
    assert!(called >= 4, "{scripts:?}");
}

/// A new project, whose only migration makes a table, with the workflow of a system; and the server
/// of its service container, made as the image makes it.
fn project(system: &str) -> Option<(Project, Holder)> {
    server()?;
    let mut command = debug_server();
    command.args(["--loopback", "--checksums", "--set", "fsync=on"]);
    let service = Holder::start(command).unwrap_or_else(|output| panic!("{output:?}"));
    let project = Project::at("");
    project.run(&["init", "--ci", system]).expect(0, &[]);
    // What developers have there does not stand in the way.
    project.profile("[database]\nurl = \"postgres://app@localhost:5432/app\"\n");
    project.migration("V1__first", "create role app;\ncreate table t (id int primary key);\n");
    Some((project, service))
}

/// The URL that a workflow sets has the password of its service, and the address that it has there.
fn is_reachable(variables: &Value, environment: &Value, address: &str) {
    let password = environment["POSTGRES_PASSWORD"].as_str().unwrap();
    let url = format!("postgres://postgres:{password}@{address}/postgres");
    assert_eq!(variables["PGTUNE_SHADOW_URL"], url);
}

fn is_written(project: &Project, path: &str) {
    assert!(project.folder.path().join(path).is_file(), "{path} is uploaded and not written");
}

#[test]
fn the_workflow_for_github_works_unchanged() {
    let Some((project, service)) = project("github") else { return };
    let Some(workflow) = read(&project, ".github/workflows/pgtune.yml") else { return };
    let job = &workflow["jobs"]["migrate"];
    let container = &job["services"]["postgres"];
    let (host, _) = container["ports"][0].as_str().unwrap().split_once(':').unwrap();
    is_reachable(&job["env"], &container["env"], &format!("localhost:{host}"));
    let steps = job["steps"].as_array().unwrap();
    assert!(steps.iter().all(|step| step["run"].is_string() != step["uses"].is_string()));
    let scripts: Vec<&str> = steps.iter().filter_map(|step| step["run"].as_str()).collect();
    run(&project, &service, &scripts);
    // What later steps take was written.
    let sarif = steps.iter().find_map(|step| step["with"]["sarif_file"].as_str()).unwrap();
    for path in [sarif, "pgtune/check.md", "pgtune/check.html", "pgtune/check.xml"] {
        is_written(&project, path);
    }
    assert!(scripts.iter().any(|script| script.contains("--body-file pgtune/check.md")));
}

#[test]
fn the_pipeline_for_gitlab_works_unchanged() {
    let Some((project, service)) = project("gitlab") else { return };
    let Some(pipeline) = read(&project, ".gitlab-ci.yml") else { return };
    let lines = |job: &str| pipeline[job]["script"].as_array().unwrap().iter();
    let scripts: Vec<&str> =
        lines("check").chain(lines("migrations")).map(|line| line.as_str().unwrap()).collect();
    let variables = &pipeline[".pgtune"]["variables"];
    let alias = pipeline[".pgtune"]["services"][0]["alias"].as_str().unwrap();
    is_reachable(variables, variables, &format!("{alias}:5432"));
    run(&project, &service, &scripts);
    let artifacts = &pipeline["check"]["artifacts"];
    for report in ["junit", "codequality"] {
        is_written(&project, artifacts["reports"][report].as_str().unwrap());
    }
    is_written(&project, "pgtune/check.html");
    assert!(
        lines("check").all(|line| pipeline["check"]["extends"] == ".pgtune" && line.is_string())
    );
}
