//! Those who write, as the policy bounds them: what is stamped on their series, and how much is taken.
//!
//! One sender per identity and rule, made when it first writes under that rule. Invariant: whom the
//! policy neither stamps nor limits costs one branch.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use metricstor_model::TENANT_LABEL;
use metricstor_pki::{Grant, Limits, Subject};
use metricstor_storage::{LabelLimits, Writer};

use crate::caller::Caller;

/// A sender may save up this many seconds' worth of samples.
const BURST_SECONDS: f64 = 2.0;

/// An identity under a rule.
#[derive(Default)]
pub struct Sender {
    pub writer: Writer,
    rate: Option<Rate>,
}

/// All senders that stamp or are limited.
pub struct Senders {
    plain: Arc<Sender>,
    labels: LabelLimits,
    known: RwLock<HashMap<Subject, Known>>,
}

/// A sender and the grant that it was made for.
type Known = (Arc<Grant>, Arc<Sender>);

/// A bucket that fills with time and may be overdrawn by one request.
struct Rate {
    per_second: f64,
    bucket: Mutex<Bucket>,
}

struct Bucket {
    samples: f64,
    /// Milliseconds since the epoch.
    filled_at: i64,
}

impl Senders {
    /// `labels` holds where the policy says nothing.
    pub fn new(labels: LabelLimits) -> Self {
        Self { plain: Arc::default(), labels, known: RwLock::default() }
    }

    /// The sender behind a caller.
    pub fn of(&self, caller: &Caller, now: i64) -> Arc<Sender> {
        let (Some(identity), Some(grant)) = (caller.identity(), caller.grant()) else {
            return self.local(caller);
        };
        if grant.tenant().is_empty() && !grant.has_stamps() && *grant.limits() == Limits::default()
        {
            return Arc::clone(&self.plain);
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, sender)) = known.get(&identity.subject)
            && Arc::ptr_eq(of, grant)
        {
            return Arc::clone(sender);
        }
        drop(known);
        let mut stamps: BTreeMap<String, String> =
            grant.stamps(identity).into_iter().map(|(n, v)| (n.to_owned(), v)).collect();
        if !grant.tenant().is_empty() {
            stamps.insert(TENANT_LABEL.to_owned(), grant.tenant().to_owned());
        }
        let sender = Arc::new(self.limited(stamps, grant.limits(), now));
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let (of, sender) = known
            .entry(identity.subject.clone())
            .and_modify(|entry| {
                // Another request may have been here first.
                if !Arc::ptr_eq(&entry.0, grant) {
                    *entry = (Arc::clone(grant), Arc::clone(&sender));
                }
            })
            .or_insert_with(|| (Arc::clone(grant), sender));
        debug_assert!(Arc::ptr_eq(of, grant));
        Arc::clone(sender)
    }

    /// Somebody on this machine writes for whom they say.
    fn local(&self, caller: &Caller) -> Arc<Sender> {
        match caller.tenants() {
            [tenant] if !tenant.is_empty() => {
                let stamps = [(TENANT_LABEL.to_owned(), tenant.clone())].into();
                Arc::new(Sender { writer: Writer::new(stamps, None, None), rate: None })
            }
            _ => Arc::clone(&self.plain),
        }
    }

    fn limited(&self, stamps: BTreeMap<String, String>, limits: &Limits, now: i64) -> Sender {
        let LabelLimits { count_max, name_size_max, value_size_max } = self.labels;
        let or = |own: Option<u32>, general| own.map_or(general, |own| own as usize);
        let own = [limits.labels_per_series, limits.label_name_bytes, limits.label_value_bytes];
        let labels = own.iter().any(Option::is_some).then(|| LabelLimits {
            count_max: or(own[0], count_max),
            name_size_max: or(own[1], name_size_max),
            value_size_max: or(own[2], value_size_max),
        });
        let series = limits.active_series.map(|max| usize::try_from(max).unwrap_or(usize::MAX));
        Sender {
            writer: Writer::new(stamps, labels, series),
            rate: limits.samples_per_second.map(|n| Rate::new(n as f64, now)),
        }
    }
}

impl Sender {
    /// May it send now? If not, the seconds after which it may.
    pub fn check_rate(&self, now: i64) -> Result<(), u64> {
        self.rate.as_ref().map_or(Ok(()), |rate| rate.check(now))
    }

    /// Accounts for samples that were taken.
    pub fn charge(&self, samples: usize) {
        if let Some(rate) = &self.rate {
            rate.bucket.lock().unwrap_or_else(PoisonError::into_inner).samples -= samples as f64;
        }
    }
}

impl Rate {
    fn new(per_second: f64, now: i64) -> Self {
        let bucket = Bucket { samples: per_second * BURST_SECONDS, filled_at: now };
        Self { per_second, bucket: bucket.into() }
    }

    fn check(&self, now: i64) -> Result<(), u64> {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = now.saturating_sub(bucket.filled_at).max(0) as f64 / 1000.0;
        bucket.filled_at = now;
        let full = self.per_second * BURST_SECONDS;
        bucket.samples = (bucket.samples + seconds * self.per_second).min(full);
        if bucket.samples > 0.0 {
            return Ok(());
        }
        Err((-bucket.samples / self.per_second.max(1e-3)).clamp(0.0, 3600.0) as u64 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_lets_bursts_through_and_debts_be_paid_with_time() {
        let rate = Rate::new(100.0, 0);
        let sender = Sender { rate: Some(rate), ..Sender::default() };
        assert_eq!(sender.check_rate(0), Ok(()));
        sender.charge(500);
        assert_eq!(sender.check_rate(0), Err(4));
        assert_eq!(sender.check_rate(2_000), Err(2));
        assert_eq!(sender.check_rate(1_000), Err(2), "a clock that goes back fills nothing");
        assert_eq!(sender.check_rate(6_000), Ok(()));
    }

    #[test]
    fn a_rate_of_nothing_is_an_answer_too() {
        let sender = Sender { rate: Some(Rate::new(0.0, 0)), ..Sender::default() };
        assert!(sender.check_rate(1 << 40).is_err());
    }
}
