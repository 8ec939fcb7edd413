use super::*;

fn token() -> EnrolmentToken {
    EnrolmentToken { id: Hex([1; 8]), secret: Hex([2; 32]), root_pin: Hex([3; 32]) }
}

#[test]
fn a_revealed_token_is_read_back() {
    let line = token().reveal();
    assert!(line.starts_with("ms1.0101010101010101.0202"));
    for text in [line.clone(), format!("  {line}\r\n")] {
        let read = EnrolmentToken::parse(&text).unwrap();
        assert_eq!((read.id, read.root_pin), (token().id, token().root_pin));
        assert_eq!(read.proof_key(), token().proof_key());
    }
}

#[test]
fn tokens_differ_and_debug_output_holds_no_secret() {
    let (a, b) = (EnrolmentToken::generate(Hex([0; 32])), EnrolmentToken::generate(Hex([0; 32])));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_ne!(a.id, b.id);
    assert_ne!(a.secret, b.secret);
    assert!(!format!("{a:?}").contains(&a.secret.to_string()));
    let stored = StoredSecret(a.proof_key());
    assert!(!format!("{stored:?}").contains(&a.proof_key().to_string()));
}

#[test]
fn what_is_stored_is_not_the_secret() {
    assert_ne!(token().proof_key(), token().secret);
}

#[test]
fn a_proof_holds_for_its_token_name_and_request_only() {
    let (key, id) = (token().proof_key(), token().id);
    let proof = token().prove("web-1", b"request");
    assert!(is_proven(&key, id, "web-1", b"request", &proof));
    assert!(!is_proven(&key, id, "web-2", b"request", &proof));
    assert!(!is_proven(&key, id, "web-1", b"other", &proof));
    assert!(!is_proven(&key, id, "web-1r", b"equest", &proof), "name and request are kept apart");
    assert!(!is_proven(&key, Hex([9; 8]), "web-1", b"request", &proof));
    assert!(!is_proven(&Hex([2; 32]), id, "web-1", b"request", &proof));
    for i in 0..32 {
        let mut wrong = proof;
        wrong.0[i] ^= 1;
        assert!(!is_proven(&key, id, "web-1", b"request", &wrong));
    }
}

/// No text but the one that `reveal` writes stands for a token: each byte changed to any other, each
/// truncation and extension is refused or is another token.
#[test]
fn every_damaged_token_is_refused_or_another_token() {
    let line = token().reveal();
    let all_of = |t: &EnrolmentToken| (t.id, t.secret, t.root_pin);
    for i in 0..line.len() {
        assert!(EnrolmentToken::parse(&line[..i]).is_err());
        for byte in 0..=127 {
            let mut damaged = line.clone().into_bytes();
            damaged[i] = byte;
            let damaged = String::from_utf8(damaged).unwrap();
            match EnrolmentToken::parse(&damaged) {
                Ok(read) => assert_eq!(all_of(&read) == all_of(&token()), damaged == line),
                Err(error) => assert!(!error.to_string().contains(&line[20..30])),
            }
        }
    }
    for extra in [".", ".00", "0", "é", "\0"] {
        assert!(EnrolmentToken::parse(&(line.clone() + extra)).is_err());
    }
    assert!(EnrolmentToken::parse(&"a.".repeat(1 << 20)).is_err());
}
