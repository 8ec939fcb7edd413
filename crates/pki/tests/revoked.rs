//! Who was revoked stays revoked: after a backup's return, with a clock that was set back, and though
//! the authority itself keeps the administrator's files.

#![allow(clippy::unwrap_used, reason = "a panic is the failure report, in helpers too")]

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use metricstor_pki::{
    ApplicantKey, ClientAuth, Identity, Kind, Policy, Provisioner, ProvisionerSettings, TokenSpec,
    certificates_from_pem,
};
use support::*;

fn open(data: &Path, clock: &Arc<Clock>) -> Provisioner {
    try_open(data, clock).unwrap()
}

fn try_open(data: &Path, clock: &Arc<Clock>) -> Result<Provisioner, metricstor_pki::PkiError> {
    let settings = ProvisionerSettings {
        dir: data.join("pki"),
        revoked_copy: data.join("revoked.json"),
        trust_domain: domain(),
        name: "one".to_owned(),
        host_names: Vec::new(),
        certificate_life: Kind::Node.lifetime(),
        crl_url: None,
        allow_tls12: false,
        client_auth: ClientAuth::Optional,
        time: clock.clone(),
    };
    Provisioner::open(settings, Policy::default())
}

fn enrolled(pki: &Provisioner, name: &str) -> Identity {
    let spec = TokenSpec {
        kind: Kind::Agent,
        names: name.parse().unwrap(),
        uses: 1,
        lifetime: Duration::from_secs(600),
    };
    let mut registrar = pki.registrar();
    let token = registrar.create_token(&spec, "user/admin", pki.now()).unwrap();
    let key = ApplicantKey::generate().unwrap();
    let answer = registrar.enrol(&key.enrol(&token, name), pki.now()).unwrap();
    key.accept(&answer, None, pki.now()).unwrap().identity
}

fn revoke(pki: &Provisioner, name: &str) {
    pki.registrar().revoke(&subject(name), "stolen", "user/admin", pki.now()).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn an_old_register_put_in_place_un_revokes_nobody() {
    let data = tempfile::tempdir().unwrap();
    let clock = Arc::new(Clock::at(day(0)));
    let (folder, backup) = (data.path().join("pki"), data.path().join("backup"));
    let pki = open(data.path(), &clock);
    let (thief, honest) = (enrolled(&pki, "web-1"), enrolled(&pki, "web-2"));
    copy(&folder, &backup);
    clock.set(day(1));
    revoke(&pki, "agent/web-1");
    drop(pki);
    // First the whole folder as it was, then without any register.
    fs::remove_dir_all(&folder).unwrap();
    fs::rename(&backup, &folder).unwrap();
    for what in ["an old register", "none"] {
        let pki = open(data.path(), &clock);
        assert!(pki.guard().is_revoked(&thief), "{what}");
        assert!(!pki.guard().is_revoked(&honest), "{what}");
        let listed = pki.registrar().state().revoked[&subject("agent/web-1")].clone();
        assert_eq!(listed.reason, "stolen", "{what}: in the register again");
        drop(pki);
        fs::remove_file(folder.join("ledger.log")).unwrap();
    }
}

#[test]
fn a_damaged_copy_of_the_revocations_is_named_and_not_ignored() {
    let data = tempfile::tempdir().unwrap();
    let clock = Arc::new(Clock::at(day(0)));
    let file = data.path().join("revoked.json");
    let pki = open(data.path(), &clock);
    assert!(!file.exists(), "nobody is revoked");
    revoke(&pki, "agent/web-1");
    drop(pki);
    let whole = fs::read(&file).unwrap();
    for damaged in [&whole[..whole.len() / 2], b"", b"{\"agent\":1}"] {
        fs::write(&file, damaged).unwrap();
        let error = try_open(data.path(), &clock).err().unwrap().to_string();
        assert!(error.contains("revoked.json") && error.contains("restore it"), "{error}");
    }
    fs::write(&file, whole).unwrap();
    open(data.path(), &clock);
}

#[test]
fn a_clock_that_was_set_back_spares_no_certificate() {
    let data = tempfile::tempdir().unwrap();
    let clock = Arc::new(Clock::at(day(5)));
    let pki = open(data.path(), &clock);
    let thief = enrolled(&pki, "web-1");
    clock.set(day(1));
    revoke(&pki, "agent/web-1");
    clock.set(day(5));
    assert!(pki.guard().is_revoked(&thief));
}

#[test]
fn a_revoked_administrators_key_gets_no_other_certificate_and_a_new_key_does() {
    let data = tempfile::tempdir().unwrap();
    let clock = Arc::new(Clock::at(day(0)));
    let file = |name: &str| data.path().join("pki").join(name);
    let held = || {
        let chain = certificates_from_pem(&fs::read(file("admin.crt")).unwrap()).unwrap();
        Identity::from_certificate(&chain[0]).unwrap()
    };
    let mut pki = open(data.path(), &clock);
    let first = held();
    clock.set(day(1));
    revoke(&pki, "user/admin");
    // The chain is another now, and later the certificate is due, and then it is not even there.
    clock.set(day(2));
    pki.rotate_issuing("local").unwrap();
    assert_eq!(held(), first);
    clock.set(day(80));
    pki.renew().unwrap();
    drop(pki);
    pki = open(data.path(), &clock);
    assert_eq!(held(), first);
    fs::remove_file(file("admin.crt")).unwrap();
    pki.renew().unwrap();
    assert!(!file("admin.crt").exists());
    fs::remove_file(file("admin.key")).unwrap();
    pki.renew().unwrap();
    assert_ne!(held().key, first.key);
    assert!(!pki.guard().is_revoked(&held()) && pki.guard().is_revoked(&first));
}

#[test]
fn the_lists_for_outsiders_name_a_revoked_administrator_too() {
    let data = tempfile::tempdir().unwrap();
    let clock = Arc::new(Clock::at(day(0)));
    let pki = open(data.path(), &clock);
    let issuer = pki.registrar().crls(day(0)).unwrap()[0].issuer;
    let before = pki.crl_of(&issuer).unwrap().unwrap();
    let chain = certificates_from_pem(&fs::read(data.path().join("pki/admin.crt")).unwrap());
    let serial = Identity::from_certificate(&chain.unwrap()[0]).unwrap().serial;
    let holds = |list: &[u8]| list.windows(serial.len()).any(|bytes| bytes == serial);
    assert!(!holds(&before));
    revoke(&pki, "user/admin");
    assert!(holds(&pki.crl_of(&issuer).unwrap().unwrap()));
}
