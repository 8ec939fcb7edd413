//! The search calls through a real socket.

#![allow(clippy::unwrap_used)] // a panic is the failure report

mod support;

use support::{NOW, Push, Server};

fn filled() -> Server {
    let server = Server::start();
    let mut push = Push::default().metadata("http_requests_total", "Requests <all>.", "");
    for name in ["http_requests_total", "total_http", "up", "HTTP_errors"] {
        push = push.series(&[("__name__", name), ("job", "a")], &[(NOW, 1.0)]);
    }
    assert_eq!(server.push(&push.body()).status, 204);
    server
}

fn lines(server: &Server, path: &str) -> Vec<String> {
    let reply = server.get(&format!("/api/v1/search/{path}"));
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    assert_eq!(reply.header("content-type"), Some("application/x-ndjson; charset=utf-8"));
    reply.text().lines().map(str::to_owned).collect()
}

#[test]
fn what_fits_comes_in_batches_and_a_trailer() {
    let server = filled();
    let done = r#"{"status":"success","has_more":false}"#;
    let names = |names: &[&str]| {
        let rows: Vec<_> = names.iter().map(|name| format!(r#"{{"name":"{name}"}}"#)).collect();
        format!(r#"{{"results":[{}]}}"#, rows.join(","))
    };
    assert_eq!(
        lines(&server, "metric_names?batch_size=3"),
        [names(&["HTTP_errors", "http_requests_total", "total_http"]), names(&["up"]), done.into()]
    );
    assert_eq!(
        lines(&server, "metric_names?search[]=http&sort_by=score&case_sensitive=false"),
        [names(&["HTTP_errors", "http_requests_total", "total_http"]), done.into()]
    );
    assert_eq!(
        lines(&server, "metric_names?search[]=http&sort_by=alpha&sort_dir=dsc"),
        [names(&["total_http", "http_requests_total"]), done.into()]
    );
    assert_eq!(lines(&server, "label_names"), [names(&["__name__", "job"]), done.into()]);
    assert_eq!(
        lines(&server, "label_values?label=job&include_score=true"),
        [r#"{"results":[{"value":"a","score":1}]}"#, done]
    );
    assert_eq!(lines(&server, "metric_names?search[]=nothing"), [r#"{"results":[]}"#, done]);
    assert_eq!(lines(&server, "metric_names?end=1000&start=0"), [r#"{"results":[]}"#, done]);
    assert_eq!(
        lines(
            &server,
            "metric_names?limit=1&match[]=%7B__name__%3D~%22http.*%22%7D&include_metadata=true"
        ),
        [
            r#"{"results":[{"name":"http_requests_total","type":"counter","help":"Requests \u003call\u003e."}]}"#,
            done
        ]
    );
    assert_eq!(
        lines(&server, "metric_names?limit=1"),
        [names(&["HTTP_errors"]).as_str(), r#"{"status":"success","has_more":true}"#]
    );
}

#[test]
fn wrong_parameters_are_explained() {
    let server = filled();
    let many = "search[]=a&".repeat(33);
    for (path, reason) in [
        ("label_values", r#"missing required parameter \"label\""#),
        ("label_names?sort_by=size", r#"invalid sort_by \"size\" for label_names"#),
        ("label_names?sort_dir=asc", "sort_dir is only valid when sort_by is set"),
        ("label_names?sort_by=score", "sort_by=score requires search[] to be set"),
        ("label_names?sort_by=alpha&sort_dir=up", r#"invalid sort_dir \"up\""#),
        ("label_names?fuzz_threshold=101", r#"invalid fuzz_threshold \"101\": must be 0-100"#),
        ("label_names?fuzz_alg=soundex", r#"unsupported fuzz_alg \"soundex\""#),
        ("label_names?case_sensitive=maybe", "must be boolean"),
        ("label_names?limit=0", r#"invalid limit \"0\": must be a positive integer"#),
        ("label_names?limit=99999999", "exceeds the configured maximum (1000000, query.max_rows)"),
        ("label_names?batch_size=-1", r#"invalid batch_size \"-1\""#),
        ("label_names?start=2&end=1", "end timestamp must not be before start timestamp"),
        (&format!("label_names?{many}"), "too many search[] terms: got 33, maximum is 32"),
    ] {
        let reply = server.get(&format!("/api/v1/search/{path}"));
        assert_eq!(reply.status, 400, "{path}");
        assert!(reply.text().contains(reason), "{path}: {}", reply.text());
    }
}
