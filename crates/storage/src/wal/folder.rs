//! The log's folder: segments in use, and spare files that become segments.
//!
//! A spare is written and synced before it is renamed to `<seq>.seg`, and a segment's renaming to a
//! spare is synced before it is written: no crash leaves a half-made segment under a segment's name.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::LogError;
use super::record::HEADER;
use super::segment::{Segment, SegmentHeader, extend};
use crate::files::{File, Files};

/// Retired segments that are kept: rewriting a file in place spares the file system its journal.
pub(super) const SPARES: usize = 1;
const SEGMENT: &str = ".seg";
const SPARE: &str = ".spare";

pub(super) struct Folder {
    files: Arc<dyn Files>,
    dir: PathBuf,
    /// Size of a full segment in bytes, a power of two.
    pub(super) segment_bytes: u32,
    spares: Vec<PathBuf>,
}

impl Folder {
    /// Makes the folder if need be; returns the numbers of its segments in ascending order.
    pub(super) fn open(
        files: Arc<dyn Files>,
        dir: &Path,
        segment_bytes: u32,
    ) -> Result<(Folder, Vec<u32>), LogError> {
        let io = |error| LogError::io("list", dir, error);
        files.create_dir(dir).map_err(io)?;
        let names = files.list(dir).map_err(io)?;
        let seqs = |suffix: &str| {
            let seq = |name: &String| name.strip_suffix(suffix)?.parse().ok();
            let exact = |seq: &u32| names.contains(&file_name(*seq, suffix));
            let mut seqs: Vec<u32> = names.iter().filter_map(seq).filter(exact).collect();
            seqs.sort_unstable();
            seqs.dedup();
            seqs
        };
        let (segments, spares) = (seqs(SEGMENT), seqs(SPARE));
        let spares = spares.into_iter().map(|seq| dir.join(file_name(seq, SPARE))).collect();
        let segment_bytes = segment_bytes.clamp(4096, 1 << 30).next_power_of_two();
        Ok((Folder { files, dir: dir.to_path_buf(), segment_bytes, spares }, segments))
    }

    /// A new segment's first size in bytes, a power of two: 1 MiB of the usual 64.
    pub(super) fn first_size(&self) -> u32 {
        (self.segment_bytes / 64).max(4096)
    }

    pub(super) fn segment_path(&self, seq: u32) -> PathBuf {
        self.dir.join(file_name(seq, SEGMENT))
    }

    pub(super) fn open_segment(&self, seq: u32, identity: u128) -> Result<Segment, LogError> {
        let path = self.segment_path(seq);
        let file = self.files.open(&path).map_err(|error| LogError::io("open", &path, error))?;
        Segment::open(path, file, seq, identity)
    }

    /// Makes a segment that begins with what `opening` returns: header, opening state, mark. It is
    /// durable when this returns.
    pub(super) fn create(
        &mut self,
        mut header: SegmentHeader,
        opening: impl FnOnce(&SegmentHeader) -> Vec<u8>,
    ) -> Result<Segment, LogError> {
        let spare = match self.spares.last() {
            Some(path) => path.clone(),
            None => self.dir.join(file_name(header.seq, SPARE)),
        };
        let io = |error| LogError::io("prepare", &spare, error);
        let file = self.take(&spare).map_err(io)?;
        header.allocated = self.size(&*file, header.state_end + HEADER).map_err(io)?;
        file.write_all_at(&opening(&header), 0).map_err(io)?;
        file.sync_data().map_err(|error| LogError::fatal("sync", &spare, error))?;
        let path = self.segment_path(header.seq);
        self.files.rename(&spare, &path).map_err(io)?;
        self.spares.pop();
        self.sync()?;
        let (seed, end) = (header.seed(), header.state_end);
        Ok(Segment { path, file, header, seed, allocated: header.allocated, end })
    }

    /// Opens the last spare, or makes it.
    fn take(&mut self, path: &Path) -> io::Result<Arc<dyn File>> {
        if self.spares.is_empty() {
            let file = self.files.create(path)?;
            self.spares.push(path.to_path_buf());
            return Ok(file);
        }
        self.files.open(path)
    }

    /// Gives a spare a length that a segment can begin with: its own if it was one, else the first.
    fn size(&self, file: &dyn File, needed: u32) -> io::Result<u32> {
        let first = self.first_size().max(needed.next_power_of_two());
        let len = file.len()?;
        let size = match u32::try_from(len) {
            Ok(len) if len.is_power_of_two() && (first..=self.segment_bytes).contains(&len) => len,
            _ => first,
        };
        if len > size.into() {
            file.set_len(size.into())?;
        }
        extend(file, len.min(size.into()), size.into())?;
        Ok(size)
    }

    /// Takes a segment out of the log: into the spares as far as needed, else away. Nothing may be
    /// created before [`Folder::sync`].
    pub(super) fn retire(&mut self, path: &Path) -> Result<(), LogError> {
        let io = |error| LogError::fatal("retire", path, error);
        if self.spares.len() >= SPARES {
            return self.files.remove(path).map_err(io);
        }
        let spare = path.with_extension("spare");
        self.files.rename(path, &spare).map_err(io)?;
        self.spares.push(spare);
        Ok(())
    }

    /// Removes spares but so many.
    pub(super) fn trim_spares(&mut self, keep: usize) -> Result<(), LogError> {
        while self.spares.len() > keep {
            let path = &self.spares[self.spares.len() - 1];
            self.files.remove(path).map_err(|error| LogError::fatal("remove", path, error))?;
            self.spares.pop();
        }
        Ok(())
    }

    /// Makes what was created, renamed and removed durable.
    pub(super) fn sync(&self) -> Result<(), LogError> {
        self.files.sync_dir(&self.dir).map_err(|error| LogError::fatal("sync", &self.dir, error))
    }
}

fn file_name(seq: u32, suffix: &str) -> String {
    format!("{seq:08}{suffix}")
}
