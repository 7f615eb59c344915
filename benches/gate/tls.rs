//! Full TLS 1.3 handshakes, each followed by CONNECT and CONNACK on a connection of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer};

use crate::client::Client;
use crate::peer::{Kind, Running};
use crate::process;

const SECONDS: u64 = 5;
const AT_ONCE: usize = 16;

/// Prints the table. Stock rumqttd is left out: it is built without TLS here (docs/decisions/0003).
pub(crate) fn table() {
    println!(
        "\n## TLS handshakes\n\nTLS 1.3, ECDSA P-256, no resumption, {AT_ONCE} clients side by side, {SECONDS} s, each with CONNECT and CONNACK.\n"
    );
    println!("| peer | handshakes/s | CPU ms per handshake (server) |");
    println!("| --- | --- | --- |");
    for kind in [Kind::Townwatch, Kind::Mosquitto] {
        row(kind);
    }
}

fn row(kind: Kind) {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (certificate, key) = (pair.cert.pem(), pair.signing_key.serialize_pem());
    let peer = Running::start_with(kind, AT_ONCE, Some((&certificate, &key)));
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(certificate.as_bytes()).expect("our own"))
        .expect("it can be a root");
    let mut config =
        ClientConfig::builder_with_provider(Arc::new(tokio_rustls::rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has them")
            .with_root_certificates(roots)
            .with_no_client_auth();
    config.resumption = tokio_rustls::rustls::client::Resumption::disabled();
    let connector = TlsConnector::from(Arc::new(config));
    let (cpu_before, _) = peer.cost();
    let (count, seconds) = crate::runtime().block_on(async {
        let local = tokio::task::LocalSet::new();
        local
            .run_until(async {
                let begun = process::now();
                let tasks: Vec<_> = (0..AT_ONCE)
                    .map(|place| {
                        let (connector, address) = (connector.clone(), peer.mqtt);
                        tokio::task::spawn_local(async move {
                            let mut count = 0u32;
                            while begun.elapsed() < Duration::from_secs(SECONDS) {
                                let stream = TcpStream::connect(address).await.expect("the peer listens");
                                stream.set_nodelay(true).expect("a socket takes it");
                                let name = ServerName::try_from("localhost").expect("a name");
                                let stream = connector.connect(name, stream).await.expect("a handshake");
                                Client::log_in(stream, &format!("d{place}")).await;
                                count += 1;
                            }
                            count
                        })
                    })
                    .collect();
                let mut count = 0;
                for task in tasks {
                    count += task.await.expect("a client does not panic");
                }
                (count, begun.elapsed().as_secs_f64())
            })
            .await
    });
    let (cpu, _) = peer.cost();
    println!(
        "| {} | {:.0} | {:.2} |",
        kind.name(),
        f64::from(count) / seconds,
        (cpu - cpu_before) * 1000.0 / f64::from(count)
    );
}
