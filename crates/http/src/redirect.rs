//! Paths that are not clean, such as `//api/v1/query` of a base URL that ends with a slash: clients are
//! sent to the clean one, as by Prometheus.

use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;

use crate::reply::plain;

/// Where to ask instead; `None` for a clean path.
pub fn redirect(request: &Request) -> Option<Response> {
    let path = request.uri().path();
    let clean = clean(path);
    // `*` is no path.
    if clean == path || !path.starts_with('/') {
        return None;
    }
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let location = HeaderValue::try_from(format!("{clean}{query}")).ok()?;
    let mut response = match *request.method() {
        Method::GET | Method::HEAD => plain(StatusCode::MOVED_PERMANENTLY, "Moved Permanently"),
        // Prometheus' 301 makes clients ask again without the body.
        _ => plain(StatusCode::PERMANENT_REDIRECT, "Permanent Redirect"),
    };
    response.headers_mut().insert(header::LOCATION, location);
    Some(response)
}

/// Without empty segments, `.` and `..`; a slash at the end stays.
fn clean(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    let end = if path.ends_with('/') && !segments.is_empty() { "/" } else { "" };
    // To a browser `/\host` is another machine.
    format!("/{}{end}", segments.join("/")).replace('\\', "%5C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn asked(method: Method, uri: &str) -> Option<(u16, String)> {
        let request = Request::builder().method(method).uri(uri).body(Body::empty()).unwrap();
        let response = redirect(&request)?;
        let location = response.headers()[header::LOCATION].to_str().unwrap().to_owned();
        Some((response.status().as_u16(), location))
    }

    #[test]
    fn unclean_paths_lead_to_the_clean_one_on_this_server() {
        for (uri, location) in [
            ("//api/v1/query?query=a//b", "/api/v1/query?query=a//b"),
            ("/api//v1///query", "/api/v1/query"),
            ("/api/v1/./x/../query", "/api/v1/query"),
            ("/../..", "/"),
            ("//", "/"),
            ("//a/", "/a/"),
            ("//api/v1/label/a%2Fb/values", "/api/v1/label/a%2Fb/values"),
            ("///example.com/", "/example.com/"),
            ("//\\example.com", "/%5Cexample.com"),
        ] {
            assert_eq!(asked(Method::GET, uri), Some((301, location.to_owned())), "{uri}");
        }
        assert_eq!(asked(Method::POST, "//x"), Some((308, "/x".to_owned())));
        for clean in ["/", "/api/v1/query?query=//", "/a/", "*"] {
            assert_eq!(asked(Method::OPTIONS, clean), None);
        }
    }
}
