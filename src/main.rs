//! The `goodnet` command.

fn main() {}
