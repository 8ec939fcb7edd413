use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::certificate::{is_signed_by, seconds_after_epoch, validity};
use crate::identity::Identity;

const DAY: u64 = 86_400;
const START: u64 = 1_800_000_000;

fn day(n: u64) -> UnixTime {
    seconds_after_epoch(START + n * DAY)
}

fn domain() -> TrustDomain {
    "test.example".parse().unwrap()
}

fn open(dir: &Path, now: UnixTime) -> Result<Authority, PkiError> {
    let authority = Authority::open_or_create(dir, &domain(), now)?;
    authority.administrator(now)?;
    Ok(authority)
}

fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .map(|p| (p.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&p).unwrap()))
        .collect();
    files.sort();
    files
}

fn names(dir: &Path) -> Vec<String> {
    contents(dir).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn the_first_start_makes_everything_and_the_second_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path(), day(0)).unwrap();
    first.server("one", &["metrics.example", "192.0.2.7"], day(0)).unwrap();
    let made = contents(dir.path());
    assert_eq!(
        names(dir.path()),
        [
            "admin.crt",
            "admin.key",
            "ca.crt",
            "issuing-1.pem",
            "root-1.pem",
            "server.crt",
            "server.key"
        ]
    );
    let second = open(dir.path(), day(1)).unwrap();
    second.server("one", &["metrics.example", "192.0.2.7"], day(1)).unwrap();
    assert_eq!(contents(dir.path()), made);
    assert_eq!(first.root_pin().unwrap(), second.root_pin().unwrap());
}

#[test]
fn keys_are_0600_and_certificates_0644() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path(), day(0)).unwrap().server("one", &[], day(0)).unwrap();
    for name in names(dir.path()) {
        let mode = fs::metadata(dir.path().join(&name)).unwrap().permissions().mode() & 0o777;
        let expected = if name.ends_with(".crt") { 0o644 } else { 0o600 };
        assert_eq!(mode, expected, "{name}");
    }
}

#[test]
fn every_key_file_is_refused_when_exposed_or_damaged_and_named() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path(), day(0)).unwrap().server("one", &[], day(0)).unwrap();
    for name in ["root-1.pem", "issuing-1.pem", "admin.key", "server.key"] {
        let path = dir.path().join(name);
        let start = || open(dir.path(), day(0)).and_then(|a| a.server("one", &[], day(0)));
        let error_of = || start().expect_err(name).to_string();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        assert!(error_of().contains(name), "{}", error_of());
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        let good = fs::read(&path).unwrap();
        let half = &good[..good.len() / 2];
        for bad in [&b""[..], b"garbage", half] {
            fs::write(&path, bad).unwrap();
            assert!(error_of().contains(name), "{}", error_of());
            assert!(error_of().contains("restore it from a backup"), "{}", error_of());
        }
        fs::write(&path, good).unwrap();
        start().unwrap();
    }
}

#[test]
fn a_damaged_leaf_certificate_is_made_again_for_the_same_key() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path(), day(0)).unwrap();
    let key = fs::read(dir.path().join("admin.key")).unwrap();
    fs::write(dir.path().join("admin.crt"), "damaged").unwrap();
    open(dir.path(), day(0)).unwrap();
    assert_eq!(fs::read(dir.path().join("admin.key")).unwrap(), key);
    let chain = certificates(dir.path(), "admin.crt");
    assert_eq!(Identity::from_certificate(&chain[0]).unwrap().subject.to_string(), "user/admin");
}

fn certificates(dir: &Path, name: &str) -> Vec<CertificateDer<'static>> {
    crate::certificates_from_pem(&fs::read(dir.join(name)).unwrap()).unwrap()
}

/// Every prefix of the first start's writes, as a crash would leave it, ends in a working whole.
#[test]
fn a_crash_during_the_first_start_is_completed_by_the_next() {
    let whole = tempfile::tempdir().unwrap();
    open(whole.path(), day(0)).unwrap();
    let order = ["root-1.pem", "issuing-1.pem", "ca.crt", "admin.key", "admin.crt"];
    for written in 0..order.len() {
        let dir = tempfile::tempdir().unwrap();
        for name in &order[..written] {
            fs::copy(whole.path().join(name), dir.path().join(name)).unwrap();
        }
        open(dir.path(), day(0)).unwrap();
        for name in &order[..written] {
            let (old, new) = (whole.path().join(name), dir.path().join(name));
            assert_eq!(fs::read(old).unwrap(), fs::read(new).unwrap(), "{name} was replaced");
        }
        assert_eq!(names(dir.path()).len(), order.len());
        let chain = certificates(dir.path(), "admin.crt");
        let root = &certificates(dir.path(), "ca.crt")[0];
        assert!(is_signed_by(&chain[0], &chain[1]) && is_signed_by(&chain[1], root));
    }
}

#[test]
fn a_servers_leaf_is_renewed_at_a_quarter_and_a_persons_at_two_thirds_with_the_same_key() {
    let dir = tempfile::tempdir().unwrap();
    let authority = open(dir.path(), day(0)).unwrap();
    let first = authority.server("one", &[], day(0)).unwrap();
    let same = authority.server("one", &[], day(22)).unwrap();
    assert_eq!(same.chain(), first.chain());
    let renewed = authority.server("one", &[], day(23)).unwrap();
    assert_ne!(renewed.chain(), first.chain());
    assert_eq!(renewed.key_der(), first.key_der());
    assert_eq!(validity(&renewed.chain()[0]).unwrap().1, day(113));
    let person = |now| {
        open(dir.path(), now).unwrap();
        certificates(dir.path(), "admin.crt")
    };
    assert_eq!(person(day(59)), person(day(0)));
    assert_ne!(person(day(60)), person(day(0)));
}

/// What a scanner sees of a server that renews itself: never less than sixty days left.
#[test]
fn a_healthy_servers_certificate_never_has_less_than_sixty_days_left() {
    let dir = tempfile::tempdir().unwrap();
    for now in (0..800).step_by(5).map(day) {
        let authority = open(dir.path(), now).unwrap();
        let leaf = &authority.server("one", &[], now).unwrap().chain()[0].clone();
        let left = validity(leaf).unwrap().1.as_secs() - now.as_secs();
        assert!(left > 60 * DAY, "{} days left", left / DAY);
    }
}

#[test]
fn a_servers_leaf_says_where_its_issuers_revocations_are_and_follows_the_settings() {
    let dir = tempfile::tempdir().unwrap();
    let mut authority = open(dir.path(), day(0)).unwrap();
    let plain = LeafRequest::server("one", &[]).unwrap();
    let with = |url: &str| LeafRequest { crl_url: Some(url.to_owned()), ..plain.clone() };
    let leaf = |authority: &Authority, request: &LeafRequest| {
        authority.server_as(request, day(1)).unwrap().chain()[0].clone()
    };
    assert_eq!(certificate::crl_address(&leaf(&authority, &plain)), None);
    let first = leaf(&authority, &with("https://a.example/crl"));
    let issuer = certificate::public_key_hash(&authority.issuing_chain()[0]).unwrap();
    let address = certificate::crl_address(&first).unwrap();
    assert_eq!(address, format!("https://a.example/crl/{issuer}"));
    assert_eq!(leaf(&authority, &with("https://a.example/crl")), first, "nothing changed");
    assert_ne!(leaf(&authority, &with("https://b.example/crl")), first);
    authority.add_issuing(day(1)).unwrap();
    let next = certificate::crl_address(&leaf(&authority, &with("https://a.example/crl"))).unwrap();
    assert_ne!(next, address, "another key has another list");
    let lists = authority.crls(&[], day(1)).unwrap();
    assert!(lists.iter().any(|list| next.ends_with(&list.issuer.to_string())));
}

#[test]
fn a_shorter_life_by_setting_is_taken_over_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let authority = open(dir.path(), day(0)).unwrap();
    let end = |days: u64| {
        let mut request = LeafRequest::server("one", &[]).unwrap();
        request.lifetime = std::time::Duration::from_secs(days * DAY);
        let server = authority.server_as(&request, day(1)).unwrap();
        validity(&server.chain()[0]).unwrap().1
    };
    assert_eq!([end(90), end(30), end(30)], [day(91), day(31), day(31)]);
}

#[test]
fn other_host_names_or_another_name_give_another_server_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let authority = open(dir.path(), day(0)).unwrap();
    let first = authority.server("one", &["a.example"], day(0)).unwrap();
    let more = authority.server("one", &["a.example", "b.example"], day(0)).unwrap();
    assert_ne!(first.chain(), more.chain());
    let other = authority.server("two", &["a.example", "b.example"], day(0)).unwrap();
    assert_eq!(Identity::from_certificate(&other.chain()[0]).unwrap().name(), "two");
    assert!(matches!(authority.server("one", &["a b"], day(0)), Err(PkiError::HostName(_))));
    assert!(matches!(authority.server("one", &["*"], day(0)), Err(PkiError::HostName(_))));
}

#[test]
fn the_issuing_key_is_replaced_at_half_of_its_life() {
    let dir = tempfile::tempdir().unwrap();
    let mut authority = open(dir.path(), day(0)).unwrap();
    assert_eq!(authority.expiries().unwrap(), [("issuing", day(365)), ("root", day(3_652))]);
    let first = authority.issuing_chain().to_vec();
    assert!(!authority.renew(day(180)).unwrap());
    assert!(authority.renew(day(184)).unwrap());
    assert_ne!(authority.issuing_chain(), first);
    assert!(!authority.renew(day(185)).unwrap());
}

/// A start with a clock twenty years ahead, then one with the right time.
#[test]
fn a_clock_that_was_wrong_for_a_while_destroys_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let before = open(dir.path(), day(0)).unwrap();
    let before = (before.trust_bundle()[0].clone(), before.issuing_chain()[0].clone());
    let made = contents(dir.path());
    open(dir.path(), day(20 * 365)).unwrap().server("one", &[], day(20 * 365)).unwrap();
    let after = open(dir.path(), day(1)).unwrap();
    let server = after.server("one", &[], day(1)).unwrap();
    let chain = server.chain();
    for certificate in &chain[..2] {
        let (start, end) = validity(certificate).unwrap();
        assert!(start <= day(1) && day(1) < end);
    }
    assert!(is_signed_by(&chain[0], &chain[1]) && is_signed_by(&chain[1], &before.0));
    assert!(after.trust_bundle().contains(&before.0));
    assert!(before.1 != chain[1], "the newer key is in use");
    let now = contents(dir.path());
    for kept in made.iter().filter(|(name, _)| name.ends_with(".pem")) {
        assert!(now.contains(kept), "{} was changed or removed", kept.0);
    }
}

#[test]
fn after_forty_days_and_after_forty_years_of_sleep_everything_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path(), day(0)).unwrap().server("one", &[], day(0)).unwrap();
    for now in [day(40), day(40 * 366)] {
        let authority = open(dir.path(), now).unwrap();
        let server = authority.server("one", &[], now).unwrap();
        let (start, end) = validity(&server.chain()[0]).unwrap();
        assert!(start <= now && now < end);
        assert!(authority.trust_bundle().iter().any(|root| validity(root).unwrap().1 > now));
    }
}

#[test]
fn leaves_never_outlive_their_issuer_nor_issuers_their_root() {
    let dir = tempfile::tempdir().unwrap();
    let authority = open(dir.path(), day(0)).unwrap();
    let mut request = LeafRequest::new("user/long".parse().unwrap());
    request.lifetime = std::time::Duration::from_secs(3_650 * DAY);
    let chain = authority.issue_with_new_key(&request, day(1)).unwrap().chain;
    let ends: Vec<_> = chain.iter().map(|c| validity(c).unwrap().1).collect();
    assert!(ends[0] <= ends[1] && ends[1] <= validity(&authority.bundle[0]).unwrap().1);
}

#[test]
fn a_root_taken_offline_stays_trusted_and_is_missed_only_when_needed() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path(), day(0)).unwrap();
    let (here, away) = (dir.path().join("root-1.pem"), dir.path().join("root-1.away"));
    fs::rename(&here, &away).unwrap();
    let mut authority = open(dir.path(), day(1)).unwrap();
    assert_eq!(authority.trust_bundle().len(), 1);
    assert!(!authority.renew(day(200)).unwrap(), "due, but nothing can be done yet");
    let error = open(dir.path(), day(400)).err().unwrap().to_string();
    assert!(error.contains("root-<n>.pem"), "{error}");
    authority.add_root(day(1)).unwrap();
    assert!(!here.exists(), "a new root must not take the absent one's file");
    fs::rename(&away, &here).unwrap();
    let bundle = open(dir.path(), day(400)).unwrap().trust_bundle().to_vec();
    assert_eq!(bundle, authority.trust_bundle());
}

#[test]
fn a_missing_bundle_is_remade_from_the_root_key_and_otherwise_refused() {
    let dir = tempfile::tempdir().unwrap();
    let before = open(dir.path(), day(0)).unwrap().trust_bundle().to_vec();
    fs::remove_file(dir.path().join("ca.crt")).unwrap();
    assert_eq!(open(dir.path(), day(0)).unwrap().trust_bundle(), before);
    fs::remove_file(dir.path().join("ca.crt")).unwrap();
    fs::remove_file(dir.path().join("root-1.pem")).unwrap();
    let error = open(dir.path(), day(0)).err().unwrap().to_string();
    assert!(error.contains("ca.crt") && error.contains("restore it"), "{error}");
}

#[test]
fn another_trust_domain_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path(), day(0)).unwrap();
    let other = "other.example".parse().unwrap();
    let result = Authority::open_or_create(dir.path(), &other, day(0));
    assert!(matches!(result, Err(PkiError::OtherTrustDomain { .. })));
}

#[test]
fn an_administrators_key_that_was_moved_away_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path(), day(0)).unwrap();
    fs::remove_file(dir.path().join("admin.key")).unwrap();
    open(dir.path(), day(0)).unwrap();
    assert!(!dir.path().join("admin.key").exists());
}

#[test]
fn an_impossible_clock_is_an_error_and_not_a_panic() {
    for seconds in [u64::MAX, 1 << 62, 300_000_000_000] {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(open(dir.path(), seconds_after_epoch(seconds)), Err(PkiError::Clock)));
    }
    let dir = tempfile::tempdir().unwrap();
    open(dir.path(), seconds_after_epoch(0)).unwrap();
}
