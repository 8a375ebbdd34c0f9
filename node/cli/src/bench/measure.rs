//! What the process has used, read from `/proc`. On systems other than Linux the figures are missing, not wrong.

use std::fs;

/// Clock ticks a second in `/proc/self/stat`. Linux has reported 100 to programs on every architecture since 2.4.
const TICKS_PER_S: f64 = 100.0;

/// What was used up to a moment, or between two moments.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    /// The processor time of all threads, in seconds.
    pub(super) cpu_s: Option<f64>,
    /// How many bytes all programs have sent over the loopback interface.
    pub(super) loopback_bytes: Option<f64>,
}

impl Usage {
    /// What was used up to now.
    pub(super) fn now() -> Self {
        Self { cpu_s: cpu_s(), loopback_bytes: loopback_bytes() }
    }

    /// What was used between `then` and this.
    pub(super) fn since(&self, then: &Self) -> Self {
        let less = |now: Option<f64>, then: Option<f64>| Some(now? - then?);
        Self {
            cpu_s: less(self.cpu_s, then.cpu_s),
            loopback_bytes: less(self.loopback_bytes, then.loopback_bytes),
        }
    }
}

fn cpu_s() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name in brackets may contain spaces; what follows it does not.
    let (_name, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_S)
}

fn loopback_bytes() -> Option<f64> {
    let table = fs::read_to_string("/proc/net/dev").ok()?;
    let line = table.lines().find_map(|line| line.trim().strip_prefix("lo:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The resident memory of the process.
pub(super) fn rss_mb() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1_024.0)
}
