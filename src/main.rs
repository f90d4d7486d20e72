//! The `goodnet` command.

/// Requests are many small allocations that move between threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    goodnet::cli::main()
}
