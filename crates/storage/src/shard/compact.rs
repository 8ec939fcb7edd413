//! Merging chunk files, and dropping those that are too old.

use std::sync::Arc;

use metricstor_model::Samples;

use super::Shard;
use super::file_set::name;
use super::plan::{self, Candidate, Plan};
use crate::catalog::Publication;
use crate::chunk_file::{ChunkFile, ChunkFileWriter, FileMeta, FileSummary, Merge};
use crate::error::StorageError;

impl Shard {
    /// Does one merge if one is due; true when it did.
    pub fn compact(&self, now: i64) -> Result<bool, StorageError> {
        self.merge_planned(|files| plan::next(files, now))
    }

    /// Merges everything that may share a file.
    pub fn compact_everything(&self) -> Result<(), StorageError> {
        while self.merge_planned(plan::everything)? {}
        Ok(())
    }

    fn merge_planned(
        &self,
        choose: impl FnOnce(&[Candidate]) -> Option<Plan>,
    ) -> Result<bool, StorageError> {
        let mut maintenance = self.maintenance();
        let files = self.live().files.clone();
        let candidate = |f: &Arc<ChunkFile>| Candidate {
            name: name(f).to_owned(),
            level: f.meta().level,
            range: f.range(),
        };
        let candidates: Vec<Candidate> = files.iter().map(candidate).collect();
        let Some(plan) = choose(&candidates) else { return Ok(false) };
        let started = std::time::Instant::now();
        let chosen = |f: &&Arc<ChunkFile>| plan.inputs.iter().any(|input| input == name(f));
        let inputs: Vec<&ChunkFile> = files.iter().filter(chosen).map(|f| &**f).collect();
        let summary = self.merge(&inputs, plan.level)?;
        let file = ChunkFile::open(&*self.files, &self.chunks_dir.join(&summary.name))?;
        maintenance.catalog.publish(Publication {
            added: std::slice::from_ref(&summary),
            removed: &plan.inputs,
            ..Publication::default()
        })?;
        self.swap(&plan.inputs, vec![Arc::new(file)])?;
        self.metrics.compacted_bytes.add(summary.size);
        self.metrics.compaction.observe(started.elapsed());
        Ok(true)
    }

    fn merge(&self, inputs: &[&ChunkFile], level: u8) -> Result<FileSummary, StorageError> {
        let meta = FileMeta::new(level, u32::from(self.number));
        let mut writer = ChunkFileWriter::create(&*self.files, &self.chunks_dir, meta)?;
        let mut merge = Merge::new(inputs);
        let mut samples = Samples::default();
        while let Some((series, labels)) = merge.next(&mut samples)? {
            writer.add(series, &labels, &samples)?;
        }
        Ok(writer.finish()?)
    }

    /// Deletes the files whose newest sample is older than `oldest`; returns how many.
    pub fn expire(&self, oldest: i64) -> Result<usize, StorageError> {
        let mut maintenance = self.maintenance();
        let files = self.live().files.clone();
        let expired: Vec<String> =
            files.iter().filter(|f| f.range().end < oldest).map(|f| name(f).to_owned()).collect();
        if expired.is_empty() {
            return Ok(0);
        }
        let removed = &expired;
        maintenance.catalog.publish(Publication { removed, ..Publication::default() })?;
        self.swap(&expired, vec![])?;
        self.metrics.chunk_files_expired.add(expired.len() as u64);
        Ok(expired.len())
    }

    /// Makes a published change visible, then deletes the files that readers no longer find. Those
    /// that read one at this moment keep it open.
    fn swap(&self, removed: &[String], added: Vec<Arc<ChunkFile>>) -> Result<(), StorageError> {
        let mut live = self.live_mut();
        live.files = Arc::new(live.files.replace(removed, added));
        drop(live);
        for name in removed {
            let path = self.chunks_dir.join(name);
            self.files.remove(&path).map_err(|e| StorageError::io("remove", &path, e))?;
        }
        Ok(())
    }
}
