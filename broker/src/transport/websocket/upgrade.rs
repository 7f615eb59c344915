//! From the first byte of HTTP to an open WebSocket. Source: RFC 6455 §4.2, MQTT 5.0 §6.

use std::io;
use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::handshake::machine::TryParse;
use tokio_tungstenite::tungstenite::handshake::server::{Request, create_response, write_response};
use tokio_tungstenite::tungstenite::http::header::{HOST, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::http::uri::Authority;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Response, StatusCode, Uri};

use super::WebSocket;
use crate::config::Origins;

/// Bytes of the request, at most. More: 431.
const REQUEST_BYTES_MAX: usize = 8 * 1024;
/// The one subprotocol. Source: MQTT 5.0 §6, [MQTT-6.0.0-3].
const SUBPROTOCOL: &str = "mqtt";

/// Why a request did not become a WebSocket.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpgradeError {
    #[error("the socket broke")]
    Io(#[from] io::Error),
    #[error("answered {status}: {why}")]
    Refused { status: StatusCode, why: &'static str },
}

const fn refused(status: StatusCode, why: &'static str) -> UpgradeError {
    UpgradeError::Refused { status, why }
}

/// Reads the request and answers it.
pub(crate) async fn accept<S>(mut stream: S, origins: &Origins) -> Result<WebSocket<S>, UpgradeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let answer = match read(&mut stream).await {
        Ok(request) => answer(&request, origins),
        Err(error) => Err(error),
    };
    match answer {
        Ok(answer) => {
            stream.write_all(&answer).await?;
            stream.flush().await?;
            Ok(WebSocket::new(stream))
        }
        Err(UpgradeError::Refused { status, why }) => {
            let text = format!(
                "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{why}\n",
                why.len() + 1
            );
            stream.write_all(text.as_bytes()).await?;
            stream.shutdown().await?;
            Err(refused(status, why))
        }
        Err(error) => Err(error),
    }
}

async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Request, UpgradeError> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        if bytes.len() >= REQUEST_BYTES_MAX {
            return Err(refused(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "the request is too large",
            ));
        }
        let searched = bytes.len().saturating_sub(3);
        let room = u64::try_from(REQUEST_BYTES_MAX - bytes.len()).unwrap_or_default();
        if (&mut *stream).take(room).read_buf(&mut bytes).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        // Parsed once, when its end is there: a request that comes byte by byte costs no more than one that does not.
        let new = bytes.get(searched..).unwrap_or_default();
        if !new.windows(4).any(|end| end == b"\r\n\r\n") {
            continue;
        }
        match Request::try_parse(&bytes) {
            Ok(Some((length, request))) if length == bytes.len() => return Ok(request),
            Ok(Some(_)) => {
                return Err(refused(StatusCode::BAD_REQUEST, "bytes came before the answer"));
            }
            Ok(None) | Err(_) => return Err(refused(StatusCode::BAD_REQUEST, "this is not HTTP")),
        }
    }
}

/// The answer to `request`, as bytes.
fn answer(request: &Request, origins: &Origins) -> Result<Vec<u8>, UpgradeError> {
    let mut response = create_response(request).map_err(|_| {
        refused(
            StatusCode::UPGRADE_REQUIRED,
            "MQTT over WebSocket is spoken here; see RFC 6455 and MQTT 5.0 section 6",
        )
    })?;
    let offered = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL);
    let offers = |value: &HeaderValue| {
        value
            .to_str()
            .is_ok_and(|names| names.split(',').any(|name| name.trim() == SUBPROTOCOL))
    };
    if !offered.iter().any(offers) {
        return Err(refused(
            StatusCode::BAD_REQUEST,
            "the subprotocol mqtt was not offered",
        ));
    }
    if !may_come(request, origins) {
        return Err(refused(
            StatusCode::FORBIDDEN,
            "pages of this origin may not connect; see the listener's origins",
        ));
    }
    response
        .headers_mut()
        .insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    bytes_of(&response)
}

fn bytes_of(response: &Response<()>) -> Result<Vec<u8>, UpgradeError> {
    let mut bytes = Vec::new();
    write_response(&mut bytes, response)
        .map_err(|_| refused(StatusCode::INTERNAL_SERVER_ERROR, "no answer could be made"))?;
    Ok(bytes)
}

/// Whether a browser may open this socket from the page it shows. Others than browsers name no origin.
fn may_come(request: &Request, origins: &Origins) -> bool {
    let headers = request.headers();
    let Some(origin) = headers.get(ORIGIN) else {
        return true;
    };
    let (Ok(origin), host) = (origin.to_str(), headers.get(HOST)) else {
        return false;
    };
    origins.allow(origin) || same_machine(origin, host.and_then(|host| host.to_str().ok()))
}

/// Whether the page comes from the same machine as the socket, whatever the port. Only where it is named
/// by address, or as localhost: a name may be made to point anywhere (DNS rebinding).
fn same_machine(origin: &str, host: Option<&str>) -> bool {
    let page = origin.parse::<Uri>().ok();
    let page = page.as_ref().and_then(Uri::host);
    let socket = host.and_then(|host| host.parse::<Authority>().ok());
    let (Some(page), Some(socket)) = (page, socket.as_ref().map(Authority::host)) else {
        return false;
    };
    let bare = page.trim_start_matches('[').trim_end_matches(']');
    page == socket && (page == "localhost" || bare.parse::<IpAddr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(lines: &str) -> Request {
        let text = format!(
            "GET /mqtt HTTP/1.1\r\nHost: 10.0.0.5:9001\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n"
        );
        Request::try_parse(text.as_bytes()).unwrap().unwrap().1
    }

    fn status(lines: &str, origins: &[&str]) -> u16 {
        let origins = Origins::new(origins.iter().copied());
        match answer(&request(lines), &origins) {
            Ok(bytes) => {
                let text = String::from_utf8(bytes).unwrap().to_lowercase();
                // The accept value is the example of RFC 6455 §1.3.
                assert!(text.contains("s3pplmbitxaq9kygzzhzrbk+xoo="), "{text}");
                assert!(text.contains("sec-websocket-protocol: mqtt\r\n"), "{text}");
                101
            }
            Err(UpgradeError::Refused { status, .. }) => status.as_u16(),
            Err(error) => panic!("{error}"),
        }
    }

    const MQTT: &str = "Sec-WebSocket-Protocol: mqttv3.1, mqtt\r\n";

    #[test]
    fn the_subprotocol_has_to_be_offered() {
        assert_eq!(status(MQTT, &[]), 101);
        assert_eq!(status("", &[]), 400);
        assert_eq!(status("Sec-WebSocket-Protocol: mqttv3.1\r\n", &[]), 400);
    }

    #[test]
    fn a_page_may_come_from_the_same_address_or_from_a_listed_origin() {
        let from = |origin: &str, origins: &[&str]| status(&format!("{MQTT}Origin: {origin}\r\n"), origins);
        assert_eq!(from("http://10.0.0.5:8080", &[]), 101);
        assert_eq!(from("https://ops.example.org", &[]), 403);
        assert_eq!(from("https://ops.example.org", &["https://ops.example.org"]), 101);
        assert_eq!(
            from("https://ops.example.org.evil", &["https://ops.example.org"]),
            403
        );
        assert_eq!(from("https://anything", &["*"]), 101);
        assert_eq!(from("null", &[]), 403);
    }

    #[test]
    fn a_name_that_points_here_is_not_the_same_machine() {
        assert!(same_machine("http://localhost:1", Some("localhost:2")));
        assert!(same_machine("http://[::1]:1", Some("[::1]:2")));
        assert!(!same_machine("http://evil.example:1", Some("evil.example:2")));
        assert!(!same_machine("http://10.0.0.5", None));
    }
}
