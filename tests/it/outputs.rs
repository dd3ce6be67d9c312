//! All outputs of one `pgtune check`, and the page in a real browser.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::browser::Browser;
use crate::support::Database;
use crate::user_project::{Project, Said, skipped};

/// A name that means something to every format.
const HOSTILE: &str = "<script>alert(1)</script>,%\"a\":b&'c]]>";

const SCHEMA: &str = "\
create table orders (id int primary key, customer int not null, note text);
create index orders_customer on orders (customer);
create table events (at timestamptz not null, kind text) partition by range (at);
create table events_past partition of events for values from ('2000-01-01Z') to ('2025-01-01Z');
create table events_present partition of events for values from ('2025-01-01Z') to ('2090-01-01Z');
";

const ROWS: &str = "\
insert into orders select i, i % 500, repeat('x', 100) from generate_series(1, 20000) i;
insert into events select '2024-01-01Z'::timestamptz + i * interval '1 hour', 'a'
from generate_series(1, 1000) i;
analyze;
";

const PENDING: &str = "\
alter table orders alter column id type bigint;
drop index orders_customer;
";

const RULE: &str = "\
[[partitions]]
table = \"events\"
interval = \"year\"
ahead = 1
time_zone = \"UTC\"
";

/// Every format and its file.
const OUTPUTS: [(&str, &str); 7] = [
    ("text", "out/check.txt"),
    ("markdown", "out/check.md"),
    ("json", "out/check.json"),
    ("junit", "out/check.xml"),
    ("sarif", "out/check.sarif"),
    ("gitlab", "out/gitlab.json"),
    ("html", "out/check.html"),
];

/// A project with a pending migration that makes a query dearer, and a snapshot.
fn project(test: &str) -> Option<(Project, Database)> {
    let (project, database) = Project::new(test)?;
    project.profile(RULE).migration("V1__shop", SCHEMA);
    project.migrate().expect(0, &[]);
    database.connect().batch_execute(ROWS).unwrap();
    run(&project, &["snapshot", "take", "prod.json"]).expect(0, &[]);
    let queries = format!(
        "-- name: {HOSTILE}\nselect * from orders where customer = 7;\n\
         -- name: fine\nselect * from orders where id = 7;\n"
    );
    std::fs::write(project.folder.path().join("queries.sql"), queries).unwrap();
    project.migration("V2__wide", PENDING);
    Some((project, database))
}

fn run(project: &Project, arguments: &[&str]) -> Said {
    let mut command = project.command(arguments);
    command.env("CI_PROJECT_DIR", project.folder.path().canonicalize().unwrap());
    crate::user_project::said(command)
}

/// `pgtune check` with these outputs, as `FORMAT=FILE`.
fn check(project: &Project, outputs: &[String], more: &[&str]) -> Said {
    let mut arguments = vec!["check", "--snapshot", "prod.json", "-f", "queries.sql"];
    arguments.extend(outputs.iter().flat_map(|output| ["--output", output]));
    arguments.extend(more);
    run(project, &arguments)
}

fn read(project: &Project, path: &str) -> String {
    std::fs::read_to_string(project.folder.path().join(path)).unwrap()
}

#[test]
fn one_run_writes_every_format_whatever_the_answer() {
    let Some((project, _database)) = project("outputs") else { return };
    let mut outputs: Vec<String> =
        OUTPUTS.iter().map(|(format, path)| format!("{format}={path}")).collect();
    // What cannot be written is named, and hides none of the others.
    outputs.insert(0, "json=queries.sql/impossible".to_string());
    let said = check(&project, &outputs, &["--annotations", "github", "--json"]);
    said.expect(6, &["cannot write queries.sql/impossible", "would be worse: <script>"]);
    let answer: Value = serde_json::from_str(&said.stdout).unwrap();
    let written: Value = serde_json::from_str(&read(&project, "out/check.json")).unwrap();
    assert_eq!(answer, written);
    let sections = answer["sections"].as_array().unwrap();
    let kinds: Vec<&str> = sections.iter().map(|one| one["kind"].as_str().unwrap()).collect();
    for kind in ["verdict", "findings", "table", "plan_diff", "locks", "timeline"] {
        assert!(kinds.contains(&kind), "{kind}: {kinds:?}");
    }
    assert_eq!(sections[0]["passed"], false);
    let locks = sections.iter().find(|one| one["kind"] == "locks").unwrap();
    assert_eq!(locks["rows"][0]["work"], "rewrite");
    assert_eq!(locks["rows"][0]["blocks"], "reads_and_writes");
    assert_eq!(locks["rows"][0]["place"]["path"], "migrations/V2__wide.sql");
    assert!(locks["rows"][0]["expected_ms"].is_u64());

    let title = "::error file=migrations/V2__wide.sql,line=2,title=public.orders_customer \
                 [dropped-index-in-use]::it is dropped, and 1 query that uses it gets worse: \
                 <script>alert(1)</script>,%25\"a\":b&'c]]> (";
    assert!(said.stderr.contains(title), "{said}");
    let text = read(&project, "out/check.txt");
    assert!(text.starts_with("should not be deployed: 1 error"), "{text}");
    assert!(!text.contains('\u{1b}'));
    let comment = read(&project, "out/check.md");
    assert!(comment.starts_with("**✗ should not be deployed"), "{comment}");
    assert!(!comment.contains("<script"), "{comment}");
    let sarif: Value = serde_json::from_str(&read(&project, "out/check.sarif")).unwrap();
    // Where no pg_dump is new enough, that is told too.
    let mut results = sarif["runs"][0]["results"].as_array().unwrap().iter();
    let dropped = results.find(|result| result["ruleId"] == "dropped-index-in-use").unwrap();
    let place = &dropped["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "migrations/V2__wide.sql");
    assert_eq!(place["region"]["startLine"], 2);
    let issues: Vec<Value> = serde_json::from_str(&read(&project, "out/gitlab.json")).unwrap();
    assert!(issues.iter().any(|issue| issue["check_name"] == "dropped-index-in-use"), "{issues:?}");
    junit_is_xml(&project.folder.path().join("out/check.xml"));
}

/// A real parser reads it, and finds the hostile name and the failure.
fn junit_is_xml(path: &Path) {
    let script = "import sys, xml.etree.ElementTree as t\n\
                  r = t.parse(sys.argv[1]).getroot()\n\
                  cases = list(r.iter('testcase'))\n\
                  failed = [c for c in cases if c.find('failure') is not None]\n\
                  names = lambda cases: [c.get('name') for c in cases]\n\
                  print(names(c for c in cases if '<' in c.get('name')), names(failed))";
    let output = std::process::Command::new("python3").args(["-c", script]).arg(path).output();
    let Ok(output) = output else {
        skipped("no python3: nobody read the XML");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    let hostile = HOSTILE.replace('\'', "\\'");
    assert_eq!(printed.trim(), format!("['{hostile}'] ['public.orders_customer']"));
}

#[test]
fn a_check_that_fails_is_written_as_one() {
    let Some((project, _database)) = project("unchecked") else { return };
    project.migration("V3__broken", "alter table nowhere add column a int;\n");
    let said = check(&project, &["junit=check.xml".to_string()], &[]);
    said.expect(1, &[]);
    assert!(said.stdout.contains("V3__broken.sql:1") && said.stdout.contains("nowhere"), "{said}");
    let xml = read(&project, "check.xml");
    assert!(xml.contains("name=\"V3__broken\"") && xml.contains("nowhere"), "{xml}");
    assert!(xml.contains("failures=\"1\""), "{xml}");
    // What is no SQL is told at its line.
    project.migration("V3__broken", "select 1;\ncreate index i on orders (;\n");
    let said = check(&project, &["sarif=check.sarif".to_string()], &[]);
    said.expect(2, &["V3__broken.sql:2"]);
    let sarif: Value = serde_json::from_str(&read(&project, "check.sarif")).unwrap();
    let place = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "migrations/V3__broken.sql");
    assert_eq!(place["region"]["startLine"], 2);
    // Where nothing can be examined, that is the finding.
    let said = project.run(&["check", "--snapshot", "none.json", "--output", "junit=check.xml"]);
    said.expect(6, &["none.json"]);
    let xml = read(&project, "check.xml");
    assert!(xml.contains("name=\"pgtune check\"") && xml.contains("none.json"), "{xml}");
}

/// The page of a check, as an address.
fn page(project: &Project) -> String {
    check(project, &["html=check.html".to_string()], &["--quiet"]).expect(1, &["worse"]);
    let path: PathBuf = project.folder.path().join("check.html").canonicalize().unwrap();
    format!("file://{}", path.display())
}

/// Writes a picture where `PGTUNE_TEST_PICTURES` says, for people to look at.
fn keep_picture(browser: &mut Browser, name: &str) {
    let Some(folder) = std::env::var_os("PGTUNE_TEST_PICTURES") else { return };
    let picture = browser.picture();
    std::fs::write(Path::new(&folder).join(format!("{name}.png.base64")), picture).unwrap();
}

/// The least contrast of any text with what is behind it, and which text that is (WCAG 2, 1.4.3).
const CONTRAST: &str = r#"(() => {
  const rgb = text => text.match(/[\d.]+/g).map(Number);
  const light = c => c.slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = rgb(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  let least = [99, ''];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement, text = walk.currentNode.data.trim();
    if (!text || e.localName === 'title') continue;
    const style = getComputedStyle(e), svg = e instanceof SVGElement;
    const [a, b] = [light(rgb(svg ? style.fill : style.color)), light(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < least[0]) least = [ratio, text];
  }
  return least;
})()"#;

#[test]
fn the_page_is_readable_in_a_real_browser() {
    let Some((project, _database)) = project("page") else { return };
    let url = page(&project);
    let Some(mut browser) = Browser::open() else { return };
    browser.go(&url, 1280, "light");
    let heading = browser.value("document.querySelector('h1').innerText");
    assert_eq!(heading, "pgtune check");
    let verdict = browser.value("document.querySelector('.verdict').innerText");
    assert!(verdict.as_str().unwrap().contains("should not be deployed: 1 error"), "{verdict}");
    // Nothing hostile became an element; both plans are there, side by side.
    assert_eq!(browser.value("document.scripts.length"), 0);
    let trees = "[...document.querySelectorAll('.side')].map(e => e.getBoundingClientRect().top)";
    let tops = browser.value(trees);
    assert!(tops.as_array().unwrap().len() == 2 && tops[0] == tops[1], "{tops}");
    let removed = browser.value("document.querySelector('.removed').innerText");
    assert!(removed.as_str().unwrap().contains("Scan"), "{removed}");
    let drawn = "[...document.querySelectorAll('.time rect, .locks rect, .costs rect')]\
                 .every(e => e.getBoundingClientRect().width > 0)";
    assert_eq!(browser.value(drawn), true);
    let page_color = "getComputedStyle(document.body).backgroundColor";
    let light = browser.value(page_color);
    is_legible(&mut browser, "light");
    keep_picture(&mut browser, "desktop");

    browser.go(&url, 1280, "dark");
    assert_ne!(browser.value(page_color), light);
    is_legible(&mut browser, "dark");
    keep_picture(&mut browser, "dark");
    is_quiet(&browser, &url);
}

#[test]
fn the_page_fits_a_phone_and_obeys_the_keyboard() {
    let Some((project, _database)) = project("phone") else { return };
    let url = page(&project);
    let Some(mut browser) = Browser::open() else { return };
    browser.go(&url, 360, "light");
    let wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
    assert_eq!(browser.value(wide), 0);
    assert_eq!(browser.value("innerWidth"), 360);
    let small = "[...document.querySelectorAll('main *')].filter(e => e.innerText?.trim() && \
                 parseFloat(getComputedStyle(e).fontSize) < 12).length";
    assert_eq!(browser.value(small), 0);
    let trees = "[...document.querySelectorAll('.side')].map(e => e.getBoundingClientRect().top)";
    let tops = browser.value(trees);
    assert!(tops[0].as_f64() < tops[1].as_f64(), "one below the other: {tops}");
    keep_picture(&mut browser, "phone");
    // The first stop leads past the navigation; the next is what was checked, which Enter opens.
    browser.press("Tab", 9, "");
    assert_eq!(browser.value("document.activeElement.className"), "skip");
    let shown = "document.activeElement.getBoundingClientRect().left >= 0";
    assert_eq!(browser.value(shown), true);
    browser.press("Tab", 9, "");
    assert_eq!(browser.value("document.activeElement.localName"), "summary");
    let ring = "getComputedStyle(document.activeElement).outlineStyle";
    assert_eq!(browser.value(ring), "solid");
    let open = "document.activeElement.parentElement.open";
    assert_eq!(browser.value(open), false);
    browser.press("Enter", 13, "\r");
    assert_eq!(browser.value(open), true);
    assert_eq!(browser.value(wide), 0);
    is_quiet(&browser, &url);
}

/// Text stands out from what is behind it.
fn is_legible(browser: &mut Browser, scheme: &str) {
    let least = browser.value(CONTRAST);
    assert!(least[0].as_f64().unwrap() >= 4.5, "{scheme}: {least}");
}

/// Neither errors nor remarks of the browser, and nothing was fetched but the page.
fn is_quiet(browser: &Browser, url: &str) {
    let of = |method: &'static str| browser.events.iter().filter(move |e| e["method"] == method);
    let said: Vec<&Value> =
        ["Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"]
            .into_iter()
            .flat_map(of)
            .collect();
    assert!(said.is_empty(), "{said:?}");
    let fetched: Vec<&Value> =
        of("Network.requestWillBeSent").map(|e| &e["params"]["request"]["url"]).collect();
    assert!(!fetched.is_empty() && fetched.iter().all(|one| *one == url), "{fetched:?}");
}
