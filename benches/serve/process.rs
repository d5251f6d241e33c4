//! A program that serves, in a process of its own: how it is started and stopped, and what it takes
//! of memory and disk.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a program may take to end when it is asked to.
const END_MAX: Duration = Duration::from_mins(1);

/// Between two looks at whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A running server; ends with this value.
pub struct Process {
    child: Child,
    /// Where it listens, `127.0.0.1:40123`.
    pub address: String,
}

impl Process {
    /// Starts a program, and returns when it has said on its standard output where it listens.
    pub fn start(command: &mut Command) -> Self {
        let child = command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("can't run {command:?}: {error}"));
        let stdout = child.stdout.take().map(BufReader::new);
        let mut lines = stdout.into_iter().flat_map(BufRead::lines).map_while(Result::ok);
        let address = lines.find_map(|line| Some(line.split_once(" at http://")?.1.trim().to_owned()));
        let address = address.unwrap_or_else(|| panic!("the server did not start"));
        // It may say more, and must not wait for somebody to hear it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    /// Lets it end as an operator does, and waits for that.
    pub fn stop(mut self) {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        let until = Instant::now() + END_MAX;
        while asked.is_ok() && Instant::now() < until {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            sleep(LOOK_EVERY);
        }
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The most memory that a process of Linux ever had, in bytes; `self` is this one.
pub fn peak_memory(process: &str) -> u64 {
    memory(process, "VmHWM:")
}

/// The memory that a process of Linux has, in bytes.
pub fn memory_now(process: u32) -> u64 {
    memory(&process.to_string(), "VmRSS:")
}

fn memory(process: &str, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.unwrap_or(0_u64) * 1024
}

/// The size of a folder with all in it, in bytes.
pub fn disk_bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => disk_bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}
