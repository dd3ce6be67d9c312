//! The `pgtune` program: arguments in, exit code out.

fn main() -> std::process::ExitCode {
    pgtune::run(std::env::args_os())
}
