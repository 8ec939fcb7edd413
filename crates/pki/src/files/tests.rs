use std::os::unix::fs::symlink;

use super::*;

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn secrets_are_written_0600_and_public_files_0644() {
    let dir = tempfile::tempdir().unwrap();
    for (access, mode) in [(Access::Secret, 0o600), (Access::Public, 0o644)] {
        let path = dir.path().join(format!("{mode:o}"));
        write(&path, access, b"one").unwrap();
        write(&path, access, b"two").unwrap();
        assert_eq!(mode_of(&path), mode);
        assert_eq!(read(&path, access).unwrap().as_deref(), Some(&b"two"[..]));
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "no temporary file stays");
}

#[test]
fn a_secret_that_others_may_read_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.key");
    write(&path, Access::Secret, b"secret").unwrap();
    for mode in [0o640, 0o604, 0o644, 0o620, 0o601] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let error = read(&path, Access::Secret).unwrap_err().to_string();
        assert!(error.contains("a.key") && error.contains("chmod 600"), "{error}");
    }
}

#[test]
fn a_temporary_file_left_by_a_crash_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.key");
    fs::write(dir.path().join("a.key.tmp"), b"half").unwrap();
    assert_eq!(read(&path, Access::Secret).unwrap(), None);
    write(&path, Access::Secret, b"whole").unwrap();
    assert_eq!(read(&path, Access::Secret).unwrap().as_deref(), Some(&b"whole"[..]));
    assert_eq!(mode_of(&path), 0o600);
}

#[test]
fn symbolic_links_fifos_and_directories_are_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("target");
    write(&target, Access::Secret, b"secret").unwrap();
    let link = dir.path().join("link");
    symlink(&target, &link).unwrap();
    let fifo = dir.path().join("fifo");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    for path in [&link, &fifo, &dir.path().to_owned()] {
        assert!(read(path, Access::Secret).is_err(), "{path:?}");
    }
}

#[test]
fn a_directory_others_may_write_to_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/pki");
    ensure_directory(&path).unwrap();
    assert_eq!(mode_of(&path), 0o700);
    fs::set_permissions(&path, Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(ensure_directory(&path), Err(PkiError::OpenDirectory { mode: 0o777, .. })));
}
