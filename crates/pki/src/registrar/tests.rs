use std::time::Instant;

use super::*;
use crate::enrolment::{ApplicantKey, EnrolRequest};

const ROUNDS: usize = 3_000;

/// The median time in nanoseconds that each of the requests takes to be refused, asked in turns so
/// that what else the machine does hits all of them alike.
fn medians<const N: usize>(registrar: &Registrar, requests: [EnrolRequest; N]) -> [f64; N] {
    let applicants = requests.each_ref().map(|r| Applicant::from_pem(&r.csr).unwrap());
    let mut times = [const { Vec::new() }; N];
    for round in 0..N * ROUNDS {
        let i = round % N;
        let begun = Instant::now();
        assert!(!registrar.is_invited(&requests[i], &applicants[i]));
        times[i].push(begun.elapsed().as_nanos() as f64);
    }
    times.map(|mut times| {
        times.sort_unstable_by(f64::total_cmp);
        times[times.len() / 2]
    })
}

/// All but everything that is measured is the proof's check: to leave it out for an unknown token, or
/// to end it at the first wrong byte, would show.
#[test]
fn the_time_of_a_refusal_does_not_tell_an_unknown_token_from_a_wrong_secret() {
    let dir = tempfile::tempdir().unwrap();
    let now = seconds_after_epoch(1_800_000_000);
    let mut registrar = Registrar::open(dir.path(), &"test.example".parse().unwrap(), now).unwrap();
    let spec = TokenSpec {
        kind: Kind::Agent,
        names: "web-1".parse().unwrap(),
        uses: 1,
        lifetime: Duration::from_secs(600),
    };
    let token = registrar.create_token(&spec, "user/admin", now).unwrap();
    let right = ApplicantKey::generate().unwrap().enrol(&token, "web-1");
    let wrong_at = |byte: usize| {
        let mut request = right.clone();
        request.proof.0[byte] ^= 1;
        request
    };
    let mut unknown = right.clone();
    unknown.token.0[0] ^= 1;
    let medians = medians(&registrar, [wrong_at(0), wrong_at(31), unknown]);
    let (least, most) = (medians.map(|m| m as u64), medians.iter().copied().fold(0.0, f64::max));
    let least = least.into_iter().min().unwrap() as f64;
    assert!(most / least < 1.2, "nanoseconds: {medians:?}");
}
