//! How the C library's allocator keeps what a service or a job frees.
//!
//! glibc raises the size from which it gives a freed block back to the system each time that a larger one is freed, up to 32 MiB. So
//! each thread would keep the largest picture that it ever decoded, and a job the weights of networks that it is done with. A fixed size
//! keeps it from that, but leaves the other limit at 128 KiB: whenever so much lies free at the end of a thread's memory it goes back
//! to the system, to be asked for again by the next trial of a search. Both are read from the environment when a process begins
//! (`man 3 mallopt`, `M_MMAP_THRESHOLD`, `M_TRIM_THRESHOLD`).

use std::env;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Blocks of 1 MiB go back: tensors of small networks stay with the allocator, pictures do not. Of the rest 4 MiB a thread may lie free.
const VARIABLES: [(&str, &str); 2] = [
    ("MALLOC_MMAP_THRESHOLD_", "1048576"),
    ("MALLOC_TRIM_THRESHOLD_", "4194304"),
];

/// What a process begun by this one needs in its environment; nothing where somebody set any of it, or where it would be of no use.
pub(super) fn setting() -> &'static [(&'static str, &'static str)] {
    let is_set = VARIABLES
        .iter()
        .any(|(name, _)| env::var_os(name).is_some());
    match cfg!(target_env = "gnu") && !is_set {
        true => &VARIABLES,
        false => &[],
    }
}

/// Begins this program anew, as the same process, with [`VARIABLES`] set; returns where they are set already, where the file that runs has
/// another name than the program was called by, and where that fails.
///
/// To be called before anything else is done: open files and threads would be lost.
pub(super) fn return_large_blocks() {
    let setting = setting();
    if setting.is_empty() {
        return;
    }
    let Ok(program) = env::current_exe() else {
        return;
    };
    let mut arguments = env::args_os();
    let Some(name) = arguments.next() else {
        return;
    };
    // Started through a loader or an emulator, the file that runs is another than this program.
    if Path::new(&name).file_name() != program.file_name() {
        return;
    }
    let mut command = Command::new(program);
    command
        .arg0(name)
        .args(arguments)
        .envs(setting.iter().copied());
    // A service that keeps more memory is better than none: an error is passed over.
    let _ = command.exec();
}
