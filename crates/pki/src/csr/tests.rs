use std::sync::LazyLock;

use proptest::prelude::*;
use rcgen::{BasicConstraints, DnType, ExtendedKeyUsagePurpose, IsCa, PKCS_ED25519, SanType};

use super::*;

fn key() -> KeyPair {
    KeyPair::generate().unwrap()
}

fn with(change: impl FnOnce(&mut CertificateParams)) -> Result<Applicant, CsrError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    change(&mut params);
    Applicant::from_pem(&params.serialize_request(&key()).unwrap().pem().unwrap())
}

#[test]
fn a_plain_request_gives_its_public_key() {
    let key = key();
    let applicant = Applicant::from_pem(&request(&key).unwrap()).unwrap();
    assert_eq!(applicant.key_hash(), sha256(&key.subject_public_key_info()));
    applicant.check_name("anything").unwrap();
    let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    Applicant::from_pem(&request(&p384).unwrap()).unwrap();
}

#[test]
fn a_request_for_the_right_to_sign_or_for_names_is_refused() {
    let san =
        |san: SanType| move |params: &mut CertificateParams| params.subject_alt_names = vec![san];
    let uri = |text: &str| SanType::URI(text.try_into().unwrap());
    let long = format!("spiffe://d/agent/{}", "a".repeat(5_000));
    for result in [
        with(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
        with(|params| params.is_ca = IsCa::ExplicitNoCa),
        with(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
        with(san(SanType::DnsName("*.example".try_into().unwrap()))),
        with(san(SanType::DnsName("other.example".try_into().unwrap()))),
        with(san(uri("spiffe://d/user/admin"))),
        with(|p| p.subject_alt_names = vec![uri("spiffe://d/agent/a"), uri("spiffe://d/user/b")]),
    ] {
        assert_eq!(result.unwrap_err(), CsrError::Extensions);
    }
    assert!(with(san(uri(&long))).is_err());
    assert_eq!(with(san(uri(&long.repeat(2)))).unwrap_err(), CsrError::Form, "10 000 bytes");
}

#[test]
fn a_subject_that_names_somebody_else_is_refused() {
    let named = with(|p| p.distinguished_name.push(DnType::CommonName, "web-1")).unwrap();
    named.check_name("web-1").unwrap();
    assert!(matches!(named.check_name("web-2"), Err(CsrError::OtherName { .. })));
}

#[test]
fn keys_and_signatures_of_other_sorts_are_refused() {
    let ed25519 = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    assert_eq!(Applicant::from_pem(&request(&ed25519).unwrap()).unwrap_err(), CsrError::Key);
    // `openssl req -new -newkey rsa:1024 -sha1 -nodes -subj /`
    let rsa_1024_sha1 = include_str!("rsa-1024-sha1.pem");
    assert_eq!(Applicant::from_pem(rsa_1024_sha1).unwrap_err(), CsrError::Key);
    // `openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -sha1 -nodes -subj /`
    let p256_sha1 = include_str!("p256-sha1.pem");
    assert_eq!(Applicant::from_pem(p256_sha1).unwrap_err(), CsrError::SignatureAlgorithm);
}

#[test]
fn a_key_that_did_not_sign_is_refused() {
    let (mine, theirs) = (request(&key()).unwrap(), key());
    let mut der = pem::parse(mine).unwrap().into_contents();
    let point = der.windows(2).position(|w| w == [0x00, 0x04]).unwrap() + 1;
    der[point..point + 65].copy_from_slice(theirs.public_key_raw());
    assert_eq!(Applicant::from_der(der).unwrap_err(), CsrError::Signature);
}

#[test]
fn what_is_not_one_pem_block_of_bounded_size_is_refused() {
    let good = request(&key()).unwrap();
    let twice = good.repeat(2);
    let large = "x".repeat(1 << 20);
    let mistagged = good.replace("CERTIFICATE REQUEST", "CERTIFICATE");
    for text in ["", "garbage", &twice, &large, &mistagged] {
        assert_eq!(Applicant::from_pem(text).unwrap_err(), CsrError::Form);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    /// Whatever bytes are changed: no panic, and no key is accepted but one that signed.
    #[test]
    fn damaged_requests_never_pass(changes in prop::collection::vec((any::<u16>(), any::<u8>()), 1..4), cut in any::<u16>()) {
        static GOOD: LazyLock<Vec<u8>> =
            LazyLock::new(|| pem::parse(request(&key()).unwrap()).unwrap().into_contents());
        let good = GOOD.clone();
        let hash = Applicant::from_der(good.clone()).unwrap().key_hash();
        let mut damaged = good.clone();
        for (position, byte) in changes {
            let position = usize::from(position) % damaged.len();
            damaged[position] = byte;
        }
        if cut % 4 == 0 {
            damaged.truncate(usize::from(cut) % good.len());
        }
        if let Ok(applicant) = Applicant::from_der(damaged) {
            prop_assert_eq!(applicant.key_hash(), hash);
        }
    }

    #[test]
    fn random_bytes_are_no_request(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(Applicant::from_der(bytes).is_err());
    }
}
