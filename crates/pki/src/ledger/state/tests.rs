use proptest::prelude::*;

use super::*;
use crate::hash::Hex;

const HOUR: Seconds = 3_600;

fn subject(text: &str) -> Subject {
    text.parse().unwrap()
}

fn key(n: u8) -> KeyHash {
    Hex([n; 32])
}

fn id(n: u8) -> TokenId {
    Hex([n; 8])
}

/// A token for agents, made at `at`, good for an hour.
fn create(n: u8, names: &str, uses_left: u32, at: Seconds) -> Command {
    let token = Token {
        secret: StoredSecret(key(n)),
        kind: Kind::Agent,
        names: names.parse().unwrap(),
        uses_left,
        created_at: at,
        expires_at: at + HOUR,
        redeemed: BTreeMap::new(),
    };
    Command::CreateToken { id: id(n), token, at }
}

fn redeem(token: u8, name: &str, k: u8, at: Seconds) -> Command {
    Command::Redeem { token: id(token), name: name.to_owned(), key: key(k), at }
}

fn ask(name: &str, k: u8, at: Seconds) -> Command {
    Command::AskApproval { subject: subject(name), key: key(k), facts: BTreeMap::new(), at }
}

fn approve(k: u8, at: Seconds) -> Command {
    Command::Approve { key: key(k), by: "user/admin".to_owned(), at }
}

fn revoke(name: &str, at: Seconds) -> Command {
    let (reason, by) = ("stolen".to_owned(), "user/admin".to_owned());
    Command::Revoke { subject: subject(name), reason, by, at }
}

fn renew(name: &str, issued_at: Seconds, (old, new): (u8, u8), at: Seconds) -> Command {
    Command::Renew { subject: subject(name), issued_at, old: key(old), new: key(new), at }
}

fn granted(name: &str, how: Granted) -> Outcome {
    Outcome::Granted { subject: subject(name), how }
}

fn refused(refusal: Refusal) -> Outcome {
    Outcome::Refused(refusal)
}

/// Applies commands in turn and compares what came of each.
fn play(steps: impl IntoIterator<Item = (Command, Outcome)>) -> State {
    let mut state = State::default();
    for (command, expected) in steps {
        let before = state.clone();
        let outcome = state.apply(command.clone());
        assert_eq!(outcome, expected, "{command:?}");
        if matches!(outcome, Outcome::Refused(_)) {
            assert_eq!(state, before, "{command:?} was refused but changed something");
        }
    }
    state
}

#[test]
fn a_one_time_token_serves_one_key_again_and_again_and_no_other() {
    play([
        (create(1, "web-1", 1, 100), Outcome::Done),
        (redeem(1, "web-1", 1, 110), granted("agent/web-1", Granted::New)),
        (redeem(1, "web-1", 1, 120), granted("agent/web-1", Granted::Again)),
        (redeem(1, "web-1", 2, 130), refused(Refusal::TokenUsed)),
        (redeem(1, "web-1", 1, 140), granted("agent/web-1", Granted::Again)),
        (redeem(1, "web-1", 1, 100 + HOUR), refused(Refusal::TokenExpired)),
    ]);
}

#[test]
fn a_token_is_for_its_names_its_time_and_nothing_else() {
    play([
        (create(1, "web-*", 2, 100), Outcome::Done),
        (create(1, "db-*", 9, 100), refused(Refusal::TokenExists)),
        (redeem(2, "web-1", 1, 110), refused(Refusal::UnknownToken)),
        (redeem(1, "db-1", 1, 110), refused(Refusal::NameNotAllowed)),
        (redeem(1, "web-../x", 1, 110), refused(Refusal::NameNotAllowed)),
        (redeem(1, "web-*", 1, 110), refused(Refusal::NameNotAllowed)),
        (redeem(1, "web-1", 1, 110), granted("agent/web-1", Granted::New)),
        (redeem(1, "web-2", 1, 110), refused(Refusal::NameNotAllowed)),
        (redeem(1, "web-2", 2, 110), granted("agent/web-2", Granted::New)),
        (redeem(1, "web-3", 3, 110), refused(Refusal::TokenUsed)),
        (redeem(1, "web-3", 3, 100 + HOUR), refused(Refusal::TokenExpired)),
        (Command::WithdrawToken { id: id(1), at: 120 }, Outcome::Done),
        (redeem(1, "web-1", 1, 130), refused(Refusal::UnknownToken)),
    ]);
}

#[test]
fn a_family_token_cannot_take_a_name_over_but_one_made_for_it_can() {
    let state = play([
        (create(1, "web-*", 9, 100), Outcome::Done),
        (redeem(1, "web-1", 1, 110), granted("agent/web-1", Granted::New)),
        (redeem(1, "web-1", 2, 120), refused(Refusal::NameTaken)),
        (create(2, "web-*", 9, 200), Outcome::Done),
        (redeem(2, "web-1", 2, 210), refused(Refusal::NameTaken)),
        (create(3, "web-1", 1, 220), Outcome::Done),
        (redeem(3, "web-1", 2, 230), granted("agent/web-1", Granted::Replaced)),
        // The answer was lost.
        (redeem(3, "web-1", 2, 235), granted("agent/web-1", Granted::Again)),
        // The first key's token and certificate are worth nothing now.
        (redeem(1, "web-1", 1, 240), refused(Refusal::Revoked)),
        (renew("agent/web-1", 110, (1, 3), 240), refused(Refusal::Revoked)),
        (renew("agent/web-1", 230, (2, 3), 240), granted("agent/web-1", Granted::New)),
    ]);
    assert!(state.is_revoked(&subject("agent/web-1"), 229));
    assert!(!state.is_revoked(&subject("agent/web-1"), 230));
}

/// The clock was set back between the certificate and its key's replacement.
#[test]
fn a_replaced_key_keeps_no_certificate_and_none_is_granted_that_would_be_void() {
    let record = |at: Seconds| {
        let (subject, issuer, until) = (subject("agent/web-1"), key(9), at + 1000 * HOUR);
        let serial = at.to_string();
        (Command::Record { serial, subject, issuer, until, at }, Outcome::Done)
    };
    let begin = |issued_at, again_at| {
        [
            (create(1, "web-1", 1, 100), Outcome::Done),
            (redeem(1, "web-1", 1, 100), granted("agent/web-1", Granted::New)),
            record(issued_at),
            (create(2, "web-1", 1, again_at), Outcome::Done),
        ]
    };
    let replaced = (redeem(2, "web-1", 2, 230), granted("agent/web-1", Granted::Replaced));
    let again = (redeem(2, "web-1", 2, 230), granted("agent/web-1", Granted::Again));
    let state = play(begin(234, 230).into_iter().chain([replaced, again]));
    assert!(state.is_revoked(&subject("agent/web-1"), 234));
    assert!(!state.is_revoked(&subject("agent/web-1"), 235));
    let set_back = || refused(Refusal::ClockSetBack);
    play(begin(235, 230).into_iter().chain([(redeem(2, "web-1", 2, 230), set_back())]));
    // Revoked by a clock that was far ahead.
    play([
        (revoke("agent/web-1", 1000 * HOUR), Outcome::Done),
        (ask("agent/web-1", 1, 230), Outcome::Pending),
        (approve(1, 240), set_back()),
    ]);
}

#[test]
fn an_exact_token_made_before_the_enrolment_does_not_replace_it() {
    play([
        (create(1, "web-1", 1, 100), Outcome::Done),
        (create(2, "web-*", 1, 110), Outcome::Done),
        (redeem(2, "web-1", 1, 120), granted("agent/web-1", Granted::New)),
        (redeem(1, "web-1", 2, 130), refused(Refusal::NameTaken)),
    ]);
}

#[test]
fn a_revoked_identity_comes_back_only_by_a_later_token_or_approval() {
    play([
        (create(1, "web-*", 9, 100), Outcome::Done),
        (redeem(1, "web-1", 1, 110), granted("agent/web-1", Granted::New)),
        (revoke("agent/web-1", 200), Outcome::Done),
        (redeem(1, "web-1", 1, 210), refused(Refusal::Revoked)),
        (redeem(1, "web-1", 2, 210), refused(Refusal::Revoked)),
        (renew("agent/web-1", 110, (1, 2), 210), refused(Refusal::Revoked)),
        (create(2, "web-1", 1, 220), Outcome::Done),
        (redeem(2, "web-1", 3, 230), granted("agent/web-1", Granted::Replaced)),
        (revoke("agent/web-1", 300), Outcome::Done),
        (ask("agent/web-1", 4, 310), Outcome::Pending),
        (approve(4, 320), granted("agent/web-1", Granted::Replaced)),
        (ask("agent/web-1", 4, 330), granted("agent/web-1", Granted::Again)),
        (revoke("agent/web-1", 340), Outcome::Done),
        (ask("agent/web-1", 4, 350), refused(Refusal::Revoked)),
    ]);
}

#[test]
fn a_revocation_is_never_moved_back() {
    let state =
        play([(revoke("agent/a", 200), Outcome::Done), (revoke("agent/a", 100), Outcome::Done)]);
    assert!(state.is_revoked(&subject("agent/a"), 200));
    assert!(!state.is_revoked(&subject("agent/a"), 201));
    assert!(!state.is_revoked(&subject("node/a"), 100));
}

#[test]
fn renewal_needs_an_enrolment_and_tells_a_fork() {
    play([
        (renew("agent/a", 0, (1, 2), 10), refused(Refusal::NotEnrolled)),
        (ask("agent/a", 1, 100), Outcome::Pending),
        (approve(1, 110), granted("agent/a", Granted::New)),
        (renew("agent/a", 110, (1, 2), 200), granted("agent/a", Granted::New)),
        // The answer was lost: the same new key asks with the old certificate.
        (renew("agent/a", 110, (1, 2), 210), granted("agent/a", Granted::Again)),
        // Somebody else with a copy of the first key.
        (renew("agent/a", 110, (1, 9), 220), granted("agent/a", Granted::Forked)),
    ]);
}

#[test]
fn an_approval_is_for_one_key_and_one_subject_and_does_not_wait_for_ever() {
    play([
        (approve(1, 100), refused(Refusal::NobodyWaits)),
        (ask("agent/a", 1, 100), Outcome::Pending),
        (ask("agent/a", 1, 110), Outcome::Pending),
        (ask("user/admin", 1, 110), refused(Refusal::NameNotAllowed)),
        (approve(2, 120), refused(Refusal::NobodyWaits)),
        (approve(1, 120), granted("agent/a", Granted::New)),
        (approve(1, 130), refused(Refusal::NobodyWaits)),
        (ask("agent/a", 1, 140), granted("agent/a", Granted::Again)),
        (ask("agent/b", 2, 140), Outcome::Pending),
        (Command::Deny { key: key(2), by: "user/admin".to_owned(), at: 150 }, Outcome::Done),
        (ask("agent/b", 2, 160), refused(Refusal::Denied)),
        (ask("agent/c", 3, 200), Outcome::Pending),
        (approve(3, 200 + 24 * HOUR), refused(Refusal::NobodyWaits)),
        (ask("agent/c", 3, 200 + 24 * HOUR), Outcome::Pending),
    ]);
}

#[test]
fn strangers_cannot_fill_the_register() {
    let mut state = State::default();
    for n in 0..PENDING_MAX {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&(n as u64).to_be_bytes());
        let (subject, facts) = (subject("agent/a"), BTreeMap::new());
        let outcome =
            state.apply(Command::AskApproval { subject, key: Hex(bytes), facts, at: 100 });
        assert_eq!(outcome, Outcome::Pending);
    }
    assert_eq!(state.apply(ask("agent/a", 255, 200)), refused(Refusal::Full));
    // A day later the first ones have expired and there is room again.
    assert_eq!(state.apply(ask("agent/a", 255, 100 + 24 * HOUR)), Outcome::Pending);
    assert_eq!(state.pending.len(), 1);
    let facts = |count: usize, length: usize| -> BTreeMap<String, String> {
        (0..count).map(|i| (i.to_string(), "x".repeat(length))).collect()
    };
    for (facts, refusal) in [(facts(17, 1), Refusal::Full), (facts(1, 257), Refusal::TooLong)] {
        let command =
            Command::AskApproval { subject: subject("agent/b"), key: key(9), facts, at: 0 };
        assert_eq!(state.apply(command), refused(refusal));
    }
}

#[test]
fn a_restored_backup_does_not_un_revoke() {
    let mut state = play([
        (create(1, "web-*", 2, 100), Outcome::Done),
        (create(2, "db-1", 1, 100), Outcome::Done),
        (redeem(1, "web-1", 1, 110), granted("agent/web-1", Granted::New)),
    ]);
    let backup = Box::new(state.clone());
    state.apply(redeem(1, "web-2", 2, 120));
    state.apply(revoke("agent/web-1", 130));
    let index = state.index;
    state.apply(Command::Restore { backup: backup.clone(), at: 140 });
    assert!(state.index > index);
    assert!(state.is_revoked(&subject("agent/web-1"), 110));
    let renewal = state.apply(renew("agent/web-1", 110, (1, 3), 150));
    assert_eq!(renewal, refused(Refusal::Revoked));
    assert!(!state.tokens.contains_key(&id(1)), "a use of it is missing in the backup");
    assert!(state.tokens.contains_key(&id(2)));
    // Nor does restoring twice, nor a backup with an older revocation.
    state.apply(Command::Restore { backup, at: 160 });
    assert!(state.is_revoked(&subject("agent/web-1"), 110));
}

#[test]
fn expired_certificates_are_forgotten_and_revocations_are_not() {
    let record = |serial: &str, until: Seconds, at: Seconds| Command::Record {
        serial: serial.to_owned(),
        subject: subject("agent/a"),
        issuer: key(1),
        until,
        at,
    };
    let state = play([
        (record("01", 1_000, 100), Outcome::Done),
        (revoke("agent/a", 200), Outcome::Done),
        (record("02", 9_000, 1_000), Outcome::Done),
    ]);
    assert_eq!(state.issued.keys().collect::<Vec<_>>(), ["02"]);
    assert!(state.is_revoked(&subject("agent/a"), 100));
}

fn command() -> impl Strategy<Value = Command> {
    let name = || prop::sample::select(vec!["a-1", "a-2", "b-1"]);
    let small = || 0..4_u8;
    let at = || 0..200_000_u64;
    prop_oneof![
        (small(), prop::sample::select(vec!["a-*", "*", "a-1"]), 0..3_u32, at())
            .prop_map(|(n, names, uses, at)| create(n, names, uses, at)),
        (small(), at()).prop_map(|(n, at)| Command::WithdrawToken { id: id(n), at }),
        (small(), name(), small(), at()).prop_map(|(t, name, k, at)| redeem(t, name, k, at)),
        (name(), small(), at()).prop_map(|(name, k, at)| ask(&format!("agent/{name}"), k, at)),
        (small(), at()).prop_map(|(k, at)| approve(k, at)),
        (name(), at()).prop_map(|(name, at)| revoke(&format!("agent/{name}"), at)),
        (name(), at(), small(), small(), at()).prop_map(|(name, issued_at, old, new, at)| renew(
            &format!("agent/{name}"),
            issued_at,
            (old, new),
            at
        )),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Two replicas agree after every command, through JSON as well; refusals change nothing; times
    /// of revocation only rise; nobody is granted a name whose revocation is later than the token,
    /// but for the key that holds it since.
    #[test]
    fn any_history_keeps_the_invariants(history in prop::collection::vec(command(), 1..60)) {
        let (mut one, mut two) = (State::default(), State::default());
        for command in history {
            let before = one.clone();
            let outcome = one.apply(command.clone());
            let json = serde_json::to_string(&command).unwrap();
            prop_assert_eq!(two.apply(serde_json::from_str(&json).unwrap()), outcome.clone());
            prop_assert_eq!(&one, &two);
            if matches!(outcome, Outcome::Refused(_)) {
                prop_assert_eq!(&one, &before);
            }
            for (subject, revocation) in &before.revoked {
                prop_assert!(one.revoked[subject].issued_until >= revocation.issued_until);
            }
            if let (Outcome::Granted { subject, .. }, Command::Redeem { token, key, .. }) =
                (outcome, command)
            {
                let created_at = before.tokens[&token].created_at;
                prop_assert!(
                    !before.is_revoked(&subject, created_at) || before.holds(&subject, key)
                );
            }
            let json = serde_json::to_string(&one).unwrap();
            prop_assert_eq!(&serde_json::from_str::<State>(&json).unwrap(), &one);
        }
    }
}
