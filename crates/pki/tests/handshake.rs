//! Who gets through the handshake and which alert everybody else receives.

#![allow(clippy::unwrap_used, reason = "a panic is the failure report, in helpers too")]

mod support;

use std::collections::HashMap;

use metricstor_pki::{ClientAuth, ENROL_ALPN, LeafRequest, ServerTls};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, SanType};
use support::*;

/// Parameters of an otherwise proper leaf with these URI names.
fn leaf(uris: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.subject_alt_names =
        uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

#[test]
fn a_client_with_a_certificate_gets_in_by_its_identity() {
    let site = Site::new();
    for name in ["agent/web-1", "user/admin", "node/two", "service/grafana"] {
        let client = site.client(Some(&site.issue(name, day(0))));
        let connection = site.connect(&client, ClientAuth::Required).unwrap();
        assert_eq!(connection.peer_name().unwrap(), format!("spiffe://test.example/{name}"));
        let version = connection.client.protocol_version();
        assert_eq!(version, Some(rustls::ProtocolVersion::TLSv1_3));
    }
}

#[test]
fn no_certificate_gives_the_alert_certificate_required() {
    let site = Site::new();
    assert!(site.refusal(&site.client(None)).contains("CertificateRequired"));
}

#[test]
fn the_second_door_admits_without_a_certificate_but_never_with_a_bad_one() {
    let site = Site::new();
    let connection = site.connect(&site.client(None), ClientAuth::Optional).unwrap();
    assert_eq!(connection.peer_name(), None);
    let good = site.client(Some(&site.issue("agent/a", day(0))));
    let connection = site.connect(&good, ClientAuth::Optional).unwrap();
    assert_eq!(connection.peer_name().unwrap(), "spiffe://test.example/agent/a");
    let foreign = Client { roots: site.client(None).roots, ..foreign_client() };
    assert!(site.connect(&foreign, ClientAuth::Optional).err().unwrap().contains("UnknownCA"));
}

fn foreign_client() -> Client {
    let other = Site::new();
    other.client(Some(&other.issue("agent/a", day(0))))
}

#[test]
fn a_certificate_of_another_authority_gives_unknown_ca() {
    let site = Site::new();
    let foreign = Client { roots: site.client(None).roots, ..foreign_client() };
    assert!(site.refusal(&foreign).contains("UnknownCA"));
}

#[test]
fn a_client_does_not_talk_to_a_server_of_another_authority() {
    let site = Site::new();
    let mut client = site.client(Some(&site.issue("agent/a", day(0))));
    client.roots = Site::new().authority.trust_bundle().to_vec();
    let error = site.connect(&client, ClientAuth::Required).err().unwrap();
    assert!(error.contains("UnknownIssuer"), "{error}");
}

#[test]
fn expired_and_not_yet_valid_certificates_are_refused() {
    let site = Site::new();
    let client = site.client(Some(&site.issue("agent/a", day(0))));
    site.clock.set(at(day(7).as_secs() - 1));
    site.tls
        .reload(&site.authority.server("one", &[], day(6)).unwrap(), site.authority.trust_bundle())
        .unwrap();
    site.connect(&client, ClientAuth::Required).unwrap();
    site.clock.set(at(day(7).as_secs() + 1));
    assert!(site.refusal(&client).contains("CertificateExpired"));
    let early = site.client(Some(&site.issue("agent/a", day(9))));
    assert!(site.refusal(&early).contains("CertificateExpired"));
}

#[test]
fn clocks_five_minutes_apart_do_not_matter() {
    let site = Site::new();
    let client = site.client(Some(&site.issue("agent/a", at(day(0).as_secs() + 299))));
    site.connect(&client, ClientAuth::Required).unwrap();
}

#[test]
fn certificates_without_exactly_one_identity_are_refused() {
    let site = Site::new();
    let long = format!("spiffe://test.example/agent/{}", "a".repeat(10_000));
    let mut dns_only = leaf(&[]);
    dns_only.subject_alt_names = vec![SanType::DnsName("agent.test.example".try_into().unwrap())];
    for params in [
        leaf(&[]),
        dns_only,
        leaf(&["spiffe://test.example/agent/a", "spiffe://test.example/user/admin"]),
        leaf(&["https://test.example/agent/a"]),
        leaf(&["spiffe://test.example/agent/a/b"]),
        leaf(&["spiffe://test.example/superuser/a"]),
        leaf(&["spiffe://test.example/agent/.."]),
        leaf(&[&long]),
    ] {
        let names = format!("{:?}", params.subject_alt_names.first());
        let refusal = site.refusal(&site.sign_anything(params));
        assert!(refusal.contains("BadCertificate"), "{names:.80}: {refusal}");
    }
    let proper = site.sign_anything(leaf(&["spiffe://test.example/agent/a"]));
    site.connect(&proper, ClientAuth::Required).unwrap();
}

#[test]
fn an_identity_of_another_trust_domain_is_denied() {
    let site = Site::new();
    let client = site.sign_anything(leaf(&["spiffe://other.example/agent/a"]));
    assert!(site.refusal(&client).contains("AccessDenied"));
}

#[test]
fn a_certificate_that_may_sign_or_only_serve_is_refused() {
    let site = Site::new();
    let mut authority = leaf(&["spiffe://test.example/agent/a"]);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let mut server_only = leaf(&["spiffe://test.example/agent/a"]);
    server_only.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    for params in [authority, server_only] {
        site.refusal(&site.sign_anything(params));
    }
}

#[test]
fn an_agents_certificate_cannot_serve() {
    let site = Site::new();
    let agent = site.issue("agent/a", day(0));
    let request = LeafRequest::new(subject("agent/b")).with_host_names(&["localhost"]).unwrap();
    let named = site.authority.issue_with_new_key(&request, day(0)).unwrap();
    for credentials in [&agent, &named] {
        let client = site.client(None).config();
        let server = rustls::ServerConfig::builder_with_provider(
            rustls::crypto::ring::default_provider().into(),
        )
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(credentials.chain().to_vec(), credentials.key_der())
        .unwrap();
        let error = handshake(client, server.into()).err().unwrap();
        assert!(error.contains("invalid peer certificate"), "{error}");
    }
}

#[test]
fn a_client_that_does_not_send_the_issuing_certificate_is_unknown() {
    let site = Site::new();
    let mut client = site.client(Some(&site.issue("agent/a", day(0))));
    client.identity.as_mut().unwrap().0.truncate(1);
    assert!(site.refusal(&client).contains("UnknownCA"));
}

#[test]
fn tls_1_2_is_refused_unless_allowed() {
    let site = Site::new();
    let old = |site: &Site| Client {
        versions: ONLY_TLS12,
        ..site.client(Some(&site.issue("agent/a", day(0))))
    };
    assert!(site.refusal(&old(&site)).contains("ProtocolVersion"));
    let lenient = Site::with_tls12(true);
    let connection = lenient.connect(&old(&lenient), ClientAuth::Required).unwrap();
    assert_eq!(connection.peer_name().unwrap(), "spiffe://test.example/agent/a");
}

/// A client that keeps its session state must not skip the verifier with it.
#[test]
fn a_revoked_identity_cannot_resume_a_saved_session() {
    for versions in [ONLY_TLS13, ONLY_TLS12] {
        let site = Site::with_tls12(true);
        let client =
            Client { versions, ..site.client(Some(&site.issue("agent/a", day(0)))) }.config();
        let server = site.tls.config(ClientAuth::Required);
        for _ in 0..3 {
            let connection = handshake(client.clone(), server.clone()).unwrap();
            assert_eq!(connection.server.handshake_kind(), Some(rustls::HandshakeKind::Full));
        }
        site.revocations.publish(HashMap::from([(subject("agent/a"), day(0))]));
        let error = handshake(client, server).err().unwrap();
        assert!(error.contains("CertificateRevoked"), "{error}");
    }
}

#[test]
fn a_revocation_spares_other_identities_and_later_certificates() {
    let site = Site::new();
    let before = site.client(Some(&site.issue("agent/a", day(0))));
    let same_name_other_kind = site.client(Some(&site.issue("service/a", day(0))));
    site.revocations.publish(HashMap::from([(subject("agent/a"), day(0))]));
    assert!(site.refusal(&before).contains("CertificateRevoked"));
    site.connect(&same_name_other_kind, ClientAuth::Required).unwrap();
    let after = site.client(Some(&site.issue("agent/a", at(day(0).as_secs() + 1))));
    site.connect(&after, ClientAuth::Required).unwrap();
}

#[test]
fn early_data_and_tickets_are_never_offered() {
    let site = Site::new();
    for door in [ClientAuth::Required, ClientAuth::Optional] {
        let config = site.tls.config(door);
        assert_eq!((config.max_early_data_size, config.send_tls13_tickets), (0, 0));
        assert!(!config.ticketer.enabled() && !config.session_storage.can_cache());
    }
}

#[test]
fn http_2_is_preferred_and_enrolment_has_a_protocol_of_its_own() {
    let site = Site::new();
    let mut client = site.client(Some(&site.issue("agent/a", day(0))));
    client.alpn = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
    let connection = site.connect(&client, ClientAuth::Required).unwrap();
    assert_eq!(connection.server.alpn_protocol(), Some(&b"h2"[..]));
    client.alpn = vec![ENROL_ALPN.to_vec()];
    assert!(site.refusal(&client).contains("NoApplicationProtocol"));
    let connection = site.connect(&client, ClientAuth::Optional).unwrap();
    assert_eq!(connection.server.alpn_protocol(), Some(ENROL_ALPN));
}

#[test]
fn the_client_hello_tells_the_door() {
    let site = Site::new();
    for (alpn, door) in [
        (vec![], ClientAuth::Required),
        (vec![b"h2".to_vec()], ClientAuth::Required),
        (vec![ENROL_ALPN.to_vec()], ClientAuth::Optional),
    ] {
        let config = Client { alpn, ..site.client(None) }.config();
        let name = "localhost".try_into().unwrap();
        let mut client = rustls::ClientConnection::new(config, name).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        let mut acceptor = rustls::server::Acceptor::default();
        acceptor.read_tls(&mut bytes.as_slice()).unwrap();
        let accepted = acceptor.accept().unwrap().unwrap();
        assert_eq!(ServerTls::door(&accepted.client_hello()), door);
    }
}

#[test]
fn a_reload_serves_new_connections_and_a_failed_one_keeps_the_old() {
    let site = Site::new();
    let client = site.client(Some(&site.issue("agent/a", day(0))));
    let shown = |site: &Site| {
        let connection = site.connect(&client, ClientAuth::Required).unwrap();
        connection.client.peer_certificates().unwrap()[0].clone()
    };
    let first = shown(&site);
    let next = site.authority.server("one", &["new.example"], day(0)).unwrap();
    site.tls.reload(&next, site.authority.trust_bundle()).unwrap();
    assert_eq!(shown(&site), next.chain()[0]);
    assert_ne!(first, next.chain()[0]);
    let foreign = Site::new();
    let stranger = foreign.authority.server("one", &[], day(0)).unwrap();
    let stale = site.authority.server("one", &["stale.example"], day(0)).unwrap();
    site.tls.reload(&stranger, site.authority.trust_bundle()).unwrap_err();
    site.tls.reload(&next, foreign.authority.trust_bundle()).unwrap_err();
    site.tls.reload(&next, &[]).unwrap_err();
    site.clock.set(day(91));
    site.tls.reload(&stale, site.authority.trust_bundle()).unwrap_err();
    site.clock.set(day(0));
    assert_eq!(shown(&site), next.chain()[0]);
}

/// Random and damaged first flights end in an error, never in a panic or a connection.
#[test]
fn damaged_client_hellos_are_refused() {
    let site = Site::new();
    let name = "localhost".try_into().unwrap();
    let mut client = rustls::ClientConnection::new(site.client(None).config(), name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    let plain_http = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
    let ssl2 = vec![0x80, 0x2e, 0x01, 0x00, 0x02, 0x00, 0x15, 0x00, 0x00, 0x00, 0x10];
    let damaged = (0..hello.len()).map(|i| {
        let mut bytes = hello.clone();
        bytes[i] ^= 0xa5;
        bytes
    });
    for bytes in damaged.chain([plain_http, ssl2, vec![0xff; 4096]]) {
        let config = site.tls.config(ClientAuth::Required);
        let mut server = rustls::ServerConnection::new(config).unwrap();
        let mut input = bytes.as_slice();
        while !input.is_empty() && server.read_tls(&mut input).is_ok_and(|n| n > 0) {
            if server.process_new_packets().is_err() {
                break;
            }
        }
        assert!(server.is_handshaking());
    }
}
