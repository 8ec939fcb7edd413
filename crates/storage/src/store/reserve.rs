//! Space kept aside: on a full disk it lets a flush, a retention or a deletion finish, which then free
//! more. Writes are refused meanwhile; reads go on.
//!
//! While there is plenty, only what a catalog's commit needs is held, so that retention and deletion
//! work also when somebody else's file fills the disk between two looks. When space runs out, all of
//! the reserve is. Once spent, nothing is written until it is whole again: the log would take what a
//! flush frees, and the next flush would find nothing.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::StorageError;
use crate::files::{File, Files};

/// Held also while there is plenty; bytes.
const ALWAYS: u64 = 256 << 10;
/// Space runs out when fewer than so many reserves are left: more than the log and the flushes of
/// all shards take between two looks.
const SCARCE: u64 = 8;
/// Written at once. Zeros instead of a promise: not every file system can promise.
const BLOCK: &[u8] = &[0; 256 << 10];

pub(super) struct Reserve {
    files: Arc<dyn Files>,
    dir: PathBuf,
    path: PathBuf,
    bytes: u64,
    state: Mutex<State>,
    /// Bytes of the file. Changed under the lock of `state`, read without: filling takes long.
    held: AtomicU64,
    spent: AtomicBool,
}

#[derive(Default)]
struct State {
    /// There was not enough to hold; said once.
    short: bool,
    /// How many are at work with what is given back: until they are done, it is nobody else's.
    giving: usize,
}

/// As long as it lives, writes are refused and the reserve is not filled again.
pub(super) struct Giving<'a>(&'a Reserve);

impl Drop for Giving<'_> {
    fn drop(&mut self) {
        self.0.state().giving -= 1;
    }
}

impl Reserve {
    /// Keeps up to so many bytes of the disk that `dir` is on.
    pub fn new(files: Arc<dyn Files>, dir: &Path, bytes: u64) -> Self {
        let path = dir.join("reserve");
        let held = files.open(&path).and_then(|file| file.len()).unwrap_or(0);
        let (state, held, spent) = (Mutex::default(), AtomicU64::new(held), AtomicBool::new(false));
        let reserve = Self { files, dir: dir.to_owned(), path, bytes, state, held, spent };
        reserve.keep();
        reserve
    }

    /// Looks at the disk and holds what its state asks for.
    pub fn keep(&self) {
        let mut state = self.state();
        if let Err(error) = self.adapt(&mut state)
            && !std::mem::replace(&mut state.short, true)
        {
            tracing::warn!(path = %self.path.display(), %error, "no space to keep aside");
        }
    }

    fn adapt(&self, state: &mut State) -> io::Result<()> {
        if state.giving > 0 {
            return Ok(());
        }
        let held = self.held();
        let room = self.files.free(&self.dir)?.saturating_add(held);
        let scarce = self.scarce();
        // Not to and fro at the border.
        let border = if held < self.bytes { scarce } else { scarce.saturating_mul(2) };
        let wanted = if room < border { self.bytes } else { self.bytes.min(ALWAYS) };
        if wanted > room {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if wanted != held {
            self.resize(held, wanted)?;
        }
        state.short = false;
        self.spent.store(false, Ordering::Release);
        Ok(())
    }

    fn resize(&self, held: u64, wanted: u64) -> io::Result<()> {
        if wanted == 0 {
            self.files.remove(&self.path)?;
        } else {
            let file = self.files.open(&self.path).or_else(|_| self.files.create(&self.path))?;
            if let Err(error) = fill(&*file, held, wanted) {
                // A partly filled one would only take space from the log.
                file.set_len(held)?;
                return Err(error);
            }
        }
        self.held.store(wanted, Ordering::Release);
        Ok(())
    }

    /// Gives all of it back to the disk; false if there was nothing. Writes must be held.
    pub fn give(&self) -> Result<bool, StorageError> {
        let _state = self.state();
        if self.held() == 0 {
            return Ok(false);
        }
        tracing::warn!("the disk is full: using the space kept aside");
        self.files
            .remove(&self.path)
            .map_err(|error| StorageError::io("remove", &self.path, error))?;
        self.held.store(0, Ordering::Release);
        Ok(true)
    }

    /// From here on writes are refused, until the guard is dropped and the reserve is whole again.
    pub fn refuse_writes(&self) -> Giving<'_> {
        let mut state = self.state();
        state.giving += 1;
        // Under the lock: who looks at the disk at this moment may find it whole, but before this.
        self.spent.store(true, Ordering::Release);
        Giving(self)
    }

    /// Must writes wait for the reserve to be whole? Looks at the disk if so.
    pub fn refuses_writes(&self) -> bool {
        if self.spent.load(Ordering::Acquire) {
            self.keep();
        }
        self.spent.load(Ordering::Acquire)
    }

    /// Bytes kept aside at this moment. Waits for nothing.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Acquire)
    }

    /// Bytes of the disk that are left; `None` if it does not say.
    pub fn free(&self) -> Option<u64> {
        self.files.free(&self.dir).ok()
    }

    /// Bytes that may be taken without making space scarce.
    pub fn room(&self) -> u64 {
        // A disk that does not say how much is left may have enough.
        self.free().map_or(u64::MAX, |free| free.saturating_sub(self.scarce()))
    }

    /// Below so many bytes space is scarce.
    fn scarce(&self) -> u64 {
        self.bytes.saturating_mul(SCARCE)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the file so long, durably, with all of its bytes on the disk.
fn fill(file: &dyn File, mut len: u64, wanted: u64) -> io::Result<()> {
    if wanted < len {
        file.set_len(wanted)?;
    }
    while len < wanted {
        let part = BLOCK.len().min((wanted - len) as usize);
        file.write_all_at(&BLOCK[..part], len)?;
        len += part as u64;
    }
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Simulated;

    const BYTES: u64 = 1 << 20;

    fn reserve(capacity: Option<u64>) -> (Simulated, Reserve) {
        let disk = Simulated::new();
        disk.create_dir(Path::new("/d")).unwrap();
        disk.set_capacity(capacity);
        let reserve = Reserve::new(Arc::new(disk.clone()), Path::new("/d"), BYTES);
        (disk, reserve)
    }

    #[test]
    fn it_grows_when_space_runs_out_and_shrinks_when_there_is_plenty() {
        let (disk, reserve) = reserve(None);
        assert_eq!(reserve.held(), ALWAYS);
        disk.set_capacity(Some(SCARCE * BYTES + ALWAYS + 5));
        assert_eq!(reserve.room(), 5);
        disk.set_capacity(Some(SCARCE * BYTES - 1));
        reserve.keep();
        assert_eq!(reserve.held(), BYTES);
        assert_eq!(disk.content(Path::new("/d/reserve")).unwrap().len() as u64, BYTES);
        // At the border it stays.
        disk.set_capacity(Some(SCARCE * BYTES + 1));
        reserve.keep();
        assert_eq!(reserve.held(), BYTES);
        disk.set_capacity(Some(2 * SCARCE * BYTES));
        reserve.keep();
        assert_eq!(reserve.held(), ALWAYS);
        assert_eq!(disk.content(Path::new("/d/reserve")).unwrap().len() as u64, ALWAYS);
    }

    #[test]
    fn what_does_not_fit_leaves_what_was_held() {
        let (disk, reserve) = reserve(None);
        disk.set_capacity(Some(BYTES - 1));
        reserve.keep();
        assert_eq!(reserve.held(), ALWAYS);
        // Somebody else is faster.
        disk.set_capacity(Some(2 * BYTES));
        disk.fail(crate::files::simulated::Operation::Write, 1, 1, io::ErrorKind::StorageFull);
        reserve.keep();
        assert_eq!(reserve.held(), ALWAYS);
        assert_eq!(disk.content(Path::new("/d/reserve")).unwrap().len() as u64, ALWAYS);
        reserve.keep();
        assert_eq!(reserve.held(), BYTES);
    }

    #[test]
    fn once_spent_writes_wait_until_it_is_whole() {
        let (disk, reserve) = reserve(Some(2 * BYTES));
        assert_eq!(reserve.held(), BYTES);
        assert!(!reserve.refuses_writes());
        let giving = reserve.refuse_writes();
        assert!(reserve.give().unwrap());
        disk.set_capacity(Some(BYTES / 2));
        drop(giving);
        assert!(reserve.refuses_writes());
        assert!(!reserve.give().unwrap());
        disk.set_capacity(Some(BYTES));
        assert!(!reserve.refuses_writes());
        assert_eq!(reserve.held(), BYTES);
    }

    #[test]
    fn what_is_given_back_is_taken_by_no_write_and_not_held_again_meanwhile() {
        let (_, reserve) = reserve(Some(2 * BYTES));
        let giving = reserve.refuse_writes();
        // Still whole, but about to be given.
        assert!(reserve.refuses_writes());
        assert!(reserve.give().unwrap());
        let second = reserve.refuse_writes();
        assert!(!reserve.give().unwrap());
        drop(second);
        assert!(reserve.refuses_writes());
        assert_eq!(reserve.held(), 0);
        drop(giving);
        assert!(!reserve.refuses_writes());
        assert_eq!(reserve.held(), BYTES);
    }

    #[test]
    fn a_start_takes_over_what_is_there() {
        let (disk, first) = reserve(Some(2 * BYTES));
        drop(first);
        disk.set_capacity(Some(BYTES));
        let again = Reserve::new(Arc::new(disk.clone()), Path::new("/d"), BYTES);
        assert_eq!(again.held(), BYTES);
        let without = Reserve::new(Arc::new(disk.clone()), Path::new("/d"), 0);
        assert_eq!((without.held(), disk.content(Path::new("/d/reserve"))), (0, None));
    }
}
