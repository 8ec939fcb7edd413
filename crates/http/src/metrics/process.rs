//! What the kernel says about this process, under the names every dashboard knows.

use std::fs;

use super::Page;

/// Ticks per second in `/proc/self/stat`; fixed at 100 for user space on Linux.
const TICKS_PER_SECOND: f64 = 100.0;
const PAGE_BYTES: f64 = 4096.0;

/// Writes the `process_*` metrics; those the kernel does not tell are left out.
pub fn process_metrics(page: &mut Page) {
    if let Some((cpu_seconds, resident, virtual_size)) = stat() {
        let help = "CPU time of this process in seconds.";
        page.counter("process_cpu_seconds_total", help, cpu_seconds);
        page.gauge("process_resident_memory_bytes", "Resident memory in bytes.", resident);
        page.gauge("process_virtual_memory_bytes", "Virtual memory in bytes.", virtual_size);
    }
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        page.gauge("process_open_fds", "Open file descriptors.", entries.count() as f64);
    }
}

/// CPU seconds, resident bytes, virtual bytes. See proc_pid_stat(5).
fn stat() -> Option<(f64, f64, f64)> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The command name may hold spaces; what follows its closing bracket starts at field 3.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    let cpu_seconds = (number(14)? + number(15)?) / TICKS_PER_SECOND;
    Some((cpu_seconds, number(24)? * PAGE_BYTES, number(23)?))
}
