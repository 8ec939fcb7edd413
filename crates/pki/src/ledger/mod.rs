//! The register of the authority on disk: a log of commands, replayed at start.
//!
//! It has the face of a replicated log: commands go in, outcomes come out. Invariant: an outcome that
//! `submit` returned is on disk; a damaged file is refused, never half believed.

mod command;
mod record;
mod state;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::command::{Command, Granted, Outcome, Refusal, Seconds};
pub use self::state::{AHEAD_MAX, Enrolment, Pending, Revocation, State, Token, Verdict};
use crate::error::PkiError;
use crate::files::{self, Access};

const FILE: &str = "ledger.log";
/// The log is rewritten as one snapshot when it is this long and mostly history.
const REWRITE_LENGTH: u64 = 1 << 20;
const REWRITE_FACTOR: u64 = 4;
const REMEDY: &str = "restore it from a backup, or remove it to forget all enrolments and \
                      revocations; then replace the root, or revoked certificates are valid again";

/// One line of the log.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    Command(Command),
    Snapshot(State),
}

/// What is wrong with a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum LedgerFault {
    #[error("it is not a ledger of version 1")]
    Header,
    #[error("a record is damaged")]
    Damaged,
    #[error("a record is missing")]
    Gap,
    #[error("it has lost records that had been written")]
    Shorter,
}

/// The open log and the state it led to.
pub struct Ledger {
    path: PathBuf,
    file: File,
    state: State,
    length: u64,
    snapshot_length: u64,
    rewrite_length: u64,
    /// The last command that is known to be on disk.
    durable: u64,
    /// A write failed and nobody knows what is on disk.
    failed: bool,
}

impl Ledger {
    /// Replays `dir/ledger.log`, creating it if missing.
    pub fn open(dir: &Path) -> Result<Self, PkiError> {
        files::ensure_directory(dir)?;
        let path = dir.join(FILE);
        // Absent or shorter than its header: created, but not yet used.
        let bytes = files::read_log(&path)?.unwrap_or_default();
        let (state, valid) = if record::HEADER.starts_with(&bytes) && bytes != record::HEADER {
            files::write(&path, Access::Secret, record::HEADER)?;
            (State::default(), record::HEADER.len())
        } else {
            replay(&bytes).map_err(|fault| damaged(&path, fault))?
        };
        let file = OpenOptions::new().append(true).open(&path).map_err(PkiError::io(&path))?;
        if bytes.len() > valid {
            tracing::warn!(file = %path.display(), bytes = bytes.len() - valid, "dropped a record cut short");
            file.set_len(valid as u64)
                .and_then(|()| file.sync_all())
                .map_err(PkiError::io(&path))?;
        }
        let length = valid as u64;
        let rewrite_length = REWRITE_LENGTH;
        let durable = state.index;
        let snapshot_length = 0;
        Ok(Self {
            path,
            file,
            state,
            length,
            snapshot_length,
            rewrite_length,
            durable,
            failed: false,
        })
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    /// Applies the command and makes it durable. A refusal is an outcome, not an error.
    ///
    /// After an error the state may be ahead of the disk; the next command starts from what the disk
    /// has.
    pub fn submit(&mut self, command: Command) -> Result<Outcome, PkiError> {
        if self.failed {
            self.recover()?;
        }
        let before = self.state.index;
        let outcome = self.state.apply(command.clone());
        // What changes nothing is not stored: strangers must not make the log grow.
        if self.state.index != before {
            self.append(&Entry::Command(command))?;
            self.rewrite_if_long()?;
        }
        Ok(outcome)
    }

    fn append(&mut self, entry: &Entry) -> Result<(), PkiError> {
        let bytes = encode(self.state.index, entry);
        self.failed = true;
        self.file
            .write_all(&bytes)
            .and_then(|()| self.file.sync_data())
            .map_err(PkiError::io(&self.path))?;
        self.failed = false;
        self.durable = self.state.index;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Reads the file again, and writes it anew: what a failed sync left readable need not be durable.
    fn recover(&mut self) -> Result<(), PkiError> {
        let dir = self.path.parent().expect("the ledger lies in a directory");
        let mut again = Self { rewrite_length: self.rewrite_length, ..Self::open(dir)? };
        // Another's file, an old copy, or none: what was acknowledged must not be forgotten for it.
        if again.state.index < self.durable {
            return Err(damaged(&self.path, LedgerFault::Shorter));
        }
        again.rewrite()?;
        tracing::warn!(file = %self.path.display(), "the register can be written again");
        *self = again;
        Ok(())
    }

    fn rewrite_if_long(&mut self) -> Result<(), PkiError> {
        if self.length < self.rewrite_length.max(REWRITE_FACTOR * self.snapshot_length) {
            return Ok(());
        }
        self.rewrite()
    }

    fn rewrite(&mut self) -> Result<(), PkiError> {
        let snapshot = encode(self.state.index, &Entry::Snapshot(self.state.clone()));
        let bytes = [record::HEADER, &snapshot].concat();
        self.failed = true;
        files::write(&self.path, Access::Secret, &bytes)?;
        self.file =
            OpenOptions::new().append(true).open(&self.path).map_err(PkiError::io(&self.path))?;
        self.failed = false;
        self.length = bytes.len() as u64;
        self.snapshot_length = self.length;
        Ok(())
    }
}

fn damaged(path: &Path, fault: LedgerFault) -> PkiError {
    PkiError::Damaged { path: path.to_owned(), fault: fault.to_string(), remedy: REMEDY }
}

fn encode(index: u64, entry: &Entry) -> Vec<u8> {
    let json = serde_json::to_vec(entry).expect("entries have string keys only");
    record::encode(index, &json)
}

/// The state after all whole records, and the length of the bytes they take.
fn replay(bytes: &[u8]) -> Result<(State, usize), LedgerFault> {
    let mut rest = bytes.strip_prefix(record::HEADER).ok_or(LedgerFault::Header)?;
    let mut state = State::default();
    while !rest.is_empty() {
        let Some(record) = record::decode(rest)? else { break };
        match serde_json::from_slice(record.json).map_err(|_| LedgerFault::Damaged)? {
            Entry::Snapshot(snapshot) if state.index == 0 => state = snapshot,
            Entry::Snapshot(_) => return Err(LedgerFault::Gap),
            Entry::Command(_) if record.index != state.index.saturating_add(1) => {
                return Err(LedgerFault::Gap);
            }
            Entry::Command(command) => {
                state.apply(command);
            }
        }
        // A command that changes nothing is not in the log of the state it would not change.
        if state.index != record.index {
            return Err(LedgerFault::Gap);
        }
        rest = &rest[record.length..];
    }
    Ok((state, bytes.len() - rest.len()))
}

#[cfg(test)]
mod tests;
