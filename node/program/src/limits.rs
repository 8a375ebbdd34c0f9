//! Raises the system's limits for a program.

/// Lets the program open as many files as the system allows. A node has a socket for each link, and many systems allow
/// only 1,024 open files unless a program asks for more.
#[cfg(unix)]
pub fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, "The limit of open files could not be raised");
    }
}

/// Lets the program open as many files as the system allows.
#[cfg(not(unix))]
pub fn raise_file_limit() {}
