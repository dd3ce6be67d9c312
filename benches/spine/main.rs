//! What pgtune costs: each job against the cheapest way to do the same, both measured in one run.
//!
//! `cargo bench --bench spine` measures; `docs/benchmarks.md` says how and what. Without cargo's
//! `--bench`, so in `cargo test`, every case runs once and small: the benchmark cannot rot.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "a benchmark's answer")]

use std::path::Path;
use std::process::Command;

use postgres::{Client, NoTls};

use measure::{Run, Samples, alternate};
use server::PrivateServer;

mod index;
mod measure;
mod migrate;
mod plans;
mod rotate;
mod server;
mod shadow;
mod snapshot;
mod table;

/// How much to do.
struct Sizes {
    /// Counted rounds of every case; in each, pgtune and the floor take turns.
    rounds: usize,
    /// Migrations of the cases (a) to (c); (d) has five times as many.
    migrations: usize,
    /// Relations of the catalog case.
    relations: usize,
    /// Partitions of the index case.
    partitions: usize,
    /// Rows in each of them.
    rows: usize,
    /// Tables that get partitions.
    tables: usize,
    /// Partitions for each of them.
    months: usize,
    /// Partitions half of which are dropped.
    days: usize,
    /// Partitions that nothing is done to.
    many_days: usize,
    /// Queries that are planned.
    queries: usize,
}

impl Sizes {
    /// The measurement's, as far as the environment does not say otherwise.
    fn full() -> Sizes {
        Sizes {
            rounds: variable("PGTUNE_BENCH_ROUNDS", 7),
            migrations: 1_000,
            relations: 10_000,
            partitions: 24,
            rows: variable("PGTUNE_BENCH_ROWS", 50_000),
            tables: 10,
            months: 120,
            days: 1_000,
            many_days: 10_000,
            queries: 200,
        }
    }

    /// Just enough to see that every case works.
    fn tiny() -> Sizes {
        Sizes {
            rounds: 1,
            migrations: 3,
            relations: 20,
            partitions: 4,
            rows: 1_000,
            tables: 2,
            months: 3,
            days: 10,
            many_days: 20,
            queries: 5,
        }
    }
}

fn variable(name: &str, default: usize) -> usize {
    let Ok(text) = std::env::var(name) else { return default };
    text.parse().unwrap_or_else(|_| panic!("{name}: \"{text}\" is no number"))
}

/// What every case works with.
struct Bench {
    sizes: Sizes,
    /// As pgtune starts it: nothing survives a crash, so commits cost nothing.
    volatile: PrivateServer,
    /// As a real server is configured: every commit reaches the disk.
    durable: PrivateServer,
}

/// A case: its name and what it adds to the table.
type Case = (&'static str, fn(&Bench) -> Vec<table::Row>);

const CASES: [Case; 15] = [
    ("version", version),
    ("nothing_to_do", migrate::nothing_to_do),
    ("many_applied", migrate::many_applied),
    ("select_1", migrate::select_1),
    ("create_table", migrate::create_table),
    ("server", server_start),
    ("catalog", catalog),
    ("index", index::lanes),
    ("rotate_create", rotate::create),
    ("rotate_drop", rotate::drop_expired),
    ("rotate_nothing", rotate::nothing),
    ("plans", plans::capture),
    ("check_terabyte", shadow::terabyte),
    ("check_tables", shadow::many_tables),
    ("snapshot", snapshot::take),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_measurement = arguments.iter().any(|argument| argument == "--bench");
    let names: Vec<&String> = arguments.iter().filter(|name| !name.starts_with('-')).collect();
    if !is_measurement && !names.is_empty() {
        // `cargo test NAME` passes the name of some test to every target.
        return;
    }
    let sizes = if is_measurement { Sizes::full() } else { Sizes::tiny() };
    let Some(volatile) = PrivateServer::start(&[]) else {
        println!("==== SKIPPED: no benchmark without a PostgreSQL server ====");
        return;
    };
    if !Command::new(&volatile.psql).arg("--version").output().is_ok_and(|it| it.status.success()) {
        println!("==== SKIPPED: no benchmark without psql ====");
        return;
    }
    let settings = ["fsync=on", "full_page_writes=on", "synchronous_commit=on"];
    let durable = PrivateServer::start(&settings).unwrap();
    let what = if is_measurement { "counted rounds" } else { "round: only to see that it works" };
    println!("PostgreSQL {}, {} {what}\n", volatile.version, sizes.rounds);
    let bench = Bench { sizes, volatile, durable };
    table::print_head();
    for (name, case) in CASES {
        if names.is_empty() || names.iter().any(|wanted| name.contains(wanted.as_str())) {
            case(&bench).iter().for_each(table::Row::print);
        }
    }
}

/// The program, in a folder, without the variables that would change what it does.
fn pgtune(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgtune"));
    command.current_dir(folder).args(arguments).env_remove("DATABASE_URL");
    // The benchmark's own; pgtune would take them for keys of the profile's section [bench].
    command.env_remove("PGTUNE_BENCH_ROUNDS").env_remove("PGTUNE_BENCH_ROWS");
    command
}

fn connect(url: &str) -> Client {
    Client::connect(url, NoTls).unwrap()
}

/// How soon the program is there at all, against a program that does nothing.
fn version(bench: &Bench) -> Vec<table::Row> {
    let here = Path::new(".");
    let (samples, floor) = alternate(
        bench.sizes.rounds * 5,
        || measure::run(&mut pgtune(here, &["--version"])),
        || measure::run(&mut Command::new("true")),
    );
    vec![table::Row::new("`--version`", samples).floor("`true`", floor).at_most_ms(3.0)]
}

/// From nothing to the answer to the first query.
fn server_start(bench: &Bench) -> Vec<table::Row> {
    let start = || {
        let begin = std::time::Instant::now();
        let server = PrivateServer::start(&[]).unwrap();
        connect(&server.url("postgres")).simple_query("SELECT 1").unwrap();
        Run { wall: begin.elapsed(), peak_bytes: 0 }
    };
    let samples = (0..bench.sizes.rounds).map(|_| start()).collect();
    vec![table::Row::new("private server, start to first query", Samples(samples)).at_most_ms(1e3)]
}

/// A dry run that has to read the catalog, with many relations against none.
fn catalog(bench: &Bench) -> Vec<table::Row> {
    let count = bench.sizes.relations;
    let (few, many) = (bench.volatile.database("few"), bench.volatile.database("many"));
    connect(&few).batch_execute("CREATE TABLE r1 (id int PRIMARY KEY)").unwrap();
    let create = format!(
        "DO $$ BEGIN FOR i IN 1..{} LOOP
           EXECUTE format('CREATE TABLE r%s (id int PRIMARY KEY, t text NOT NULL)', i);
           IF i % 100 = 0 THEN COMMIT; END IF;
         END LOOP; END $$; VACUUM ANALYZE",
        count / 2
    );
    for statement in create.split_inclusive("$$;") {
        connect(&many).batch_execute(statement).unwrap();
    }
    let folder = migrate::folder(1, |_| "CREATE INDEX ON r1 (id);".to_string());
    let dry_run = |url: &str| {
        let arguments = ["--url", url, "migrate", "--dry-run"];
        measure::run(&mut pgtune(folder.path(), &arguments))
    };
    let (samples, floor) = alternate(bench.sizes.rounds, || dry_run(&many), || dry_run(&few));
    let title = format!("dry run with a catalog of {count} relations");
    vec![table::Row::new(&title, samples).floor("the same with two", floor).at_most_ms(500.0)]
}
