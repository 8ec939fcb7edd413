//! The disk, for work that is done on the runtime's own threads.
//!
//! Invariant: whoever waits for a read holds no other work up: the runtime gives what else the thread
//! had to do to another one. So short queries are evaluated where their request was read, and only
//! those that really need the disk cost a hand-over.

use std::io;
use std::path::Path;
use std::sync::Arc;

use metricstor_storage::files::{File, Files};
use tokio::task::block_in_place;

/// Files whose reads may be waited for on a thread of [`runtime`](crate::runtime). Everything else is
/// done by threads that may wait anyway.
pub struct ServingFiles<F>(pub F);

impl<F: Files> Files for ServingFiles<F> {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(ServingFile(self.0.create(path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(ServingFile(self.0.open(path)?)))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.0.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.create_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.sync_dir(dir)
    }

    fn free(&self, dir: &Path) -> io::Result<u64> {
        self.0.free(dir)
    }
}

struct ServingFile(Arc<dyn File>);

impl File for ServingFile {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        block_in_place(|| self.0.read_exact_at(buf, offset))
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(buf, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.0.allocate(len)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    use super::*;

    /// A disk that answers a read when it is told to.
    struct Slow(Mutex<Receiver<()>>);

    impl File for Slow {
        fn read_exact_at(&self, _: &mut [u8], _: u64) -> io::Result<()> {
            let told = self.0.lock().unwrap().recv_timeout(Duration::from_secs(10));
            told.map_err(io::Error::other)
        }

        fn write_all_at(&self, _: &[u8], _: u64) -> io::Result<()> {
            Ok(())
        }

        fn sync_data(&self) -> io::Result<()> {
            Ok(())
        }

        fn len(&self) -> io::Result<u64> {
            Ok(0)
        }

        fn set_len(&self, _: u64) -> io::Result<()> {
            Ok(())
        }

        fn allocate(&self, _: u64) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn who_waits_for_a_read_on_the_only_thread_holds_nobody_up() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let (answer, asked) = channel();
        let file = ServingFile(Arc::new(Slow(Mutex::new(asked))));
        runtime.block_on(async {
            let reading = tokio::spawn(async move { file.read_exact_at(&mut [], 0) });
            // Would never run if the read kept the thread: only this makes the disk answer.
            tokio::spawn(async move { answer.send(()).unwrap() }).await.unwrap();
            reading.await.unwrap().unwrap();
        });
    }
}
