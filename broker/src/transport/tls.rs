//! TLS with rustls: what a listener shows, whom it asks, and how both are replaced while it runs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use telemetry::{Timestamp, with_causes};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

use super::certificate::{self, Facts};
use crate::config::{ClientCertificates, TlsConfig, Trust};

/// Why certificates cannot be used. Mend the named file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read, or is not PEM of the right kind.
    #[error("cannot read {what} from {}", file.display())]
    Read {
        /// What was looked for.
        what: &'static str,
        /// Where.
        file: PathBuf,
        /// Why not.
        source: pem::Error,
    },
    /// The file holds nothing of the kind.
    #[error("there is no {what} in {}", file.display())]
    Empty {
        /// What was looked for.
        what: &'static str,
        /// Where.
        file: PathBuf,
    },
    /// The first certificate is not one that can be read.
    #[error("the certificate in {} cannot be read: {why}", file.display())]
    Certificate {
        /// Where.
        file: PathBuf,
        /// Why not.
        why: String,
    },
    /// Certificate and key do not belong together, or are of a kind that rustls does not take.
    #[error("certificate {} and key {} do not make a pair", certificate.display(), key.display())]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why not.
        source: rustls::Error,
    },
    /// The new certificate has expired and the one in use has not.
    #[error("the certificate in {} has expired", file.display())]
    Expired {
        /// Where.
        file: PathBuf,
    },
    /// An authority that cannot be used.
    #[error("a certificate authority in {} cannot be used", file.display())]
    Authority {
        /// Where.
        file: PathBuf,
        /// Why not.
        source: rustls::Error,
    },
    /// Authorities and revocation lists that do not make a verifier.
    #[error("the client authorities in {} cannot be used", file.display())]
    Verifier {
        /// Where the authorities are.
        file: PathBuf,
        /// Why not.
        source: VerifierBuilderError,
    },
    /// rustls could not be set up.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
}

/// The TLS side of one listener. What it shows can be replaced at any time; connections that are open keep
/// what they have.
pub(crate) struct TlsSite {
    config: TlsConfig,
    current: RwLock<Current>,
}

struct Current {
    server: Arc<ServerConfig>,
    facts: Facts,
    /// How the files looked when they were read.
    print: Fingerprint,
    /// Why what lies there now was not taken.
    refused: Option<Box<str>>,
}

impl std::fmt::Debug for TlsSite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsSite")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// How files look from outside: when they were written, and how long they are. A missing one is none.
pub(crate) type Fingerprint = Vec<Option<(SystemTime, u64)>>;

impl TlsSite {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`].
    pub(crate) fn load(config: TlsConfig) -> Result<Self, TlsError> {
        let print = fingerprint(&config);
        let (server, facts) = read(&config)?;
        Ok(Self {
            current: RwLock::new(Current {
                server,
                facts,
                print,
                refused: None,
            }),
            config,
        })
    }

    /// What the listener shows now, and why the files that lie there were not taken, if so.
    pub(crate) fn facts(&self) -> (Facts, Option<Box<str>>) {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        (current.facts.clone(), current.refused.clone())
    }

    /// Which client certificates it asks for.
    pub(crate) fn clients(&self) -> &ClientCertificates {
        &self.config.clients
    }

    /// How the files look now, when they do not look as they did when they were last read.
    pub(crate) fn changed(&self) -> Option<Fingerprint> {
        let now = fingerprint(&self.config);
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        (now != current.print).then_some(now)
    }

    /// Reads the files again. What cannot be used leaves what was there. Session tickets of before are
    /// worth nothing afterwards: who was revoked shall not come back with one.
    ///
    /// # Errors
    /// [`TlsError`]: the listener goes on with what it had.
    pub(crate) fn reload(&self, now: Timestamp) -> Result<(), TlsError> {
        let print = fingerprint(&self.config);
        let read = read(&self.config);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let read = read.and_then(|(server, facts)| {
            if facts.not_after <= now && current.facts.not_after > now {
                let file = self.config.certificate.clone();
                return Err(TlsError::Expired { file });
            }
            Ok((server, facts))
        });
        current.print = print;
        match read {
            Ok((server, facts)) => {
                current.server = server;
                current.facts = facts;
                current.refused = None;
                Ok(())
            }
            Err(error) => {
                current.refused = Some(with_causes(&error).into());
                Err(error)
            }
        }
    }

    /// The handshake, and what the client's certificate calls it.
    pub(crate) async fn accept(
        &self,
        socket: TcpStream,
    ) -> io::Result<(TlsStream<TcpStream>, Option<Box<str>>)> {
        let server = {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(&current.server)
        };
        let stream = TlsAcceptor::from(server).accept(socket).await?;
        let name = match &self.config.clients {
            ClientCertificates::None => None,
            ClientCertificates::Optional(trust) | ClientCertificates::Required(trust) => {
                let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                shown.map(|der| certificate::name(der, trust.name))
            }
        };
        Ok((stream, name))
    }
}

fn fingerprint(config: &TlsConfig) -> Fingerprint {
    let trust = match &config.clients {
        ClientCertificates::None => None,
        ClientCertificates::Optional(trust) | ClientCertificates::Required(trust) => Some(trust),
    };
    let files = [
        Some(&config.certificate),
        Some(&config.key),
        trust.map(|trust| &trust.authorities),
        trust.and_then(|trust| trust.revoked.as_ref()),
    ];
    let look = |file: &PathBuf| {
        let facts = std::fs::metadata(file).ok()?;
        Some((facts.modified().ok()?, facts.len()))
    };
    files.into_iter().flatten().map(look).collect()
}

fn read(config: &TlsConfig) -> Result<(Arc<ServerConfig>, Facts), TlsError> {
    let chain = read_all::<CertificateDer<'static>>("certificate", &config.certificate)?;
    let first = chain.first().ok_or_else(|| TlsError::Empty {
        what: "certificate",
        file: config.certificate.clone(),
    })?;
    let facts = certificate::facts(first).map_err(|why| TlsError::Certificate {
        file: config.certificate.clone(),
        why,
    })?;
    let key = PrivateKeyDer::from_pem_file(&config.key).map_err(|source| TlsError::Read {
        what: "private key",
        file: config.key.clone(),
        source,
    })?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(TlsError::Setup)?;
    let builder = match &config.clients {
        ClientCertificates::None => builder.with_no_client_auth(),
        ClientCertificates::Optional(trust) => {
            builder.with_client_cert_verifier(verifier(trust, provider, true)?)
        }
        ClientCertificates::Required(trust) => {
            builder.with_client_cert_verifier(verifier(trust, provider, false)?)
        }
    };
    let mut server = builder
        .with_single_cert(chain, key)
        .map_err(|source| TlsError::Pair {
            certificate: config.certificate.clone(),
            key: config.key.clone(),
            source,
        })?;
    server.ticketer = ring::Ticketer::new().map_err(TlsError::Setup)?;
    // Whoever resumes with a ticket is not asked for a certificate again; one ticket is enough to resume.
    server.send_tls13_tickets = 1;
    Ok((Arc::new(server), facts))
}

fn verifier(
    trust: &Trust,
    provider: Arc<rustls::crypto::CryptoProvider>,
    optional: bool,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let file = &trust.authorities;
    let mut roots = RootCertStore::empty();
    for authority in read_all::<CertificateDer<'static>>("certificate", file)? {
        roots.add(authority).map_err(|source| TlsError::Authority {
            file: file.clone(),
            source,
        })?;
    }
    if roots.is_empty() {
        return Err(TlsError::Empty {
            what: "certificate",
            file: file.clone(),
        });
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    if let Some(revoked) = &trust.revoked {
        let lists = read_all::<CertificateRevocationListDer<'static>>("revocation list", revoked)?;
        if lists.is_empty() {
            return Err(TlsError::Empty {
                what: "revocation list",
                file: revoked.clone(),
            });
        }
        builder = builder.with_crls(lists).only_check_end_entity_revocation();
    }
    if optional {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map_err(|source| TlsError::Verifier {
        file: file.clone(),
        source,
    })
}

fn read_all<T: PemObject>(what: &'static str, file: &Path) -> Result<Vec<T>, TlsError> {
    let read = |source| TlsError::Read {
        what,
        file: file.to_owned(),
        source,
    };
    T::pem_file_iter(file)
        .map_err(read)?
        .collect::<Result<_, _>>()
        .map_err(read)
}
