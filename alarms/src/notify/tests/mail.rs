//! Mail, against a small server of the protocol's letter (RFC 5321).

use tokio::io::{AsyncBufReadExt, BufReader};

use super::*;

/// What a mail server was told, one entry a connection.
type Heard = Arc<Mutex<Vec<String>>>;

/// A mail server.
#[derive(Clone)]
struct Server {
    /// The first mails that it answers with 451.
    refused: usize,
    /// What it answers to EHLO.
    offers: &'static str,
    /// How it speaks TLS after STARTTLS.
    tls: Option<tokio_rustls::TlsAcceptor>,
}

async fn server(refused: usize, offers: &'static str) -> (u16, Heard) {
    let tls = None;
    start(Server { refused, offers, tls }).await
}

async fn start(server: Server) -> (u16, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Heard::default();
    let kept = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let place = {
                let mut kept = kept.lock().unwrap();
                kept.push(String::new());
                kept.len() - 1
            };
            let (kept, server) = (Arc::clone(&kept), server.clone());
            tokio::spawn(async move {
                stream.write_all(b"220 peer\r\n").await.unwrap();
                let plain = server.converse(stream, &kept, place).await;
                if let (Some(stream), Some(tls)) = (plain, &server.tls) {
                    let stream = tls.accept(stream).await.unwrap();
                    server.converse(stream, &kept, place).await;
                }
            });
        }
    });
    (port, heard)
}

impl Server {
    /// Talks until the end, or until STARTTLS: then the stream comes back.
    async fn converse<S>(&self, stream: S, kept: &Heard, place: usize) -> Option<S>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let mut stream = BufReader::new(stream);
        let mut data = false;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return None;
            }
            kept.lock().unwrap()[place].push_str(&line);
            let word = line.trim_end();
            let answer = match word.split(' ').next().unwrap_or_default() {
                "." if data => {
                    data = false;
                    if place < self.refused {
                        "451 later"
                    } else {
                        "250 taken"
                    }
                }
                _ if data => continue,
                "EHLO" => self.offers,
                "DATA" => {
                    data = true;
                    "354 go on"
                }
                "AUTH" => "235 in",
                "STARTTLS" => "220 begin",
                "QUIT" => "221 bye",
                _ => "250 ok",
            };
            stream
                .write_all(format!("{answer}\r\n").as_bytes())
                .await
                .unwrap();
            if word == "STARTTLS" {
                return Some(stream.into_inner());
            }
        }
    }
}

fn room_of(port: u16, more: &str) -> Room {
    Room::with(&format!(
        "[[channel]]\nname = \"mail\"\nkind = \"email\"\nhost = \"127.0.0.1\"\nport = {port}\n\
         from = \"Townwatch <tw@county.example>\"\nto = [\"a@x.example\", \"值班 <b@x.example>\"]\n{more}"
    ))
}

/// The header of that name, with its continuation lines.
fn header(heard: &str, name: &str) -> String {
    let mut lines = heard
        .lines()
        .skip_while(|line| !line.starts_with(&format!("{name}: ")));
    let first = lines.next().unwrap_or_default().to_owned();
    let more = lines.take_while(|line| line.starts_with(' '));
    more.fold(first, |all, line| all + line)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_is_sent_again_is_the_same_mail() {
    // Given a mail server on this machine that takes the second mail,
    let (port, heard) = server(1, "250-peer\r\n250 AUTH PLAIN LOGIN").await;
    let room = room_of(
        port,
        "tls = \"none\"\nuser = \"u\"\npassword = \"p\"\nlanguage = \"zh\"\n",
    );
    let service = room.open();
    // when gas is found,
    room.gas(&service);
    let (cancel, worker) = room.run(&service);
    until(|| fate(&service) == Fate::Delivered).await;
    cancel.cancel();
    worker.await.unwrap();
    // then the mail came twice, to both, after a login, with one identity.
    let heard = heard.lock().unwrap().clone();
    assert_eq!(heard.len(), 2);
    for mail in &heard {
        // Expected: printf '\0u\0p' | base64
        assert!(mail.contains("AUTH PLAIN AHUAcA=="), "{mail}");
        assert!(mail.contains("MAIL FROM:<tw@county.example>"));
        assert!(mail.contains("RCPT TO:<a@x.example>") && mail.contains("RCPT TO:<b@x.example>"));
    }
    for name in ["Message-ID", "Date", "Subject"] {
        let (first, second) = (header(&heard[0], name), header(&heard[1], name));
        assert!(!first.is_empty() && first == second, "{name}: {first} {second}");
    }
    // Expected: printf 'G1~HI~1.raised.mail' | sha256sum | cut -c1-32
    let id = "c89f2b00790c70326a8b70bb4277947b";
    assert_eq!(
        header(&heard[0], "Message-ID"),
        format!("Message-ID: <{id}@county.example>")
    );
    assert!(
        header(&heard[0], "Subject").contains("=?utf-8?b?"),
        "{}",
        heard[0]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_without_starttls_is_refused_unless_that_is_allowed() {
    let (port, heard) = server(0, "250 peer").await;
    let mut room = room_of(port, "");
    room.settings.allow = vec![format!("127.0.0.1:{port}").into()];
    let service = room.open();
    let notice = room.gas_notice(&service);
    let Outcome::Failed(why) = room.send(&notice).await else {
        panic!("it must fail")
    };
    assert!(why.contains("STARTTLS"), "{why}");
    assert!(!heard.lock().unwrap()[0].contains("MAIL"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_at_a_private_address_is_not_reached_unless_it_is_listed() {
    let (port, heard) = server(0, "250 peer").await;
    let room = room_of(port, "tls = \"tls\"\n");
    let service = room.open();
    let notice = room.gas_notice(&service);
    let Outcome::Failed(why) = room.send(&notice).await else {
        panic!("it must fail")
    };
    assert!(why.contains("private address"), "{why}");
    assert!(heard.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_proves_itself_with_a_certificate_that_is_trusted() {
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

    // Given a mail server with STARTTLS, whose certificate nobody but this file vouches for,
    drop(rustls::crypto::ring::default_provider().install_default());
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let (port, heard) = start(Server {
        refused: 0,
        offers: "250-peer\r\n250 STARTTLS",
        tls: Some(tokio_rustls::TlsAcceptor::from(Arc::new(config))),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, made.cert.pem()).unwrap();
    for (ca, delivered) in [(format!("ca = {file:?}\n"), true), (String::new(), false)] {
        let mut room = room_of(port, &ca);
        room.settings.allow = vec![format!("127.0.0.1:{port}").into()];
        let service = room.open();
        let notice = room.gas_notice(&service);
        // when a mail is sent, then it gets through where the certificate is trusted, and nothing is said where it is not.
        let outcome = room.send(&notice).await;
        assert_eq!(outcome == Outcome::Delivered, delivered, "{outcome:?}");
        let said = heard.lock().unwrap().last().unwrap().clone();
        assert_eq!(said.contains("MAIL FROM"), delivered, "{said}");
    }
}

#[test]
fn without_tls_only_this_machine_and_listed_servers_are_allowed() {
    let text = |allow: &str| {
        format!(
            "allow = [{allow}]\n[[channel]]\nname = \"m\"\nkind = \"email\"\nhost = \"mail.example\"\ntls = \"none\"\n\
             from = \"a@x.example\"\nto = [\"b@x.example\"]\n"
        )
    };
    let check = |text: &str| toml::from_str::<AlarmSettings>(text).unwrap().check();
    assert!(check(&text("")).unwrap_err().why.contains("none"));
    assert_eq!(check(&text("\"mail.example:25\"")), Ok(()));
    let wrong = text("\"mail.example:25\"").replace("a@x.example", "nobody");
    assert!(check(&wrong).unwrap_err().why.contains("mail address"));
}
