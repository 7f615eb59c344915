//! The body of a push: read after its sender is known, unpacked, never larger than its bound.

use std::io::Read;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use flate2::read::MultiGzDecoder;
use tokio_stream::StreamExt;

/// Why a body is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// Larger than the bound, packed or unpacked (413).
    TooLarge,
    /// Packed in a way that is not known here (415).
    Encoding,
    /// Says that it is gzip and is not (400).
    NotGzip,
    /// It broke off (400).
    Broken,
}

/// Reads a body of at most `bytes_max`, unpacked where `Content-Encoding` says gzip.
pub(crate) async fn read(headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Bytes, Unfit> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|size| size > bytes_max) {
        return Err(Unfit::TooLarge);
    }
    let gzip = match headers
        .get(header::CONTENT_ENCODING)
        .map(|value| value.as_bytes())
    {
        None | Some(b"identity" | b"") => false,
        Some(b"gzip" | b"x-gzip") => true,
        Some(_) => return Err(Unfit::Encoding),
    };
    let mut packed = Vec::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Unfit::Broken)?;
        if packed.len() + chunk.len() > bytes_max {
            return Err(Unfit::TooLarge);
        }
        packed.extend_from_slice(&chunk);
    }
    if gzip {
        unpack(&packed, bytes_max)
    } else {
        Ok(packed.into())
    }
}

/// Never unpacks more than one byte beyond the bound.
fn unpack(packed: &[u8], bytes_max: usize) -> Result<Bytes, Unfit> {
    let mut plain = Vec::new();
    let bound = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(packed)
        .take(bound)
        .read_to_end(&mut plain)
        .map_err(|_| Unfit::NotGzip)?;
    if plain.len() > bytes_max {
        return Err(Unfit::TooLarge);
    }
    Ok(plain.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    async fn ask(encoding: Option<&str>, body: Vec<u8>) -> Result<Bytes, Unfit> {
        let mut headers = HeaderMap::new();
        if let Some(encoding) = encoding {
            headers.insert(header::CONTENT_ENCODING, encoding.parse().unwrap());
        }
        read(&headers, Body::from(body), 1000).await
    }

    #[tokio::test]
    async fn a_body_is_unpacked_and_a_bomb_is_not() {
        assert_eq!(ask(None, b"plain".to_vec()).await.unwrap(), "plain");
        assert_eq!(ask(Some("gzip"), gzip(b"packed")).await.unwrap(), "packed");
        // 10 MB of zeros take about 10 kB; 900 bytes of them decode to far more than the bound.
        let bomb = gzip(&vec![0; 100_000]);
        assert!(bomb.len() < 1000, "{}", bomb.len());
        assert_eq!(ask(Some("gzip"), bomb).await, Err(Unfit::TooLarge));
        assert_eq!(ask(None, vec![0; 1001]).await, Err(Unfit::TooLarge));
        assert_eq!(ask(Some("gzip"), b"plain".to_vec()).await, Err(Unfit::NotGzip));
        assert_eq!(ask(Some("br"), b"plain".to_vec()).await, Err(Unfit::Encoding));
        let mut cut = gzip(b"packed");
        cut.truncate(cut.len() - 4);
        assert_eq!(ask(Some("gzip"), cut).await, Err(Unfit::NotGzip));
    }
}
