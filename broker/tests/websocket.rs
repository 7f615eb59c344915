//! A WebSocket client that is tungstenite's, seen as a stream of bytes.

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// Upgrades `stream`.
pub(crate) async fn upgrade<S>(stream: S) -> WebSocketStream<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = "ws://localhost/mqtt".into_client_request().unwrap();
    request
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", "mqtt".parse().unwrap());
    let (socket, response) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "mqtt");
    socket
}

/// Bytes written to what it returns go out in frames of at most `frame` bytes.
pub(crate) fn as_bytes<S>(mut socket: WebSocketStream<S>, frame: usize) -> DuplexStream
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (near, mut far) = tokio::io::duplex(256 * 1024);
    tokio::spawn(async move {
        let mut buffer = vec![0; frame];
        loop {
            tokio::select! {
                read = far.read(&mut buffer) => match read {
                    Ok(0) | Err(_) => return drop(socket.close(None).await),
                    Ok(count) => {
                        let message = Message::binary(buffer[..count].to_vec());
                        if socket.send(message).await.is_err() {
                            return;
                        }
                    }
                },
                message = socket.next() => match message {
                    Some(Ok(Message::Binary(data))) => far.write_all(&data).await.unwrap(),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return,
                },
            }
        }
    });
    near
}
