//! Request bodies, read with a bound on size and a floor under the speed.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

use crate::config::BODY_BYTES_PER_SECOND;

/// Why a body was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the request body is larger than the limit of {0} bytes")]
    TooLarge(usize),
    #[error("the request body came too slowly")]
    TooSlow,
    #[error("the request body ended early")]
    Broken,
}

/// Reads all of `body`: at most `limit` bytes, and after `grace` no slower than
/// [`BODY_BYTES_PER_SECOND`] on average. A declared length above the limit is refused unread.
pub async fn read_body(mut body: Body, limit: usize, grace: Duration) -> Result<Bytes, BodyError> {
    use axum::body::HttpBody;
    if body.size_hint().lower() > limit as u64 {
        return Err(BodyError::TooLarge(limit));
    }
    let start = Instant::now() + grace;
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    loop {
        let received = (first.len() + all.len()) as u64;
        let deadline = start + Duration::from_millis(received * 1000 / BODY_BYTES_PER_SECOND);
        let frame = timeout_at(deadline, body.frame()).await.map_err(|_| BodyError::TooSlow)?;
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
        if received + data.len() as u64 > limit as u64 {
            return Err(BodyError::TooLarge(limit));
        }
        // Most bodies come in one piece, which is then not copied.
        if received == 0 {
            first = data;
            continue;
        }
        if all.is_empty() {
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// A body that nobody will read is taken in up to this size, before its request is refused…
const DISCARDED_BYTES_MAX: u64 = 256 * 1024;
/// …and for this long.
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// Takes in a small body of a request that is refused whatever it says: clients that still write when
/// the answer comes, over HTTP/2 above all, report a broken connection instead of the answer.
pub async fn discard(mut body: Body) {
    use axum::body::HttpBody;
    if body.size_hint().lower() > DISCARDED_BYTES_MAX {
        return;
    }
    let all = async {
        let mut received = 0;
        while let Some(Ok(frame)) = body.frame().await {
            received += frame.data_ref().map_or(0, |data| data.len() as u64);
            if received > DISCARDED_BYTES_MAX {
                break;
            }
        }
    };
    // Too slow is as good as gone.
    let _ = timeout(DISCARD_TIME, all).await;
}
