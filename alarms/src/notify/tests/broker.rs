//! MQTT, against a small broker of the protocol's letter (MQTT 5.0 §3).

use super::*;

/// What was published: topic and payload.
type Heard = Arc<Mutex<Vec<(String, String)>>>;

/// A broker that answers each PUBLISH with this reason code.
async fn broker(reason: u8) -> (u16, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Heard::default();
    let kept = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let kept = Arc::clone(&kept);
            tokio::spawn(async move {
                while let Some((kind, body)) = packet(&mut stream).await {
                    let answer = match kind >> 4 {
                        1 => vec![0x20, 3, 0, 0, 0],
                        3 => {
                            assert_eq!(kind & 0b110, 0b010, "QoS 1");
                            let size = usize::from(u16::from_be_bytes([body[0], body[1]]));
                            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                            let (topic, rest) = body[2..].split_at(size);
                            // Identifier, and properties of less than 128 bytes.
                            let payload = &rest[3 + usize::from(rest[2])..];
                            kept.lock().unwrap().push((text(topic), text(payload)));
                            vec![0x40, 4, rest[0], rest[1], reason, 0]
                        }
                        _ => continue,
                    };
                    stream.write_all(&answer).await.unwrap();
                }
            });
        }
    });
    (port, heard)
}

/// The next packet: its first byte and what is behind its length.
async fn packet(stream: &mut tokio::net::TcpStream) -> Option<(u8, Vec<u8>)> {
    let kind = stream.read_u8().await.ok()?;
    let (mut size, mut shift) = (0, 0);
    loop {
        let byte = stream.read_u8().await.ok()?;
        size |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; size];
    stream.read_exact(&mut body).await.ok()?;
    Some((kind, body))
}

async fn send_to(reason: u8) -> (Outcome, Vec<(String, String)>) {
    let (port, heard) = broker(reason).await;
    let room = Room::with(&format!(
        "allow = [\"localhost:{port}\"]\n[[channel]]\nname = \"bus\"\nkind = \"mqtt\"\nhost = \"localhost\"\nport = {port}\n\
         user = \"u\"\npassword = \"p\"\ntopic = \"tw/{{site}}/{{device}}/{{event}}/{{priority}}/{{channel}}\"\n"
    ));
    let service = room.open();
    let notice = room.gas_notice(&service);
    let outcome = room.send(&notice).await;
    let heard = heard.lock().unwrap().clone();
    if let Some((_, payload)) = heard.first() {
        assert_eq!(*payload, notice.payload);
    }
    (outcome, heard)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_is_published_and_counts_when_the_broker_has_it() {
    let (outcome, heard) = send_to(0).await;
    assert_eq!(outcome, Outcome::Delivered);
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].0, "tw/s1/G1/raised/critical/bus");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_refuses_or_has_nobody_who_listens_has_not_told_anybody() {
    // 0x87 not authorised, 0x10 no matching subscribers. Source: MQTT 5.0 §3.4.2.1.
    for reason in [0x87, 0x10] {
        let (outcome, heard) = send_to(reason).await;
        assert!(matches!(outcome, Outcome::Failed(_)), "{reason}: {outcome:?}");
        assert_eq!(heard.len(), 1);
    }
}
