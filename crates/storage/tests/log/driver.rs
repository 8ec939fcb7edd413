//! A random course of operations, failures and crashes over a simulated disk, decided by one seed.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use metricstor_storage::files::Simulated;
use metricstor_storage::files::simulated::{Operation as DiskOperation, Random};
use metricstor_storage::wal::{Entry, EntryId, Log, LogConfig, LogError, Vote};

use super::model::{GROUPS, Model, Operation};

pub const DIR: &str = "data/wal";

pub struct Driver {
    pub disk: Simulated,
    pub random: Random,
    config: LogConfig,
    pub model: Model,
    log: Log,
    pub crashes: u64,
    /// Nothing fails but by a power cut from outside.
    calm: bool,
}

impl Driver {
    pub fn new(seed: u64) -> Driver {
        let mut random = Random::new(seed);
        let config = LogConfig { segment_bytes: 4096 << random.below(3), identity: 7 };
        let disk = Simulated::new();
        let log = Log::open(Arc::new(disk.clone()), Path::new(DIR), config).unwrap();
        Driver { disk, random, config, model: Model::default(), log, crashes: 0, calm: false }
    }

    /// A course without failures of its own, whose power goes after so many disk operations.
    pub fn until_power_cut(seed: u64, operations: u64) -> Driver {
        let driver = Driver { calm: true, ..Driver::new(seed) };
        driver.disk.cut_power_after(operations);
        driver
    }

    /// One random operation, or a failure and its consequences.
    pub fn step(&mut self) -> Result<(), String> {
        match self.random.below(if self.calm { 31 } else { 40 }) {
            0..14 => self.append(),
            14..22 => self.sync(),
            22..24 => self.vote(),
            24..26 => self.truncate(),
            26..29 => self.purge(),
            29..31 => {
                let done = self.log.reclaim().map(|_| ());
                if done.is_ok() {
                    self.model.synced();
                }
                self.survive(done)
            }
            31 => self.restart(),
            32 => {
                self.crashes += 1;
                self.crash()
            }
            33..36 => {
                let after = self.random.below(12) as u64;
                self.disk.cut_power_after(after);
                Ok(())
            }
            36 => self.plan(DiskOperation::Sync, ErrorKind::Other),
            37 => self.plan(DiskOperation::Write, ErrorKind::StorageFull),
            38 => self.plan(DiskOperation::Allocate, ErrorKind::StorageFull),
            _ => self.plan(DiskOperation::Create, ErrorKind::StorageFull),
        }
    }

    fn plan(&mut self, operation: DiskOperation, kind: ErrorKind) -> Result<(), String> {
        let spared = self.random.below(3) as u64;
        self.disk.fail(operation, spared, 1, kind);
        Ok(())
    }

    fn append(&mut self) -> Result<(), String> {
        let mut next: Vec<_> = (0..GROUPS).map(|group| self.log.last(group)).collect();
        let mut operations = Vec::new();
        for _ in 0..1 + self.random.below(4) {
            let group = self.random.below(GROUPS as usize);
            let id =
                next[group]
                    .map_or(EntryId { term: 1, index: self.random.below(3) as u64 }, |last| {
                        EntryId { term: last.term, index: last.index + 1 }
                    });
            let term = id.term + self.random.below(8) as u64 / 7;
            let id = EntryId { term, ..id };
            next[group] = Some(id);
            let size = match self.random.below(10) {
                0 => 0,
                1 => 2000 + self.random.below(6000),
                _ => self.random.below(300),
            };
            let payload = (0..size).map(|_| self.random.draw() as u8).collect();
            operations.push(Operation::Append { group: group as u32, id, payload });
        }
        let entries: Vec<_> = operations.iter().map(as_entry).collect();
        let done = self.log.append(&entries);
        self.record(done, &operations)
    }

    fn sync(&mut self) -> Result<(), String> {
        let done = self.log.sync();
        if done.is_ok() {
            self.model.synced();
        }
        self.survive(done)
    }

    fn vote(&mut self) -> Result<(), String> {
        let group = self.random.below(GROUPS as usize) as u32;
        let node = self.random.draw();
        let vote = Vote { term: self.random.draw(), node, granted: self.random.below(2) == 0 };
        let done = self.log.save_vote(group, vote);
        self.record(done, &[Operation::Vote { group, vote }])
    }

    fn truncate(&mut self) -> Result<(), String> {
        let group = self.random.below(GROUPS as usize) as u32;
        let Some(first) = self.log.first_index(group) else { return Ok(()) };
        let count = self.log.last_index(group).unwrap() - first + 1;
        let from = first + count.saturating_sub(self.random.below(count as usize + 1) as u64);
        if from > self.log.last_index(group).unwrap() {
            return Ok(());
        }
        let done = self.log.truncate_suffix(group, from);
        self.record(done, &[Operation::Truncate { group, from }])
    }

    fn purge(&mut self) -> Result<(), String> {
        let group = self.random.below(GROUPS as usize) as u32;
        let Some(last) = self.log.last(group) else { return Ok(()) };
        let first = self.log.first_index(group).unwrap_or(last.index + 1);
        let index = first + self.random.below((last.index + 2 - first) as usize + 1) as u64;
        let held = self.model.now.groups[&group].entries.get(&index);
        let upto = EntryId { term: held.map_or(last.term, |entry| entry.0), index };
        let done = self.log.purge_prefix(group, upto);
        self.record(done, &[Operation::Purge { group, upto }])
    }

    fn record(
        &mut self,
        done: Result<(), LogError>,
        operations: &[Operation],
    ) -> Result<(), String> {
        match &done {
            Ok(()) => self.model.did(operations),
            Err(_) => self.model.tried(operations),
        }
        self.survive(done)
    }

    /// Goes on after a full disk; a disk error is a restart, or a power cut.
    fn survive(&mut self, done: Result<(), LogError>) -> Result<(), String> {
        match done {
            Ok(()) | Err(LogError::Full { .. }) => Ok(()),
            Err(LogError::Io { .. } | LogError::Poisoned) => {
                self.crashes += 1;
                if !self.calm && self.random.below(2) == 0 { self.restart() } else { self.crash() }
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Ends and starts the program; the power stays.
    fn restart(&mut self) -> Result<(), String> {
        self.disk.heal();
        match Log::open(Arc::new(self.disk.clone()), Path::new(DIR), self.config) {
            Ok(log) => self.log = log,
            Err(error) => return Err(format!("restart: {error}")),
        }
        // A failed write leaves its mark, so that not even its first part is taken for valid; a disk
        // that failed it for another reason may keep that part.
        self.model
            .expect_all(&self.log)
            .or_else(|_| self.model.expect_prefix(&self.log).map(|_| ()))
    }

    fn crash(&mut self) -> Result<(), String> {
        loop {
            let seed = self.random.draw();
            self.disk.crash(seed);
            // Now and then the power goes again during recovery.
            if self.random.below(4) == 0 {
                let after = self.random.below(12) as u64;
                self.disk.cut_power_after(after);
            }
            match Log::open(Arc::new(self.disk.clone()), Path::new(DIR), self.config) {
                Ok(log) => self.log = log,
                Err(LogError::Io { .. }) => continue,
                Err(error) => return Err(format!("crash seed {seed}: {error}")),
            }
            self.disk.heal();
            return self.model.expect_prefix(&self.log).map(|_| ());
        }
    }
}

fn as_entry(operation: &Operation) -> Entry<'_> {
    let Operation::Append { group, id, payload } = operation else {
        unreachable!("only appends are entries")
    };
    Entry { group: *group, term: id.term, index: id.index, payload }
}
