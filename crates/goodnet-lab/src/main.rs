//! The `goodnet-lab` command.

fn main() -> std::process::ExitCode {
    goodnet_lab::cli::main()
}
