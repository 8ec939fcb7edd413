//! Files in memory that forget at a power cut what was not synced: un-synced writes survive in any
//! part, un-synced names are kept or lost one by one. The same seed gives the same loss.

mod faults;
mod folder;
mod inode;
mod random;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use self::faults::Faults;
use self::folder::Names;
use self::inode::Inode;
use super::{File, Files};

pub use self::faults::Operation;
pub use self::random::Random;

/// A disk in memory; clones share it.
#[derive(Clone, Default)]
pub struct Simulated {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    inodes: BTreeMap<u64, Inode>,
    names: Names,
    faults: Faults,
    /// Total bytes the disk holds; `None`: no limit.
    capacity: Option<u64>,
    created: u64,
    crashes: u64,
}

impl Simulated {
    pub fn new() -> Simulated {
        Simulated::default()
    }

    /// Loses power and starts again: what was not synced survives in a part chosen by `seed`, open
    /// files become unusable, planned failures are forgotten.
    pub fn crash(&self, seed: u64) {
        let state = &mut *self.lock();
        let mut random = Random::new(seed);
        state.faults.heal();
        state.crashes += 1;
        state.names.crash(&mut random);
        state.inodes.retain(|inode, _| state.names.holds(*inode));
        state.inodes.values_mut().for_each(|inode| inode.crash(&mut random));
    }

    /// Lets `operations` more operations work; all later ones fail until [`Simulated::crash`].
    pub fn cut_power_after(&self, operations: u64) {
        self.lock().faults.cut_power_after(operations);
    }

    /// Lets the next `spared` operations of a kind work and fails `times` after them. A failed write
    /// leaves its first half; a failed sync leaves the pages clean and not on the disk.
    pub fn fail(&self, operation: Operation, spared: u64, times: u64, kind: io::ErrorKind) {
        self.lock().faults.plan(operation, spared, times, kind);
    }

    /// Forgets all planned failures.
    pub fn heal(&self) {
        self.lock().faults.heal();
    }

    /// Operations of a kind so far, failed ones included.
    pub fn count(&self, operation: Operation) -> u64 {
        self.lock().faults.count(operation)
    }

    /// Bytes that all files together may have; growing beyond fails with `StorageFull`.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.lock().capacity = bytes;
    }

    /// What a read of the whole file returns.
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.lock();
        state.names.get(path).map(|inode| state.inodes[&inode].seen().to_vec())
    }

    /// Puts a file there, durably, behind the program's back: damage, or a fixture.
    pub fn plant(&self, path: &Path, content: Vec<u8>) {
        let mut state = self.lock();
        let inode = state.new_inode(Inode::settled(content));
        state.names.plant(path, inode);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no operation panics while it holds the lock")
    }

    fn handle(&self, state: &State, inode: u64) -> Arc<dyn File> {
        Arc::new(SimulatedFile { disk: self.clone(), inode, crashes: state.crashes })
    }
}

impl State {
    fn new_inode(&mut self, inode: Inode) -> u64 {
        self.created += 1;
        self.inodes.insert(self.created, inode);
        self.created
    }

    /// Bytes that are left.
    fn free(&self) -> u64 {
        let used = |inode: &u64| self.inodes[inode].seen().len() as u64;
        let total: u64 = self.names.inodes().map(used).sum();
        self.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(total))
    }

    /// Space for `more` bytes, if the disk has it.
    fn reserve(&self, more: usize) -> io::Result<()> {
        if more as u64 > self.free() {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "simulated full disk"));
        }
        Ok(())
    }
}

impl Files for Simulated {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut state = self.lock();
        state.faults.check(Operation::Create)?;
        state.names.check_free(path)?;
        let inode = state.new_inode(Inode::default());
        state.names.link(path, inode);
        Ok(self.handle(&state, inode))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut state = self.lock();
        state.faults.check(Operation::Open)?;
        let inode = state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.handle(&state, inode))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut state = self.lock();
        state.faults.check(Operation::List)?;
        state.names.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.faults.check(Operation::CreateDir)?;
        state.names.create_dir(dir);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.faults.check(Operation::Rename)?;
        state.names.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.faults.check(Operation::Remove)?;
        state.names.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.faults.check(Operation::SyncDir)?;
        state.names.sync(dir);
        Ok(())
    }

    fn free(&self, _: &Path) -> io::Result<u64> {
        Ok(self.lock().free())
    }
}

struct SimulatedFile {
    disk: Simulated,
    inode: u64,
    /// Crashes before this file was opened: a handle does not outlive the machine.
    crashes: u64,
}

impl SimulatedFile {
    /// Runs `act` on the file; `act` is told whether the operation fails.
    fn on<T>(
        &self,
        operation: Operation,
        act: impl FnOnce(&mut Inode, io::Result<()>) -> io::Result<T>,
    ) -> io::Result<T> {
        let state = &mut *self.disk.lock();
        if state.crashes != self.crashes {
            return Err(io::Error::other("this file was opened before the power cut"));
        }
        let verdict = state.faults.check(operation);
        act(state.inodes.get_mut(&self.inode).expect("an open file is kept"), verdict)
    }

    /// As [`SimulatedFile::on`], for operations that may grow the file up to `end` bytes.
    fn grow<T>(
        &self,
        operation: Operation,
        end: u64,
        act: impl FnOnce(&mut Inode, io::Result<()>) -> io::Result<T>,
    ) -> io::Result<T> {
        let room = {
            let state = self.disk.lock();
            let len = state.inodes.get(&self.inode).map_or(0, |inode| inode.seen().len());
            state.reserve((end as usize).saturating_sub(len))
        };
        self.on(operation, |inode, verdict| act(inode, verdict.and(room)))
    }
}

impl File for SimulatedFile {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.on(Operation::Read, |inode, verdict| {
            verdict?;
            let range = offset as usize..offset as usize + buf.len();
            let bytes = inode.seen().get(range).ok_or(io::ErrorKind::UnexpectedEof)?;
            buf.copy_from_slice(bytes);
            Ok(())
        })
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.grow(Operation::Write, offset + buf.len() as u64, |inode, verdict| {
            let written = if verdict.is_ok() { buf.len() } else { buf.len() / 2 };
            let room = if verdict.is_ok() { usize::MAX } else { inode.seen().len() };
            let written = written.min(room.saturating_sub(offset as usize));
            inode.write(&buf[..written], offset as usize);
            verdict
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.on(Operation::Sync, |inode, verdict| {
            if verdict.is_ok() {
                inode.sync()
            } else {
                inode.fail_sync()
            }
            verdict
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.on(Operation::Read, |inode, verdict| verdict.map(|()| inode.seen().len() as u64))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.grow(Operation::SetLen, len, |inode, verdict| {
            verdict?;
            inode.resize(len as usize);
            Ok(())
        })
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let free = self.disk.lock().free();
        self.grow(Operation::Allocate, len, |inode, verdict| {
            let seen = inode.seen().len() as u64;
            let kept = match &verdict {
                Ok(()) => len,
                // As ext4 has it: what there is room for stays with the file.
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                    seen.saturating_add(free).min(len / 4 * 3)
                }
                Err(_) => seen,
            };
            if seen < kept {
                inode.resize(kept as usize);
            }
            verdict
        })
    }
}
