//! A client's credentials in files, for programs that read files.
//!
//! Every generation lies in a directory of its own, `<serial>/{client.crt,client.key,ca.crt}`, and
//! the symbolic link `current` names the one in force. Invariant: through `current` a reader sees
//! one whole generation, old or new; the key that waits for its certificate survives a crash.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustls::pki_types::CertificateDer;

use crate::credentials::{
    Credentials, certificates_from_pem, certificates_to_pem, has_public_key, key_from_pem,
    key_to_pem,
};
use crate::enrolment::{ApplicantKey, Enrolled};
use crate::error::PkiError;
use crate::files::{self, Access};
use crate::hash::Hex;

const CURRENT: &str = "current";
const PENDING_KEY: &str = "pending.key";
const CERTIFICATE: &str = "client.crt";
const KEY: &str = "client.key";
const BUNDLE: &str = "ca.crt";
const REMEDY: &str = "remove it and enrol again";

const LOCK: &str = "lock";

/// Held by the one process that changes the directory; free when dropped.
#[derive(Debug)]
pub struct ClientFilesLock(#[expect(dead_code, reason = "closing it is what unlocks")] File);

/// The directory of one client's credentials.
#[derive(Debug)]
pub struct ClientFiles {
    dir: PathBuf,
}

impl ClientFiles {
    /// Opens the directory, creating it if missing.
    pub fn open(dir: &Path) -> Result<Self, PkiError> {
        files::ensure_directory(dir)?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// Waits until no other process changes the directory: two that renew at once would take the
    /// waiting key, and older generations, from each other.
    pub fn lock(&self) -> Result<ClientFilesLock, PkiError> {
        let path = self.dir.join(LOCK);
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).mode(0o600);
        let file = options.custom_flags(OFlags::NOFOLLOW.bits() as i32).open(&path);
        let file = file.map_err(PkiError::io(&path))?;
        file.lock().map_err(PkiError::io(&path))?;
        Ok(ClientFilesLock(file))
    }

    /// The key to ask with: the one of an earlier attempt that was not answered, or a new one,
    /// stored before it is returned.
    pub fn applicant_key(&self) -> Result<ApplicantKey, PkiError> {
        let path = self.dir.join(PENDING_KEY);
        if let Some(bytes) = files::read(&path, Access::Secret)? {
            return ApplicantKey::from_pem(&String::from_utf8_lossy(&bytes)).map_err(damaged(path));
        }
        let key = ApplicantKey::generate()?;
        files::write(&path, Access::Secret, key.to_pem().as_bytes())?;
        Ok(key)
    }

    /// Puts new credentials in force and forgets all but the previous ones.
    pub fn publish(&self, enrolled: &Enrolled) -> Result<(), PkiError> {
        let serial: String = enrolled.identity.serial.iter().map(|b| format!("{b:02x}")).collect();
        let generation = self.dir.join(&serial);
        files::ensure_directory(&generation)?;
        let Enrolled { credentials, trust_bundle, .. } = enrolled;
        let write = |name: &str, access: Access, pem: String| {
            files::write(&generation.join(name), access, pem.as_bytes())
        };
        write(KEY, Access::Secret, key_to_pem(&credentials.key))?;
        write(CERTIFICATE, Access::Public, certificates_to_pem(&credentials.chain))?;
        write(BUNDLE, Access::Public, certificates_to_pem(trust_bundle))?;
        let previous = self.current_generation()?;
        self.link_current(&serial)?;
        files::remove(&self.dir.join(PENDING_KEY))?;
        self.remove_generations_but(&[Some(serial), previous])
    }

    /// The credentials in force with their trust bundle, if there are any.
    pub fn current(&self) -> Result<Option<StoredCredentials>, PkiError> {
        let Some(generation) = self.current_generation()? else { return Ok(None) };
        let path = |name: &str| self.dir.join(&generation).join(name);
        let read = |name: &str, access: Access| {
            Ok::<_, PkiError>(files::read(&path(name), access)?.unwrap_or_default())
        };
        let key = key_from_pem(&read(KEY, Access::Secret)?).map_err(damaged(path(KEY)))?;
        let chain = certificates_from_pem(&read(CERTIFICATE, Access::Public)?)
            .map_err(damaged(path(CERTIFICATE)))?;
        if !chain.first().is_some_and(|leaf| has_public_key(leaf, &key)) {
            return Err(damaged(path(CERTIFICATE))("it is for another key".to_owned()));
        }
        let bundle = read(BUNDLE, Access::Public)?;
        let trust_bundle = certificates_from_pem(&bundle).map_err(damaged(path(BUNDLE)))?;
        Ok(Some(StoredCredentials { credentials: Credentials { chain, key }, trust_bundle }))
    }

    fn current_generation(&self) -> Result<Option<String>, PkiError> {
        let path = self.dir.join(CURRENT);
        match fs::read_link(&path) {
            Ok(target) => match target.to_str() {
                Some(name) if is_generation(name) => Ok(Some(name.to_owned())),
                _ => Err(damaged(path)("it does not name a generation".to_owned())),
            },
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(PkiError::io(&path)(e)),
        }
    }

    fn link_current(&self, generation: &str) -> Result<(), PkiError> {
        let temporary = self.dir.join("current.tmp");
        files::remove(&temporary)?;
        symlink(generation, &temporary).map_err(PkiError::io(&temporary))?;
        let current = self.dir.join(CURRENT);
        fs::rename(&temporary, &current).map_err(PkiError::io(&current))?;
        files::sync_directory(&self.dir)
    }

    fn remove_generations_but(&self, kept: &[Option<String>]) -> Result<(), PkiError> {
        for entry in fs::read_dir(&self.dir).map_err(PkiError::io(&self.dir))? {
            let entry = entry.map_err(PkiError::io(&self.dir))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if is_generation(&name) && !kept.contains(&Some(name)) {
                fs::remove_dir_all(entry.path()).map_err(PkiError::io(&entry.path()))?;
            }
        }
        Ok(())
    }
}

/// What [`ClientFiles::current`] finds.
#[derive(Debug)]
pub struct StoredCredentials {
    pub credentials: Credentials,
    pub trust_bundle: Vec<CertificateDer<'static>>,
}

/// Nothing else in the directory is ever removed.
fn is_generation(name: &str) -> bool {
    name.parse::<Hex<16>>().is_ok()
}

fn damaged(path: PathBuf) -> impl FnOnce(String) -> PkiError {
    move |fault| PkiError::Damaged { path, fault, remedy: REMEDY }
}
