//! Checking every byte of a file, and describing it for people.

use std::ops::ControlFlow;
use std::sync::Arc;

use metricstor_chunk::body;
use metricstor_model::{Labels, Samples, TimeRange};
use sha2::{Digest, Sha256};

use super::blocks::read_at;
use super::format::CHECKSUM_SIZE;
use super::labels::LabelReader;
use super::{ChunkFile, ChunkFileError, EXTENSION, Exemplars, FileMeta, Scratch};

/// One place where a file is not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// In the file, bytes.
    pub offset: u64,
    /// The series whose samples cannot be had; `None` when the place belongs to no single one.
    pub series: Option<u32>,
    pub what: String,
}

/// What a file is, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    pub meta: FileMeta,
    /// All in bytes.
    pub size: u64,
    pub body_size: u64,
    pub timestamps_size: u64,
    pub labels_size: u64,
    pub directory_size: u64,
    pub tables_size: u64,
    pub range: TimeRange,
    pub series: u64,
    pub chunks: u64,
    pub samples: u64,
    pub exemplars: u64,
    /// Of memory while the file is open, bytes.
    pub memory: u64,
}

impl ChunkFile {
    pub fn describe(&self) -> Description {
        let labels = self.tables.labels.iter().map(|frame| frame.size + CHECKSUM_SIZE as u64);
        Description {
            meta: self.meta,
            size: self.size,
            body_size: self.footer.directory,
            timestamps_size: self.tables.columns.iter().map(|page| page.size).sum(),
            labels_size: labels.sum(),
            directory_size: self.footer.tables - self.footer.directory,
            tables_size: self.size - self.footer.tables,
            range: self.footer.range,
            series: self.footer.series,
            chunks: self.footer.chunks,
            samples: self.footer.samples,
            exemplars: self.footer.exemplars,
            memory: self.memory() as u64,
        }
    }

    /// Every series with its labels, in the order of writing.
    pub fn for_each_series(
        &self,
        mut visit: impl FnMut(u32, &Labels) -> ControlFlow<()>,
    ) -> Result<(), ChunkFileError> {
        let mut reader = LabelReader::default();
        for frame in 0..self.tables.labels.len() {
            self.load_labels(frame, &mut reader)?;
            let offset = self.tables.labels[frame].offset;
            let next = |reader: &mut LabelReader| {
                reader.next().map_err(|error| ChunkFileError::damaged(&self.path, offset, error))
            };
            while let Some((series, labels)) = next(&mut reader)? {
                if visit(series, &labels).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    pub(super) fn load_labels(
        &self,
        frame: usize,
        reader: &mut LabelReader,
    ) -> Result<(), ChunkFileError> {
        let frame = self.tables.labels[frame];
        let damaged = |what: &str| ChunkFileError::damaged(&self.path, frame.offset, what);
        let mut bytes = vec![0; frame.size as usize + CHECKSUM_SIZE];
        read_at(&*self.file, &self.path, &mut bytes, frame.offset)?;
        let content = self.meta.checked(&bytes, frame.offset);
        let content = content.ok_or_else(|| damaged("labels checksum"))?;
        reader.load(content, frame.uncompressed).map_err(|error| damaged(&error.to_string()))
    }

    /// Reads and decodes everything; names each damaged place, up to `max` of them.
    ///
    /// Fails only when the disk does.
    pub fn verify(&self, max: usize) -> Result<Vec<Damage>, ChunkFileError> {
        let mut found = Findings { damages: Vec::new(), max };
        self.verify_chunks(&mut found)?;
        let labels = self.for_each_series(|_, _| ControlFlow::Continue(()));
        found.note(None, labels)?;
        self.verify_exemplars(&mut found)?;
        if found.damages.is_empty() {
            self.verify_hash(&mut found)?;
        }
        Ok(found.damages)
    }

    fn verify_exemplars(&self, found: &mut Findings) -> Result<(), ChunkFileError> {
        let mut all = Exemplars::new();
        let read = self.exemplars(TimeRange::ALL, |_| true, &mut all);
        let count = all.values().map(|exemplars| exemplars.len() as u64).sum::<u64>();
        if found.note(None, read)?.is_some() && count != self.footer.exemplars {
            let what = format!("{count} exemplars where {} are promised", self.footer.exemplars);
            found.add(self.footer.directory, None, what);
        }
        Ok(())
    }

    fn verify_chunks(&self, found: &mut Findings) -> Result<(), ChunkFileError> {
        let mut scratch = Scratch::default();
        let mut samples = Samples::default();
        let mut chunks = 0u64;
        for page in 0..self.tables.directory.len() {
            let entries = self.entries(page, &mut scratch).map(<[_]>::to_vec);
            let Some(entries) = found.note(None, entries)? else { continue };
            for entry in entries {
                chunks += 1;
                samples.clear();
                let decoded = self.decode_chunk(&entry, &mut samples, &mut scratch);
                found.note(Some(entry.key.series), decoded)?;
                if found.is_full() {
                    return Ok(());
                }
            }
        }
        if found.damages.is_empty() && chunks != self.footer.chunks {
            let what = format!("{chunks} chunks where {} are promised", self.footer.chunks);
            found.add(self.footer.directory, None, what);
        }
        if found.damages.is_empty() && self.tables.series.is_some() {
            let listed = found.note(None, self.series_of_directory())?;
            if listed.is_some() && listed != self.tables.series {
                let what = "the set of series is not that of the directory".to_owned();
                found.add(self.footer.tables, None, what);
            }
        }
        Ok(())
    }

    fn decode_chunk(
        &self,
        entry: &super::directory::Entry,
        samples: &mut Samples,
        scratch: &mut Scratch,
    ) -> Result<(), ChunkFileError> {
        let column = self.column(entry, scratch)?;
        let timestamps = self.decoded_column(entry, column.count, scratch)?;
        samples.timestamps.extend_from_slice(timestamps);
        let block = self.block(entry, scratch)?;
        let limit = super::DECODED_HISTOGRAMS_SIZE_MAX;
        body::decode(block, column.count, 0..column.count, limit, samples)
            .map_err(|error| ChunkFileError::damaged(&self.path, entry.offset, error))
    }

    /// Compares the content with the name, for a file that is named by its content.
    fn verify_hash(&self, found: &mut Findings) -> Result<(), ChunkFileError> {
        let name = self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(promised) = name.strip_suffix(EXTENSION).filter(|hex| hex.len() == 64) else {
            return Ok(());
        };
        let mut hash = Sha256::new();
        self.hash_content(&mut hash, 0, self.size)?;
        let hex = hex(hash);
        if hex != promised {
            found.add(0, None, format!("the content's hash is {hex}"));
        }
        Ok(())
    }

    /// Reads so many bytes from an offset on.
    fn hash_content(
        &self,
        hash: &mut Sha256,
        mut offset: u64,
        bytes: u64,
    ) -> Result<(), ChunkFileError> {
        let mut buffer = vec![0; 256 << 10];
        let end = offset.saturating_add(bytes).min(self.size);
        while offset < end {
            let length = (end - offset).min(buffer.len() as u64) as usize;
            read_at(&*self.file, &self.path, &mut buffer[..length], offset)?;
            hash.update(&buffer[..length]);
            offset += length as u64;
        }
        Ok(())
    }
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Compares a file's content with its name, a part at a time.
pub struct ContentCheck {
    file: Arc<ChunkFile>,
    hash: Sha256,
    offset: u64,
}

impl ContentCheck {
    pub fn new(file: Arc<ChunkFile>) -> Self {
        Self { file, hash: Sha256::new(), offset: 0 }
    }

    pub fn file(&self) -> &ChunkFile {
        &self.file
    }

    /// Bytes that are not read yet.
    pub fn left(&self) -> u64 {
        self.file.size - self.offset
    }

    /// Reads at most so many bytes more; once all are read: is the content what the name says?
    pub fn step(&mut self, bytes: u64) -> Result<Option<bool>, ChunkFileError> {
        self.file.hash_content(&mut self.hash, self.offset, bytes)?;
        self.offset = self.offset.saturating_add(bytes).min(self.file.size);
        if self.left() > 0 {
            return Ok(None);
        }
        let name = self.file.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        Ok(Some(name.strip_suffix(EXTENSION) == Some(hex(self.hash.clone()).as_str())))
    }
}

struct Findings {
    damages: Vec<Damage>,
    max: usize,
}

impl Findings {
    fn is_full(&self) -> bool {
        self.damages.len() >= self.max
    }

    fn add(&mut self, offset: u64, series: Option<u32>, what: String) {
        if !self.is_full() {
            self.damages.push(Damage { offset, series, what });
        }
    }

    /// Turns damage into a finding; other errors stay errors.
    fn note<T>(
        &mut self,
        series: Option<u32>,
        result: Result<T, ChunkFileError>,
    ) -> Result<Option<T>, ChunkFileError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(ChunkFileError::Damaged { offset, what, .. }) => {
                self.add(offset, series, what);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
