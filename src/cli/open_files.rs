//! How many files the process may open: each connection is one, and so is each table of the store.

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit, setrlimit};

/// More than any machine serves; some systems allow a number for which no table should be made.
const MOST: u64 = 65_536;

/// Asks the system for as many as it allows: what a shell is given is often 1,024, for the sake of
/// programs that can count no further.
pub fn allow_most() {
    if let Err(error) = raise() {
        tracing::debug!(%error, "the process may open no more files than it was given");
    }
}

fn raise() -> Result<(), Errno> {
    let mut files = getrlimit(Resource::Nofile);
    let wanted = files.maximum.unwrap_or(MOST).min(MOST);
    if files.current.is_some_and(|current| current < wanted) {
        files.current = Some(wanted);
        setrlimit(Resource::Nofile, files)?;
    }
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_process_may_open_as_many_as_the_system_allows_it() {
        raise().unwrap();
        let files = getrlimit(Resource::Nofile);
        let least = files.maximum.unwrap_or(MOST).min(MOST);
        assert!(files.current.is_none_or(|current| current >= least), "{files:?}");
    }
}
