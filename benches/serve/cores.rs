//! Whose cores are whose. A client that takes the server's core is measured with it, and where
//! there are few cores most of a long wait is for a slice of one: so while questions are asked,
//! the last core is the client's and the others are the server's, and its database's.

use std::process::{Command, Stdio, id};
use std::thread::available_parallelism;

/// Cores that are divided until this value is gone.
pub struct Divided {
    servers: Vec<u32>,
    last: usize,
}

impl Divided {
    /// Divides them between this process and the servers'; nothing, where there is only one, or
    /// no `taskset`.
    pub fn between(servers: Vec<u32>) -> Option<Self> {
        let last = available_parallelism().ok()?.get().checked_sub(1)?;
        let divided = (last > 0).then_some(Self { servers, last })?;
        let others = format!("0-{}", last - 1);
        let all = divided.servers.iter().all(|server| bind(*server, &others));
        (all && bind(id(), &last.to_string())).then_some(divided)
    }
}

impl Drop for Divided {
    fn drop(&mut self) {
        let all = format!("0-{}", self.last);
        for process in self.servers.iter().copied().chain([id()]) {
            bind(process, &all);
        }
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
