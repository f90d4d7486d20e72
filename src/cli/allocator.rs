//! How the C library's allocator keeps what a service or a job frees.
//!
//! glibc raises the size from which it gives a freed block back to the system each time that a larger one is freed, up to 32 MiB. So
//! each thread would keep the largest picture that it ever decoded, and a job the weights of networks that it is done with. A fixed size keeps it from that (`man 3 mallopt`,
//! `M_MMAP_THRESHOLD`), and is read from the environment when a process begins.

use std::env;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

const VARIABLE: &str = "MALLOC_MMAP_THRESHOLD_";
/// 1 MiB: tensors of small networks stay with the allocator, pictures do not.
const BYTES: &str = "1048576";

/// What a process begun by this one needs in its environment; nothing where it has it already, or where it would be of no use.
pub(super) fn setting() -> Option<(&'static str, &'static str)> {
    let is_of_use = cfg!(target_env = "gnu") && env::var_os(VARIABLE).is_none();
    is_of_use.then_some((VARIABLE, BYTES))
}

/// Begins this program anew, as the same process, with [`VARIABLE`] set; returns where it is set already, where the file that runs has
/// another name than the program was called by, and where that fails.
///
/// To be called before anything else is done: open files and threads would be lost.
pub(super) fn return_large_blocks() {
    let Some((variable, bytes)) = setting() else {
        return;
    };
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
    command.arg0(name).args(arguments).env(variable, bytes);
    // A service that keeps more memory is better than none: an error is passed over.
    let _ = command.exec();
}
