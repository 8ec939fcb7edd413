//! How much memory there is for this process: the machine's, or the smallest limit of the control
//! groups around it.

use std::fs;
use std::path::Path;

/// Bytes; `None` when the kernel does not say.
pub fn available() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    let group = fs::read_to_string("/proc/self/cgroup").ok();
    let group = group.as_deref().and_then(group_path).and_then(|path| {
        let folder = Path::new("/sys/fs/cgroup").join(path);
        let limit =
            |dir: &Path| fs::read_to_string(dir.join("memory.max")).ok()?.trim().parse().ok();
        folder.ancestors().filter_map(limit).min()
    });
    machine.into_iter().chain(group).min()
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// The path of version 2 in `/proc/self/cgroup`, relative to the mount.
fn group_path(cgroup: &str) -> Option<&str> {
    cgroup.lines().find_map(|line| line.strip_prefix("0::/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_texts_are_understood() {
        assert_eq!(total("MemFree: 1 kB\nMemTotal:       24689012 kB\n"), Some(24_689_012 * 1024));
        assert_eq!(total(""), None);
        assert_eq!(
            group_path("1:cpu:/x\n0::/system.slice/a.service\n"),
            Some("system.slice/a.service")
        );
        assert_eq!(group_path("0::/\n"), Some(""));
    }

    #[test]
    fn this_machine_has_memory() {
        assert!(available().is_some_and(|bytes| bytes > 1 << 20));
    }
}
