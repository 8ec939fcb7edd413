//! The names of a simulated disk: what programs see, and the changes not yet synced, each of which
//! a power cut keeps or loses on its own.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::random::Random;

#[derive(Default)]
pub(super) struct Names {
    seen: BTreeMap<PathBuf, u64>,
    durable: BTreeMap<PathBuf, u64>,
    unsynced: Vec<Change>,
    dirs: BTreeSet<PathBuf>,
}

struct Change {
    gone: Option<PathBuf>,
    new: Option<(PathBuf, u64)>,
}

impl Change {
    fn apply(self, names: &mut BTreeMap<PathBuf, u64>) {
        if let Some(gone) = self.gone {
            names.remove(&gone);
        }
        if let Some((path, inode)) = self.new {
            // A file has one name, also if the change that gave it the name before was lost.
            names.retain(|_, named| *named != inode);
            names.insert(path, inode);
        }
    }

    fn is_in(&self, dir: &Path) -> bool {
        let path = self.new.as_ref().map(|(path, _)| path).or(self.gone.as_ref());
        path.is_some_and(|path| path.parent() == Some(dir))
    }
}

impl Names {
    pub(super) fn get(&self, path: &Path) -> Option<u64> {
        self.seen.get(path).copied()
    }

    pub(super) fn holds(&self, inode: u64) -> bool {
        self.seen.values().any(|named| *named == inode)
    }

    pub(super) fn inodes(&self) -> impl Iterator<Item = &u64> {
        self.seen.values()
    }

    pub(super) fn create_dir(&mut self, dir: &Path) {
        self.dirs.extend(dir.ancestors().map(Path::to_path_buf));
    }

    pub(super) fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        if !self.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = self.seen.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    /// Fails unless a file can be created at `path`.
    pub(super) fn check_free(&self, path: &Path) -> io::Result<()> {
        if self.seen.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        match path.parent() {
            Some(dir) if self.dirs.contains(dir) => Ok(()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn link(&mut self, path: &Path, inode: u64) {
        self.seen.insert(path.to_path_buf(), inode);
        self.unsynced.push(Change { gone: None, new: Some((path.to_path_buf(), inode)) });
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        if from.parent() != to.parent() {
            return Err(io::Error::other("a rename stays within its folder"));
        }
        let inode = self.seen.remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.seen.insert(to.to_path_buf(), inode);
        let new = Some((to.to_path_buf(), inode));
        self.unsynced.push(Change { gone: Some(from.to_path_buf()), new });
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.seen.remove(path).ok_or(io::ErrorKind::NotFound)?;
        self.unsynced.push(Change { gone: Some(path.to_path_buf()), new: None });
        Ok(())
    }

    pub(super) fn sync(&mut self, dir: &Path) {
        let (synced, left) = self.unsynced.drain(..).partition(|change| change.is_in(dir));
        self.unsynced = left;
        let synced: Vec<Change> = synced;
        synced.into_iter().for_each(|change| change.apply(&mut self.durable));
    }

    /// Names a file durably; its folder exists from now on.
    pub(super) fn plant(&mut self, path: &Path, inode: u64) {
        path.parent().into_iter().for_each(|dir| self.create_dir(dir));
        self.seen.insert(path.to_path_buf(), inode);
        self.durable.insert(path.to_path_buf(), inode);
    }

    pub(super) fn crash(&mut self, random: &mut Random) {
        for change in self.unsynced.drain(..) {
            if random.below(2) == 0 {
                change.apply(&mut self.durable);
            }
        }
        self.seen = self.durable.clone();
    }
}
