//! From a token to a connection and through a certificate's life, with real handshakes.

#![allow(clippy::unwrap_used, reason = "a panic is the failure report, in helpers too")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use metricstor_pki::{
    AnswerError, ApplicantKey, ApprovalAnswer, ClientAuth, Credentials, EnrolAnswer, EnrolError,
    EnrolRequest, Enrolled, EnrolmentToken, Hex, Identity, Kind, LeafRequest, Refusal, Registrar,
    ServerTls, TlsSettings, TokenSpec, UnixTime, client, enrolment_client, shown_root,
    unpinned_client,
};
use support::*;

const HOUR: Duration = Duration::from_secs(3_600);

struct Office {
    dir: tempfile::TempDir,
    registrar: Registrar,
    clock: Arc<Clock>,
    tls: ServerTls,
}

impl Office {
    fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let registrar = Registrar::open(dir.path(), &domain(), day(0)).unwrap();
        let clock = Arc::new(Clock::at(day(0)));
        let settings = TlsSettings {
            trust_domain: domain(),
            allow_tls12: false,
            revocations: registrar.revocations(),
            time: clock.clone(),
        };
        let authority = registrar.authority();
        let server = authority.server("one", &[], day(0)).unwrap();
        let tls = ServerTls::new(settings, &server, authority.trust_bundle()).unwrap();
        Self { dir, registrar, clock, tls }
    }

    /// Lets time pass and does what the server does then.
    fn wait_until(&mut self, now: UnixTime) {
        self.clock.set(now);
        self.registrar.authority_mut().renew(now).unwrap();
        self.reload(now);
    }

    fn reload(&self, now: UnixTime) {
        let authority = self.registrar.authority();
        let server = authority.server("one", &[], now).unwrap();
        self.tls.reload(&server, authority.trust_bundle()).unwrap();
    }

    /// What a kill and a start make of it; handshakes keep consulting the old set of revocations.
    fn restart(&mut self, now: UnixTime) {
        self.registrar = Registrar::open(self.dir.path(), &domain(), now).unwrap();
    }

    fn token(&mut self, names: &str, uses: u32, now: UnixTime) -> EnrolmentToken {
        self.token_for(Kind::Agent, names, uses, now)
    }

    fn token_for(&mut self, kind: Kind, names: &str, uses: u32, now: UnixTime) -> EnrolmentToken {
        let spec = TokenSpec { kind, names: names.parse().unwrap(), uses, lifetime: HOUR };
        self.registrar.create_token(&spec, "user/admin", now).unwrap()
    }

    fn enrolled(&mut self, name: &str, now: UnixTime) -> Enrolled {
        let token = self.token(name, 1, now);
        let key = ApplicantKey::generate().unwrap();
        let answer = self.registrar.enrol(&key.enrol(&token, name), now).unwrap();
        key.accept(&answer, Some(&token.root_pin), now).unwrap()
    }

    fn renewed(&mut self, old: &Enrolled, now: UnixTime) -> Result<Enrolled, EnrolError> {
        let key = ApplicantKey::generate().unwrap();
        let answer = self.registrar.renew(Some(&old.identity), &key.renew(), now)?;
        Ok(key.accept(&answer, None, now).unwrap())
    }

    fn connect(&self, enrolled: &Enrolled) -> Result<Established, String> {
        let Enrolled { credentials, trust_bundle, .. } = enrolled;
        let time = self.clock.clone();
        let config = client(credentials, trust_bundle, &domain(), time).unwrap();
        handshake(config.into(), self.tls.config(ClientAuth::Required))
    }
}

fn refusal<T>(result: Result<T, EnrolError>) -> Refusal {
    match result {
        Err(EnrolError::Refused(refusal)) => refusal,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("not refused"),
    }
}

#[test]
fn a_token_leads_to_a_connection_under_the_name_it_gives() {
    let mut office = Office::open();
    let token = office.token("web-*", 1, day(0));
    // What is copied to the other machine is one line of text.
    let token = EnrolmentToken::parse(&token.reveal()).unwrap();
    let door = enrolment_client(token.root_pin, office.clock.clone()).unwrap();
    handshake(door.into(), office.tls.config(ClientAuth::Optional)).unwrap();
    let key = ApplicantKey::generate().unwrap();
    let request = serde_json::to_string(&key.enrol(&token, "web-1")).unwrap();
    assert!(!request.contains(&token.reveal()[21..85]), "the secret must not travel");
    let request: EnrolRequest = serde_json::from_str(&request).unwrap();
    let answer = office.registrar.enrol(&request, day(0)).unwrap();
    let enrolled = key.accept(&answer, Some(&token.root_pin), day(0)).unwrap();
    let connection = office.connect(&enrolled).unwrap();
    assert_eq!(connection.peer_name().unwrap(), "spiffe://test.example/agent/web-1");
}

#[test]
fn another_authority_in_the_middle_is_recognised_before_anything_is_sent() {
    let (mut office, impostor) = (Office::open(), Office::open());
    let token = office.token("web-1", 1, day(0));
    let door = || enrolment_client(token.root_pin, office.clock.clone()).unwrap().into();
    let error = handshake(door(), impostor.tls.config(ClientAuth::Optional)).err().unwrap();
    assert!(error.contains("UnknownIssuer"), "{error}");
    // It may show the true root beside its own chain; that proves nothing.
    let authority = impostor.registrar.authority();
    let server = authority.server("one", &[], day(0)).unwrap();
    let mut chain = server.chain().to_vec();
    chain.extend_from_slice(office.registrar.authority().trust_bundle());
    let mut config = rustls::ServerConfig::builder_with_provider(
        rustls::crypto::ring::default_provider().into(),
    )
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(chain, server.key_der())
    .unwrap();
    config.alpn_protocols = vec![metricstor_pki::ENROL_ALPN.to_vec()];
    let error = handshake(door(), config.into()).err().unwrap();
    assert!(error.contains("UnknownIssuer") || error.contains("BadSignature"), "{error}");
}

#[test]
fn an_agent_cannot_pose_as_the_server() {
    let mut office = Office::open();
    let agent = office.enrolled("web-1", day(0));
    let config = rustls::ServerConfig::builder_with_provider(
        rustls::crypto::ring::default_provider().into(),
    )
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(agent.credentials.chain().to_vec(), agent.credentials.key_der())
    .unwrap();
    let victim = client(&agent.credentials, &agent.trust_bundle, &domain(), office.clock.clone());
    let error = handshake(victim.unwrap().into(), config.into()).err().unwrap();
    assert!(error.contains("invalid peer certificate"), "{error}");
}

#[test]
fn a_lost_answer_is_answered_again_even_after_a_crash() {
    let mut office = Office::open();
    let token = office.token("web-1", 1, day(0));
    let key = ApplicantKey::generate().unwrap();
    let request = key.enrol(&token, "web-1");
    office.registrar.enrol(&request, day(0)).unwrap();
    office.restart(day(0));
    let answer = office.registrar.enrol(&request, day(0)).unwrap();
    key.accept(&answer, Some(&token.root_pin), day(0)).unwrap();
    let other = ApplicantKey::generate().unwrap().enrol(&token, "web-1");
    assert_eq!(refusal(office.registrar.enrol(&other, day(0))), Refusal::TokenUsed);
}

/// The grant was committed and the authority killed before it signed.
#[test]
fn a_crash_between_commit_and_answer_costs_nothing() {
    let mut office = Office::open();
    let token = office.token("web-1", 1, day(0));
    let key = ApplicantKey::generate().unwrap();
    let request = key.enrol(&token, "web-1");
    // Without its issuing key the authority fails after the commit.
    let spare = tempfile::tempdir().unwrap();
    for name in ["root-1.pem", "issuing-1.pem"] {
        std::fs::copy(office.dir.path().join(name), spare.path().join(name)).unwrap();
    }
    std::fs::remove_file(office.dir.path().join("root-1.pem")).unwrap();
    office.restart(day(0));
    let far = day(366);
    let late = office.token("web-1", 1, far);
    let late_request = key.enrol(&late, "web-1");
    assert!(matches!(office.registrar.enrol(&late_request, far), Err(EnrolError::Pki(_))));
    for name in ["root-1.pem", "issuing-1.pem"] {
        std::fs::copy(spare.path().join(name), office.dir.path().join(name)).unwrap();
    }
    office.restart(far);
    let answer = office.registrar.enrol(&late_request, far).unwrap();
    key.accept(&answer, Some(&late.root_pin), far).unwrap();
    assert_eq!(refusal(office.registrar.enrol(&request, far)), Refusal::UnknownToken);
}

#[test]
fn tokens_end_with_their_time() {
    let mut office = Office::open();
    let token = office.token("web-1", 1, day(0));
    let key = ApplicantKey::generate().unwrap();
    let at_end = at(day(0).as_secs() + 3_600);
    let request = key.enrol(&token, "web-1");
    assert_eq!(refusal(office.registrar.enrol(&request, at_end)), Refusal::TokenExpired);
    for spec in [(0, HOUR), (u32::MAX, HOUR), (1, Duration::from_secs(31 * DAY))] {
        let names = "web-1".parse().unwrap();
        let spec = TokenSpec { kind: Kind::Agent, names, uses: spec.0, lifetime: spec.1 };
        let result = office.registrar.create_token(&spec, "user/admin", day(0));
        assert!(matches!(result, Err(EnrolError::TokenSpec)));
    }
}

#[test]
fn a_guessed_secret_or_token_is_refused_alike_and_the_token_stays_good() {
    let mut office = Office::open();
    let token = office.token("web-1", 1, day(0));
    let key = ApplicantKey::generate().unwrap();
    let good = key.enrol(&token, "web-1");
    for i in 0..32 {
        let mut guess = good.clone();
        guess.proof.0[i] ^= 0x10;
        assert_eq!(refusal(office.registrar.enrol(&guess, day(0))), Refusal::UnknownToken);
    }
    let unknown = EnrolRequest { token: Hex([7; 8]), ..good.clone() };
    assert_eq!(refusal(office.registrar.enrol(&unknown, day(0))), Refusal::UnknownToken);
    let another_name = EnrolRequest { name: "web-2".into(), ..good.clone() };
    assert_eq!(refusal(office.registrar.enrol(&another_name, day(0))), Refusal::UnknownToken);
    office.registrar.enrol(&good, day(0)).unwrap();
}

#[test]
fn answers_for_other_keys_roots_or_authorities_are_not_believed() {
    let (mut office, mut other) = (Office::open(), Office::open());
    let token = office.token("web-1", 1, day(0));
    let foreign = other.token("web-1", 1, day(0));
    let new = || ApplicantKey::generate().unwrap();
    let pem = new().to_pem();
    let key = || ApplicantKey::from_pem(&pem).unwrap();
    let good = office.registrar.enrol(&key().enrol(&token, "web-1"), day(0)).unwrap();
    let evil = other.registrar.enrol(&key().enrol(&foreign, "web-1"), day(0)).unwrap();
    let pin = Some(&token.root_pin);
    assert!(matches!(new().accept(&good, pin, day(0)), Err(AnswerError::OtherKey)));
    assert!(matches!(key().accept(&evil, pin, day(0)), Err(AnswerError::OtherRoot)));
    let mixed = EnrolAnswer { trust_bundle: good.trust_bundle.clone(), ..evil };
    assert!(matches!(key().accept(&mixed, pin, day(0)), Err(AnswerError::Chain(_))));
    assert!(matches!(key().accept(&good, pin, day(9)), Err(AnswerError::Chain(_))));
    let broken = EnrolAnswer { chain: "x".into(), ..good.clone() };
    assert!(matches!(key().accept(&broken, pin, day(0)), Err(AnswerError::Pem(_))));
    key().accept(&good, pin, day(0)).unwrap();
}

#[test]
fn an_approval_shows_the_same_fingerprint_on_both_sides() {
    let mut office = Office::open();
    let root = office.registrar.authority().root_pin().unwrap();
    let key = ApplicantKey::generate().unwrap();
    let facts = BTreeMap::from([("mac".to_owned(), "52:54:00:12:34:56".to_owned())]);
    let request = key.ask_approval(&subject("node/rack-7"), facts);
    let registrar = &mut office.registrar;
    let pending = ApprovalAnswer::Pending { fingerprint: key.approval_code(&root) };
    assert_eq!(registrar.ask_approval(&request, day(0)).unwrap(), pending);
    assert_eq!(registrar.ask_approval(&request, day(0)).unwrap(), pending);
    assert_eq!(refusal(registrar.approve("0000-0000", "user/admin", day(0))), Refusal::NobodyWaits);
    registrar.approve(&key.approval_code(&root), "user/admin", day(0)).unwrap();
    let ApprovalAnswer::Approved(answer) = registrar.ask_approval(&request, day(0)).unwrap() else {
        panic!("still pending");
    };
    let enrolled = key.accept(&answer, None, day(0)).unwrap();
    assert_eq!(enrolled.identity.to_string(), "spiffe://test.example/node/rack-7");
    let denied = ApplicantKey::generate().unwrap();
    let request = denied.ask_approval(&subject("node/rack-8"), BTreeMap::new());
    office.registrar.ask_approval(&request, day(0)).unwrap();
    office.registrar.deny(&denied.approval_code(&root), "user/admin", day(0)).unwrap();
    assert_eq!(refusal(office.registrar.ask_approval(&request, day(0))), Refusal::Denied);
}

#[test]
fn somebody_in_the_middle_changes_the_fingerprint_of_an_approval() {
    let (office, impostor) = (Office::open(), Office::open());
    let door = unpinned_client(office.clock.clone()).unwrap();
    let shown = |office: &Office| {
        let tls = office.tls.config(ClientAuth::Optional);
        let connection = handshake(Arc::new(door.clone()), tls).unwrap();
        shown_root(connection.client.peer_certificates().unwrap()).unwrap()
    };
    let key = ApplicantKey::generate().unwrap();
    let root = office.registrar.authority().root_pin().unwrap();
    assert_eq!(shown(&office), root);
    assert_ne!(key.approval_code(&shown(&impostor)), key.approval_code(&root));
}

#[test]
fn a_fleet_renews_at_two_thirds_for_forty_days_without_a_gap() {
    let mut office = Office::open();
    let mut agent = office.enrolled("web-1", day(0));
    let mut renewals = 0;
    for hour in (0..40 * 24).step_by(4) {
        let now = at(day(0).as_secs() + hour * 3_600);
        office.wait_until(now);
        let jitter = f64::from(u8::try_from(hour % 3).unwrap()) - 1.0;
        if now >= agent.credentials.renewal_time(jitter).unwrap() {
            agent = office.renewed(&agent, now).unwrap();
            renewals += 1;
        }
        office.connect(&agent).unwrap();
    }
    assert!((7..=9).contains(&renewals), "{renewals} renewals of 7-day certificates");
}

#[test]
fn jitter_spreads_renewals_by_a_tenth_around_two_thirds() {
    let mut office = Office::open();
    let credentials = office.enrolled("web-1", day(0)).credentials;
    let at = |jitter| credentials.renewal_time(jitter).unwrap().as_secs() - START;
    let life = 7.0 * DAY as f64;
    for (jitter, share) in [(-1.0, 0.6), (0.0, 2.0 / 3.0), (1.0, 0.7333), (9.0, 0.7333)] {
        let error = at(jitter) as f64 / life - share;
        assert!(error.abs() < 0.001, "{jitter}: off by {error}");
    }
}

fn renew_expired(
    office: &mut Office,
    old: &Credentials,
    now: UnixTime,
) -> Result<EnrolAnswer, EnrolError> {
    let key = ApplicantKey::generate().unwrap();
    let request = key.renew_expired(old).unwrap();
    office.registrar.renew(None, &request, now)
}

#[test]
fn a_machine_that_was_off_for_twenty_days_comes_back_alone_after_forty_it_needs_a_token() {
    let mut office = Office::open();
    let agent = office.enrolled("web-1", day(0));
    office.wait_until(day(20));
    assert!(office.connect(&agent).err().unwrap().contains("CertificateExpired"));
    renew_expired(&mut office, &agent.credentials, day(20)).unwrap();
    office.wait_until(day(40));
    let result = renew_expired(&mut office, &agent.credentials, day(40));
    assert!(matches!(result, Err(EnrolError::Expired(_))));
    let back = office.enrolled("web-1", day(40));
    office.connect(&back).unwrap();
}

#[test]
fn grace_is_for_the_holder_of_the_key_who_is_enrolled_and_not_revoked() {
    let (mut office, other) = (Office::open(), Office::open());
    let agent = office.enrolled("web-1", day(0));
    let key = ApplicantKey::generate().unwrap();
    let mut unsigned = key.renew_expired(&agent.credentials).unwrap();
    let stolen_signature = unsigned.expired.as_ref().unwrap().signature.clone();
    let thief = ApplicantKey::generate().unwrap();
    let mut replayed = thief.renew_expired(&agent.credentials).unwrap();
    replayed.expired.as_mut().unwrap().signature = stolen_signature;
    unsigned.expired.as_mut().unwrap().signature.clear();
    for request in [unsigned, replayed, key.renew()] {
        let result = office.registrar.renew(None, &request, day(8));
        assert!(matches!(result, Err(EnrolError::Expired(_))));
    }
    let request = LeafRequest::new(subject("agent/web-1"));
    let foreign = other.registrar.authority().issue_with_new_key(&request, day(0)).unwrap();
    let result = renew_expired(&mut office, &foreign, day(8));
    assert!(matches!(result, Err(EnrolError::Expired(_))));
    let unknown = LeafRequest::new(subject("agent/web-2"));
    let unknown = office.registrar.authority().issue_with_new_key(&unknown, day(0)).unwrap();
    assert_eq!(refusal(renew_expired(&mut office, &unknown, day(8))), Refusal::NotEnrolled);
    office.registrar.revoke(&subject("agent/web-1"), "sold", "user/admin", day(1)).unwrap();
    assert_eq!(refusal(renew_expired(&mut office, &agent.credentials, day(8))), Refusal::Revoked);
}

#[test]
fn a_revoked_identity_is_out_at_once_in_all_its_generations_and_after_a_restart() {
    let mut office = Office::open();
    let agent = office.enrolled("web-1", day(0));
    // A thief renewed a copy; revoking the identity ends both lines.
    let thief = office.renewed(&agent, day(1)).unwrap();
    office.wait_until(day(2));
    let living = office.connect(&agent).unwrap();
    let peer = living.server.peer_certificates().unwrap()[0].clone();
    let identity = Identity::from_certificate(&peer).unwrap();
    assert!(!office.registrar.revocations().is_revoked(&identity));
    office.registrar.revoke(&subject("agent/web-1"), "stolen", "user/admin", day(2)).unwrap();
    assert!(office.registrar.revocations().is_revoked(&identity), "seen by the next request");
    for holder in [&agent, &thief] {
        assert!(office.connect(holder).err().unwrap().contains("CertificateRevoked"));
        assert_eq!(refusal(office.renewed(holder, day(2))), Refusal::Revoked);
    }
    office.restart(day(3));
    assert!(office.registrar.revocations().is_revoked(&identity));
    let healed = office.enrolled("web-1", day(3));
    office.wait_until(day(3));
    office.connect(&healed).unwrap();
}

#[test]
fn restoring_a_backup_does_not_un_revoke() {
    let mut office = Office::open();
    let agent = office.enrolled("web-1", day(0));
    let backup = office.registrar.state().clone();
    office.registrar.revoke(&subject("agent/web-1"), "stolen", "user/admin", day(1)).unwrap();
    office.registrar.restore(backup, "user/admin", day(2)).unwrap();
    assert!(office.connect(&agent).err().unwrap().contains("CertificateRevoked"));
    assert_eq!(refusal(office.renewed(&agent, day(2))), Refusal::Revoked);
}

#[test]
fn the_issuing_key_can_be_exchanged_under_load() {
    let mut office = Office::open();
    let old = office.enrolled("web-1", day(0));
    office.registrar.authority_mut().add_issuing(day(1)).unwrap();
    office.wait_until(day(1));
    let new = office.enrolled("web-2", day(1));
    assert_ne!(old.credentials.chain()[1], new.credentials.chain()[1]);
    for agent in [&old, &new] {
        office.connect(agent).unwrap();
    }
    let renewed = office.renewed(&old, day(1)).unwrap();
    assert_eq!(renewed.credentials.chain()[1], new.credentials.chain()[1]);
}

/// Old clients know only the old root, new ones both; everybody gets through all the while, until
/// the old root is dropped, after which only those do that renewed in time.
#[test]
fn the_root_can_be_exchanged_under_load() {
    let mut office = Office::open();
    let sleeper = office.enrolled("web-1", day(0));
    let old = office.enrolled("web-2", day(0));
    let token = office.token("web-3", 1, day(1));
    office.registrar.authority_mut().add_root(day(1)).unwrap();
    office.wait_until(day(1));
    let key = ApplicantKey::generate().unwrap();
    let answer = office.registrar.enrol(&key.enrol(&token, "web-3"), day(1)).unwrap();
    let pinned_before = key.accept(&answer, Some(&token.root_pin), day(1)).unwrap();
    let new = office.enrolled("web-4", day(1));
    let renewed = office.renewed(&old, day(1)).unwrap();
    assert_eq!(renewed.trust_bundle.len(), 2);
    for agent in [&sleeper, &old, &pinned_before, &new, &renewed] {
        office.connect(agent).unwrap();
    }
    office.restart(day(1));
    office.registrar.authority_mut().drop_old_roots().unwrap();
    office.wait_until(day(1));
    for agent in [&pinned_before, &new, &renewed] {
        office.connect(agent).unwrap();
    }
    assert!(office.connect(&sleeper).is_err());
    office.restart(day(2));
    assert_eq!(office.registrar.authority().trust_bundle().len(), 1);
}

#[test]
fn nodes_enrol_with_a_host_name_and_can_serve_each_other() {
    let mut office = Office::open();
    let token = office.token_for(Kind::Node, "two", 1, day(0));
    let key = ApplicantKey::generate().unwrap();
    let answer = office.registrar.enrol(&key.enrol(&token, "two"), day(0)).unwrap();
    let node = key.accept(&answer, Some(&token.root_pin), day(0)).unwrap();
    office.tls.reload(&node.credentials, &node.trust_bundle).unwrap();
    let agent = office.enrolled("web-1", day(0));
    office.connect(&agent).unwrap();
}

#[test]
fn the_lists_for_outsiders_hold_what_is_revoked_and_verify() {
    let mut office = Office::open();
    let bad = office.enrolled("web-1", day(0));
    let good = office.enrolled("web-2", day(0));
    office.registrar.revoke(&subject("agent/web-1"), "stolen", "user/admin", day(0)).unwrap();
    let lists = office.registrar.crls(day(0)).unwrap();
    assert_eq!(lists.len(), 2, "one of the issuing key, one of the root");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(office.registrar.authority().trust_bundle()[0].clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let outsider =
        rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
            .with_crls(lists.into_iter().map(|list| list.der))
            .enforce_revocation_expiration()
            .build()
            .unwrap();
    let verify = |enrolled: &Enrolled| {
        let chain = enrolled.credentials.chain();
        outsider.verify_client_cert(&chain[0], &chain[1..], day(0)).map(|_| ())
    };
    assert_eq!(verify(&bad), Err(rustls::CertificateError::Revoked.into()));
    verify(&good).unwrap();
}

#[test]
fn no_file_but_the_keys_holds_a_key_and_none_the_secret_of_a_token() {
    let mut office = Office::open();
    let token = office.token("web-1", 1, day(0));
    let secret = token.reveal()[21..85].to_owned();
    for entry in std::fs::read_dir(office.dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_key = name.ends_with(".key") || name.ends_with(".pem");
        assert_eq!(text.contains("PRIVATE KEY"), is_key, "{name}");
        assert!(!text.contains(&secret), "{name}");
    }
}
