//! How many files and connections the process may have open at once.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit as far as this process may and returns it; `usize::MAX` if there is none.
///
/// Shells give programs 1,024 by custom, because `select` cannot do more; nothing here uses it.
pub fn raise_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let in_force = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => raised.current,
        Err(error) => {
            tracing::warn!(%error, "cannot raise the limit of open files");
            limit.current
        }
    };
    in_force.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// As many connections as leave half of the descriptors to the store's files: clients must not be
/// able to keep it from writing.
pub fn connections(wanted: usize, descriptors: usize) -> usize {
    let room = (descriptors / 2).max(1);
    if wanted > room {
        tracing::warn!(
            wanted,
            taken = room,
            descriptors,
            "connections.max is more than the limit of open files (LimitNOFILE, ulimit -n) allows"
        );
    }
    wanted.min(room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_half_of_the_descriptors() {
        assert_eq!(connections(10_000, usize::MAX), 10_000);
        assert_eq!(connections(10_000, 1_024), 512);
        assert_eq!(connections(10_000, 1), 1);
    }

    #[test]
    fn the_limit_is_what_the_kernel_says_afterwards() {
        let raised = raise_limit();
        let current = getrlimit(Resource::Nofile).current;
        assert_eq!(current.map_or(usize::MAX, |limit| limit as usize), raised);
    }
}
