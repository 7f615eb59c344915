//! A small certificate authority in a folder of its own, and TLS clients that trust it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use broker::{CertificateName, ClientCertificates, ListenerConfig, Origins, TlsConfig, Trust};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DistinguishedName,
    DnType, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

/// The authority, and the files it has written.
pub(crate) struct Pki {
    folder: TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    /// An authority named `name`; its certificate lies in `ca.pem`.
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name = common_name(name);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let pki = Self { folder, authority };
        std::fs::write(pki.file("ca.pem"), pki.authority.pem()).unwrap();
        pki
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes `{file}.pem` and `{file}.key`: a certificate for `common` with these other names, valid until the
    /// start of `year`.
    pub(crate) fn issue(&self, file: &str, common: &str, names: &[&str], year: i32, serial: u64) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = common_name(common);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        params.serial_number = Some(SerialNumber::from(serial));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        std::fs::write(self.file(&format!("{file}.key")), key.serialize_pem()).unwrap();
        std::fs::write(self.file(&format!("{file}.pem")), certificate.pem()).unwrap();
    }

    /// The usual server certificate, in `server.pem`.
    pub(crate) fn issue_server(&self) {
        self.issue("server", "mqtt.test", &["localhost"], 2090, 1);
    }

    /// Writes `revoked.pem`: a list that names these serial numbers.
    pub(crate) fn revoke(&self, serials: &[u64]) {
        let revoked = |&serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2021, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2021, 1, 1),
            next_update: date_time_ymd(2090, 1, 1),
            crl_number: SerialNumber::from(u64::try_from(serials.len()).unwrap()),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.authority).unwrap();
        std::fs::write(self.file("revoked.pem"), list.pem().unwrap()).unwrap();
    }

    /// What a listener with the usual certificate is told.
    pub(crate) fn tls(&self, clients: ClientCertificates) -> TlsConfig {
        TlsConfig {
            certificate: self.file("server.pem"),
            key: self.file("server.key"),
            clients,
        }
    }

    /// Trust in this authority's clients, by common name.
    pub(crate) fn trust(&self) -> Trust {
        Trust {
            authorities: self.file("ca.pem"),
            revoked: None,
            name: CertificateName::CommonName,
        }
    }

    /// A TLS client; with `identity` it shows the certificate of that file.
    pub(crate) fn client(&self, identity: Option<&str>) -> TlsConnector {
        let identity = identity.map(|file| pair(&self.file(file)));
        self.connector(identity, tokio_rustls::rustls::DEFAULT_VERSIONS)
    }

    /// A TLS client that shows this certificate and key, and speaks these versions.
    pub(crate) fn connector(
        &self,
        identity: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder.with_client_auth_cert(vec![certificate], key).unwrap(),
        };
        TlsConnector::from(Arc::new(config))
    }
}

/// The certificate in `{file}.pem` and the key in `{file}.key`.
pub(crate) fn pair(file: &Path) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    (
        CertificateDer::from_pem_file(file.with_extension("pem")).unwrap(),
        PrivateKeyDer::from_pem_file(file.with_extension("key")).unwrap(),
    )
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// Connects and shakes hands.
pub(crate) async fn encrypt(
    address: SocketAddr,
    connector: &TlsConnector,
) -> std::io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(address).await?;
    connector
        .connect(ServerName::try_from("localhost").unwrap(), socket)
        .await
}

/// A listener on a free port.
pub(crate) fn listener(tls: Option<TlsConfig>, websocket: bool) -> ListenerConfig {
    ListenerConfig {
        address: "127.0.0.1:0".parse().unwrap(),
        tls,
        websocket: websocket.then(Origins::default),
    }
}
