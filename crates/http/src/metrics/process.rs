//! What the kernel says about this process, under the names every dashboard knows.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use super::Page;

/// Ticks per second in `/proc/self/stat`; fixed at 100 for user space on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Writes the `process_*` metrics; those the kernel does not tell are left out. The start is not the
/// kernel's, whose own is told by a file that a hardened unit does not see (ProcSubset=pid).
pub fn process_metrics(page: &mut Page, started: SystemTime) {
    let since = started.duration_since(UNIX_EPOCH).unwrap_or_default();
    let help = "When this process started, in seconds since 1970.";
    page.gauge("process_start_time_seconds", help, since.as_secs_f64());
    if let Some(stat) = stat() {
        let help = "CPU time of this process in seconds.";
        page.counter("process_cpu_seconds_total", help, stat.cpu_seconds);
        page.gauge("process_virtual_memory_bytes", "Virtual memory in bytes.", stat.virtual_size);
    }
    if let Some(bytes) = fs::read_to_string("/proc/self/status").ok().as_deref().and_then(resident)
    {
        page.gauge("process_resident_memory_bytes", "Resident memory in bytes.", bytes);
    }
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        page.gauge("process_open_fds", "Open file descriptors.", entries.count() as f64);
    }
    if let Some(limit) = descriptor_limit() {
        page.gauge("process_max_fds", "Open file descriptors that are allowed.", limit);
    }
}

/// Seconds and bytes.
struct Stat {
    cpu_seconds: f64,
    virtual_size: f64,
}

/// See proc_pid_stat(5).
fn stat() -> Option<Stat> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The command name may hold spaces; what follows its closing bracket starts at field 3.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    Some(Stat {
        cpu_seconds: (number(14)? + number(15)?) / TICKS_PER_SECOND,
        virtual_size: number(23)?,
    })
}

/// Bytes, from `/proc/self/status`: `stat` counts them in pages, which are not of 4 KiB everywhere.
fn resident(status: &str) -> Option<f64> {
    let value = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024.0)
}

/// The soft limit; absent where there is none.
fn descriptor_limit() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/limits").ok()?;
    let limits = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    limits.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_not_counted_in_pages() {
        let status =
            "Name:\tmetricstor\nVmHWM:\t  131072 kB\nVmRSS:\t   65536 kB\nRssAnon:\t 64 kB\n";
        assert_eq!(resident(status), Some(f64::from(64 << 20)));
        let own = fs::read_to_string("/proc/self/status").unwrap();
        assert!(resident(&own).unwrap() > 0.0);
    }

    #[test]
    fn this_process_may_open_more_files_than_it_has() {
        let open = fs::read_dir("/proc/self/fd").unwrap().count() as f64;
        assert!(descriptor_limit().unwrap() >= open);
    }
}
