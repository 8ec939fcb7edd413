//! How much memory there is for this process: the machine's, or the smallest limit of the control
//! groups around it.

use std::fs;
use std::path::Path;

use rustix::system::sysinfo;

/// In bytes.
pub fn available() -> u64 {
    // Not from /proc/meminfo, which a hardened unit does not see (ProcSubset=pid).
    let machine = sysinfo();
    let machine = (machine.totalram as u64).saturating_mul(machine.mem_unit.into());
    let group = fs::read_to_string("/proc/self/cgroup").ok();
    let group = group.as_deref().and_then(group_path).and_then(|path| {
        let folder = Path::new("/sys/fs/cgroup").join(path);
        let limit =
            |dir: &Path| fs::read_to_string(dir.join("memory.max")).ok()?.trim().parse().ok();
        folder.ancestors().filter_map(limit).min()
    });
    group.map_or(machine, |group: u64| group.min(machine))
}

/// The path of version 2 in `/proc/self/cgroup`, relative to the mount.
fn group_path(cgroup: &str) -> Option<&str> {
    cgroup.lines().find_map(|line| line.strip_prefix("0::/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_of_version_2_is_found() {
        assert_eq!(
            group_path("1:cpu:/x\n0::/system.slice/a.service\n"),
            Some("system.slice/a.service")
        );
        assert_eq!(group_path("0::/\n"), Some(""));
    }

    #[test]
    fn this_machine_has_the_memory_that_the_kernel_tells() {
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap();
        let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap();
        let kib: u64 = total.trim().strip_suffix("kB").unwrap().trim().parse().unwrap();
        assert!((1 << 20..=kib * 1024).contains(&available()), "{} {kib}", available());
    }
}
