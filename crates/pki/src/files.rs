//! Key and certificate files: written atomically, secrets 0600 and checked on every read.
//!
//! Invariant: a file named by its final name is complete and on disk; a secret that others could
//! have read or planted is refused, not repaired. Symbolic links are never followed.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use crate::error::PkiError;

/// No key or certificate file comes near this; more is damage.
const FILE_LENGTH_MAX: u64 = 1 << 20;
/// Bound on a log, which is rewritten long before.
const LOG_LENGTH_MAX: u64 = 1 << 30;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// 0600
    Secret,
    /// 0644
    Public,
}

/// Creates the directory 0700, or checks that nobody else may create files in it.
pub(crate) fn ensure_directory(dir: &Path) -> Result<(), PkiError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(PkiError::io(dir))?;
    let metadata = fs::metadata(dir).map_err(PkiError::io(dir))?;
    check_owner(dir, metadata.uid())?;
    let mode = metadata.mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(PkiError::OpenDirectory { path: dir.to_owned(), mode });
    }
    Ok(())
}

/// Reads a whole file; `None` when there is none.
pub(crate) fn read(path: &Path, access: Access) -> Result<Option<Vec<u8>>, PkiError> {
    read_bounded(path, access, FILE_LENGTH_MAX)
}

/// Reads a secret log; `None` when there is none.
pub(crate) fn read_log(path: &Path) -> Result<Option<Vec<u8>>, PkiError> {
    read_bounded(path, Access::Secret, LOG_LENGTH_MAX)
}

fn read_bounded(path: &Path, access: Access, length_max: u64) -> Result<Option<Vec<u8>>, PkiError> {
    // NONBLOCK: opening a planted FIFO must not hang.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(PkiError::io(path)(e)),
    };
    let metadata = file.metadata().map_err(PkiError::io(path))?;
    if !metadata.is_file() || metadata.len() > length_max {
        return Err(PkiError::Damaged {
            path: path.to_owned(),
            fault: "not a regular file of plausible size".into(),
            remedy: "remove it",
        });
    }
    if access == Access::Secret {
        check_owner(path, metadata.uid())?;
        let mode = metadata.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(PkiError::Exposed { path: path.to_owned(), mode });
        }
    }
    let mut bytes = Vec::new();
    file.take(length_max).read_to_end(&mut bytes).map_err(PkiError::io(path))?;
    Ok(Some(bytes))
}

/// Replaces the file in one step: after a crash there is the old content or the new.
pub(crate) fn write(path: &Path, access: Access, bytes: &[u8]) -> Result<(), PkiError> {
    let dir = path.parent().expect("files live in the pki directory");
    let mut name = path.file_name().expect("files have a name").to_owned();
    name.push(".tmp");
    let temporary = dir.join(name);
    remove(&temporary)?;
    write_new(&temporary, access, bytes).map_err(PkiError::io(&temporary))?;
    fs::rename(&temporary, path).map_err(PkiError::io(path))?;
    sync_directory(dir)
}

fn write_new(path: &Path, access: Access, bytes: &[u8]) -> std::io::Result<()> {
    let mode = match access {
        Access::Secret => 0o600,
        Access::Public => 0o644,
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    // Set explicitly: the umask must neither widen nor narrow it.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

/// Removes the file if it is there.
pub(crate) fn remove(path: &Path) -> Result<(), PkiError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) => Err(PkiError::io(path)(e)),
    }
}

pub(crate) fn sync_directory(dir: &Path) -> Result<(), PkiError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(PkiError::io(dir))
}

fn check_owner(path: &Path, owner: u32) -> Result<(), PkiError> {
    let expected = rustix::process::geteuid().as_raw();
    if owner == expected {
        return Ok(());
    }
    Err(PkiError::Owner { path: path.to_owned(), owner, expected })
}

#[cfg(test)]
mod tests;
