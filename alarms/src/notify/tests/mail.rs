//! Mail, against a small server of the protocol's letter (RFC 5321).

use tokio::io::{AsyncBufReadExt, BufReader};

use super::*;

/// What a mail server was told, one entry a connection.
type Heard = Arc<Mutex<Vec<String>>>;

/// A mail server that answers the first `refused` mails with 451 and greets with `offers`.
async fn server(refused: usize, offers: &'static str) -> (u16, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Heard::default();
    let kept = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let place = {
                let mut kept = kept.lock().unwrap();
                kept.push(String::new());
                kept.len() - 1
            };
            let kept = Arc::clone(&kept);
            tokio::spawn(async move { serve(stream, &kept, place, refused, offers).await });
        }
    });
    (port, heard)
}

async fn serve(stream: tokio::net::TcpStream, kept: &Heard, place: usize, refused: usize, offers: &str) {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 peer\r\n").await.unwrap();
    let mut data = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        kept.lock().unwrap()[place].push_str(&line);
        let word = line.trim_end();
        let answer = match word.split(' ').next().unwrap_or_default() {
            "." if data => {
                data = false;
                if place < refused { "451 later" } else { "250 taken" }
            }
            _ if data => continue,
            "EHLO" => offers,
            "DATA" => {
                data = true;
                "354 go on"
            }
            "AUTH" => "235 in",
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        stream
            .write_all(format!("{answer}\r\n").as_bytes())
            .await
            .unwrap();
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
