//! Whose cores are whose. A client that takes the server's core is measured with it, and where
//! there are few cores most of a long wait is for a slice of one: so while questions are asked,
//! the first core is the client's, with whatever the system does on it, and the others are the
//! server's and its database's.

use std::process::{Command, Stdio, id};
use std::thread::available_parallelism;

/// Cores that are divided until this value is gone.
pub struct Divided {
    last: usize,
}

impl Divided {
    /// Divides them, if there are several, and `taskset`. Whoever is started from now on is a
    /// server, and has the others.
    pub fn begin() -> Option<Self> {
        let last = available_parallelism().ok()?.get().checked_sub(1)?;
        let divided = (last > 0).then_some(Self { last })?;
        bind(id(), &divided.others()).then_some(divided)
    }

    /// This process takes its own core; these are servers, too.
    pub fn take_first(&self, servers: &[u32]) {
        for server in servers {
            bind(*server, &self.others());
        }
        bind(id(), "0");
    }

    fn others(&self) -> String {
        format!("1-{}", self.last)
    }
}

impl Drop for Divided {
    fn drop(&mut self) {
        bind(id(), &format!("0-{}", self.last));
    }
}

/// Lets all threads of a process run on some cores only; whether that was done.
fn bind(process: u32, cores: &str) -> bool {
    let process = process.to_string();
    let mut binding = Command::new("taskset");
    let done = binding
        .args(["-a", "-c", "-p", cores, &process])
        .stdout(Stdio::null())
        .status();
    done.is_ok_and(|status| status.success())
}
