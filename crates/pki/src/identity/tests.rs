use super::*;

fn subject_of(text: &str) -> Result<String, IdentityError> {
    parse_uri(text).map(|(_, subject)| subject.to_string())
}

#[test]
fn a_spiffe_uri_is_parsed_and_displayed_alike() {
    let text = "spiffe://metrics.example.org/agent/web-1.Rack_2";
    let (trust_domain, subject) = parse_uri(text).unwrap();
    assert_eq!((subject.kind(), subject.name()), (Kind::Agent, "web-1.Rack_2"));
    assert_eq!(uri(&trust_domain, &subject), text);
}

#[test]
fn malformed_uris_are_refused() {
    let long_name = format!("spiffe://d/agent/{}", "a".repeat(129));
    let long_domain = format!("spiffe://{}/agent/a", "d".repeat(256));
    let ten_thousand = format!("spiffe://d/agent/{}", "x".repeat(10_000));
    for (text, expected) in [
        ("", IdentityError::Form),
        ("spiffe:/d/agent/a", IdentityError::Form),
        ("https://d/agent/a", IdentityError::Form),
        ("SPIFFE://d/agent/a", IdentityError::Form),
        ("spiffe://d", IdentityError::Form),
        ("spiffe://d/agent", IdentityError::Form),
        ("spiffe:///agent/a", IdentityError::TrustDomain),
        ("spiffe://D/agent/a", IdentityError::TrustDomain),
        ("spiffe://user@d/agent/a", IdentityError::TrustDomain),
        ("spiffe://d:443/agent/a", IdentityError::TrustDomain),
        ("spiffe://d//a", IdentityError::Kind),
        ("spiffe://d/root/a", IdentityError::Kind),
        ("spiffe://d/Agent/a", IdentityError::Kind),
        ("spiffe://d/agent/", IdentityError::Name),
        ("spiffe://d/agent/.", IdentityError::Name),
        ("spiffe://d/agent/..", IdentityError::Name),
        ("spiffe://d/agent/a/b", IdentityError::Name),
        ("spiffe://d/agent/a?b", IdentityError::Name),
        ("spiffe://d/agent/a%2fb", IdentityError::Name),
        ("spiffe://d/agent/a b", IdentityError::Name),
        ("spiffe://d/agent/a\0", IdentityError::Name),
        ("spiffe://d/agent/ä", IdentityError::Name),
        ("spiffe://d/agent/*", IdentityError::Name),
        (&long_name, IdentityError::Name),
        (&ten_thousand, IdentityError::Name),
        (&long_domain, IdentityError::TrustDomain),
    ] {
        assert_eq!(subject_of(text), Err(expected), "{text:?}");
    }
}

#[test]
fn bytes_that_are_no_certificate_are_refused() {
    for der in [&b""[..], b"\x30", b"\x30\x80", &[0x30; 4096], &vec![0; 1 << 20]] {
        assert_eq!(Identity::from_certificate(der), Err(IdentityError::Certificate));
    }
}
