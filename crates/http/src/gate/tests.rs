use std::pin::{Pin, pin};
use std::task::Poll;

use super::*;
use crate::error::ErrorType;

fn gate(concurrent: usize, per_identity: usize, queue: usize) -> Gate {
    let limits = QueryLimits {
        concurrent,
        concurrent_per_identity: per_identity,
        queue,
        queue_timeout: Duration::from_secs(3600),
        ..QueryLimits::default()
    };
    Gate::new(&limits, Gauge::default())
}

/// What a future has come to when it is polled once.
async fn now<F: Future>(future: &mut Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn one_caller_cannot_take_every_turn() {
    let gate = gate(2, 1, 8);
    let _first = gate.enter("a", None).await.unwrap();
    let refused = gate.enter("a", None).await.unwrap_err();
    assert_eq!(refused.error_type, ErrorType::TooManyRequests);
    assert_eq!(refused.refusal(), Some("queue_timeout"));
    assert!(gate.enter("b", None).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_identity_may_have_a_smaller_bound_of_its_own() {
    let gate = gate(4, 3, 8);
    let _first = gate.enter("a", Some(1)).await.unwrap();
    assert!(gate.enter("a", Some(1)).await.is_err());
    assert!(gate.enter("b", None).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_at_once_and_an_ended_query_makes_room() {
    let gate = gate(1, 1, 1);
    let first = gate.enter("a", None).await.unwrap();
    let mut waiting = pin!(gate.enter("b", None));
    assert!(now(&mut waiting).await.is_none(), "b has to wait");
    let mut refused = pin!(gate.enter("c", None));
    let refused = now(&mut refused).await.expect("an answer at once").unwrap_err();
    assert_eq!(refused.refusal(), Some("queue"));
    drop(first);
    assert!(waiting.await.is_ok());
    assert!(gate.enter("c", None).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_flood_waits_behind_whoever_has_less() {
    let gate = gate(2, 2, 10);
    let mut first = Some(gate.enter("flood", None).await.unwrap());
    let _second = gate.enter("flood", None).await.unwrap();
    let mut third = pin!(gate.enter("flood", None));
    assert!(now(&mut third).await.is_none());
    let mut other = pin!(gate.enter("other", None));
    assert!(now(&mut other).await.is_none());
    drop(first.take());
    assert!(now(&mut third).await.is_none(), "first come, but with a query in evaluation");
    assert!(now(&mut other).await.is_some_and(|turn| turn.is_ok()));
    assert!(now(&mut third).await.is_some_and(|turn| turn.is_ok()), "the other's query has ended");
}

#[tokio::test(start_paused = true)]
async fn a_flood_displaces_its_own_last_query() {
    let gate = gate(1, 1, 3);
    let running = gate.enter("flood", None).await.unwrap();
    let mut flood: Vec<_> = (0..3).map(|_| Box::pin(gate.enter("flood", None))).collect();
    for waiting in &mut flood {
        assert!(now(&mut waiting.as_mut()).await.is_none());
    }
    let mut other = pin!(gate.enter("other", None));
    assert!(now(&mut other).await.is_none(), "there is a place for another caller");
    assert_eq!(gate.waiting.get(), 4);
    let displaced = now(&mut flood[2].as_mut()).await.expect("an answer").unwrap_err();
    assert_eq!(displaced.refusal(), Some("queue"));
    drop(flood.pop());
    assert_eq!(gate.waiting.get(), 3);
    drop(running);
    assert!(now(&mut flood[0].as_mut()).await.is_none(), "first come, but it just had its turn");
    assert!(now(&mut other).await.is_some_and(|turn| turn.is_ok()));
    assert!(now(&mut flood[0].as_mut()).await.is_some_and(|turn| turn.is_ok()));
}

#[tokio::test(start_paused = true)]
async fn callers_take_turns_at_a_single_one() {
    let gate = gate(1, 1, 10);
    let mut running = Some(gate.enter("a", None).await.unwrap());
    let callers = ["a", "a", "b", "b", "c"];
    let mut waiting: Vec<_> = callers.iter().map(|who| Box::pin(gate.enter(who, None))).collect();
    for one in &mut waiting {
        assert!(now(&mut one.as_mut()).await.is_none());
    }
    for next in [2, 4, 0, 3, 1] {
        drop(running.take());
        let turn = now(&mut waiting[next].as_mut()).await;
        running = Some(turn.unwrap_or_else(|| panic!("{next} is not served")).unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_leaves_neither_place_nor_turn_behind() {
    let gate = gate(1, 1, 1);
    let running = gate.enter("a", None).await.unwrap();
    {
        let mut gone = pin!(gate.enter("b", None));
        assert!(now(&mut gone).await.is_none());
    }
    let mut unread = Box::pin(gate.enter("c", None));
    assert!(now(&mut unread.as_mut()).await.is_none(), "b's place is free again");
    drop(running);
    drop(unread); // its turn had come
    assert!(gate.enter("d", None).await.is_ok());
    assert!(lock(&gate.lines).is_idle());
}
