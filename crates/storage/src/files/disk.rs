//! The real disk. Files and folders are private to their owner, and a final path component that is
//! a symbolic link is refused: a link planted in the data folder must not redirect a write.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, OFlags, fallocate, statvfs};

use super::{File, Files};

/// The operating system's files.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(no_follow())
            .open(path)?;
        Ok(Arc::new(DiskFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let file =
            fs::OpenOptions::new().read(true).write(true).custom_flags(no_follow()).open(path)?;
        Ok(Arc::new(DiskFile(file)))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        // A name that is not UTF-8 is none of ours.
        let name = |entry: io::Result<fs::DirEntry>| {
            entry.map(|entry| entry.file_name().into_string().ok()).transpose()
        };
        fs::read_dir(dir)?.filter_map(name).collect()
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        let parent = match dir.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        self.create_dir(parent)?;
        match fs::DirBuilder::new().mode(0o700).create(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists || !dir.is_dir() => {
                Err(error)
            }
            _ => self.sync_dir(parent),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn free(&self, dir: &Path) -> io::Result<u64> {
        let disk = statvfs(dir)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

fn no_follow() -> i32 {
    OFlags::NOFOLLOW.bits().cast_signed()
}

struct DiskFile(fs::File);

impl File for DiskFile {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buf, offset)
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(buf, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        match fallocate(&self.0, FallocateFlags::empty(), 0, len).map_err(io::Error::from) {
            // Not every file system can reserve; there a full disk shows at the write.
            Err(error) if error.kind() == io::ErrorKind::Unsupported && self.len()? < len => {
                self.set_len(len)
            }
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.allocate(len),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_is_private_preallocated_with_zeros_and_readable_at_any_offset() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/b");
        Disk.create_dir(&folder).unwrap();
        Disk.create_dir(&folder).unwrap();
        let path = folder.join("x");
        let file = Disk.create(&path).unwrap();
        file.allocate(8192).unwrap();
        file.allocate(4096).unwrap();
        file.write_all_at(b"abc", 5000).unwrap();
        file.sync_data().unwrap();
        let mut read = [9; 5];
        file.read_exact_at(&mut read, 4999).unwrap();
        assert_eq!(&read, b"\0abc\0");
        assert_eq!(file.len().unwrap(), 8192);
        assert_eq!(
            file.read_exact_at(&mut read, 8190).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Disk.create(&path).err().unwrap().kind(), io::ErrorKind::AlreadyExists);
        Disk.rename(&path, &folder.join("y")).unwrap();
        Disk.sync_dir(&folder).unwrap();
        assert_eq!(Disk.list(&folder).unwrap(), ["y"]);
    }

    #[test]
    fn a_planted_symbolic_link_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("target");
        fs::write(&target, "untouched").unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(Disk.open(&link).is_err());
        assert!(Disk.create(&link).is_err());
        assert_eq!(fs::read(&target).unwrap(), b"untouched");
    }
}
