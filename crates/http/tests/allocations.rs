//! Taking samples of known series allocates per request, never per sample: counted over the whole
//! process while a client pushes through a socket.

#![allow(clippy::unwrap_used)] // a panic is the failure report

mod support;

use std::alloc::System;
use std::io::{Read, Write};
use std::net::TcpStream;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use support::{NOW, Push, Server};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const REQUESTS: usize = 50;

/// One scrape of `series` series, as the bytes of a whole HTTP request.
fn request(series: usize, timestamp: i64) -> Vec<u8> {
    let mut push = Push::default();
    for i in 0..series {
        let instance = format!("host-{i}");
        let labels = [("__name__", "steady"), ("instance", instance.as_str())];
        push = push.series(&labels, &[(timestamp, i as f64)]);
    }
    let body = push.body();
    let head = format!(
        "POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n\
         Content-Encoding: snappy\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), &body].concat()
}

/// Sends and waits for each answer; the client itself allocates nothing.
fn send(stream: &mut TcpStream, requests: &[Vec<u8>]) {
    let mut answer = [0; 4096];
    for request in requests {
        stream.write_all(request).unwrap();
        let mut read = 0;
        while !answer[..read].windows(4).any(|end| end == b"\r\n\r\n") {
            read += stream.read(&mut answer[read..]).unwrap();
        }
        assert!(answer.starts_with(b"HTTP/1.1 204"), "{}", String::from_utf8_lossy(&answer));
    }
}

/// Allocations and reallocations while `REQUESTS` scrapes of this many series are taken.
fn allocations(series: usize) -> f64 {
    let server = Server::start();
    let mut stream = server.connect();
    let scrape = |i: usize| request(series, NOW - 600_000 + i as i64 * 1000);
    let requests: Vec<_> = (0..2 * REQUESTS).map(scrape).collect();
    send(&mut stream, &requests[..REQUESTS]);
    let region = Region::new(ALLOCATOR);
    send(&mut stream, &requests[REQUESTS..]);
    let change = region.change();
    (change.allocations + change.reallocations) as f64
}

#[test]
fn known_series_cost_no_allocation_per_sample() {
    let (few, many) = (100, 4000);
    let (base, all) = (allocations(few), allocations(many));
    let per_request = base / REQUESTS as f64;
    let per_sample = (all - base) / ((many - few) * REQUESTS) as f64;
    println!("allocations: {per_request:.1} a request, {per_sample:.5} a sample");
    assert!(per_request < 150.0, "{per_request} allocations a request");
    // What grows with the samples is the slabs of the head, and buffers whose size was guessed low.
    assert!(per_sample < 0.005, "{per_sample} allocations a sample");
}
