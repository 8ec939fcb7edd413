//! In which form a scraper wants the samples.

use axum::http::{HeaderMap, HeaderValue, header};

/// What the answer looks like; whether names may have any characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text { utf8: bool },
    Protobuf { utf8: bool },
}

impl Format {
    /// The form that the client likes best among those that are spoken; text if it does not say.
    pub fn accepted(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::ACCEPT).into_iter();
        let choices = values.filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
        let mut best = (0.0, Self::Text { utf8: false });
        for (quality, format) in choices.filter_map(choice) {
            // Of equals the first.
            if quality > best.0 {
                best = (quality, format);
            }
        }
        best.1
    }

    pub fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Text { utf8: false } => {
                "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
            }
            Self::Text { utf8: true } => {
                "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
            }
            Self::Protobuf { utf8: false } => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; \
                 encoding=delimited; escaping=underscores"
            }
            Self::Protobuf { utf8: true } => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; \
                 encoding=delimited; escaping=allow-utf-8"
            }
        })
    }
}

/// One of the client's choices, and how much it likes it.
fn choice(text: &str) -> Option<(f32, Format)> {
    let mut parts = text.split(';').map(str::trim);
    let media = parts.next()?;
    let (mut quality, mut utf8, mut delimited, mut family) = (1.0, false, false, false);
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        match (name, value.trim_matches('"')) {
            ("q", value) => quality = value.parse().ok()?,
            ("escaping", value) => utf8 = value == "allow-utf-8",
            ("encoding", value) => delimited = value == "delimited",
            ("proto", value) => family = value == "io.prometheus.client.MetricFamily",
            _ => {}
        }
    }
    match media {
        "application/vnd.google.protobuf" if delimited && family => {
            Some((quality, Format::Protobuf { utf8 }))
        }
        "text/plain" | "text/*" | "*/*" => Some((quality, Format::Text { utf8 })),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_liked_form_is_chosen() {
        let family = "proto=io.prometheus.client.MetricFamily;encoding=delimited";
        let text = Format::Text { utf8: false };
        for (accept, expected) in [
            ("".to_owned(), text),
            ("*/*".to_owned(), text),
            ("application/openmetrics-text;version=1.0.0".to_owned(), text),
            (
                "application/openmetrics-text;q=0.6, text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                 */*;q=0.1"
                    .to_owned(),
                Format::Text { utf8: true },
            ),
            (
                format!("application/vnd.google.protobuf;{family};escaping=allow-utf-8;q=0.6,text/plain;q=0.5"),
                Format::Protobuf { utf8: true },
            ),
            (format!("text/plain;q=0.5,application/vnd.google.protobuf;{family};q=0.4"), text),
            (format!("application/vnd.google.protobuf;{family}"), Format::Protobuf { utf8: false }),
            ("application/vnd.google.protobuf;proto=other;encoding=delimited".to_owned(), text),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(Format::accepted(&headers), expected, "{accept}");
        }
    }
}
