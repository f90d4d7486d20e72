//! The `goodnet` command.

fn main() -> std::process::ExitCode {
    goodnet::cli::main()
}
