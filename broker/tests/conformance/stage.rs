//! A gate in which everybody may say and hear everything below `tw/`, for one version of the protocol.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use broker::{
    Authenticator, BoxFuture, Gate, GateConfig, Identity, Intake, IntakeError, Login, MemoryKeeper,
    Permissions, Refusal, Review,
};
use telemetry::RawMessage;
use telemetry::time::SystemClock;
use tokio::sync::watch;

use super::client::{Client, Welcome};
use super::packets::{Connect, V5};

/// A topic on which everybody may publish.
pub(crate) const TOPIC: &str = "tw/v1/dev/t";

/// Lets in everybody but a user called `stranger` and a client called `nobody`.
struct Everybody {
    changes: watch::Sender<u64>,
}

impl Authenticator for Everybody {
    fn authenticate<'a>(&'a self, login: Login<'a>) -> BoxFuture<'a, Result<Identity, Refusal>> {
        let answer = match (login.user, login.client_id) {
            (Some("stranger"), _) => Err(Refusal::BadCredentials),
            (_, "nobody") => Err(Refusal::ClientIdNotValid),
            _ => Ok(Identity::Anonymous {
                permissions: Permissions::anybody(),
            }),
        };
        Box::pin(std::future::ready(answer))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn review(&self, identity: &Identity) -> Review {
        Review::Stays(identity.permissions().clone())
    }

    fn permissions_of(&self, _key: &str) -> Option<Permissions> {
        Some(Permissions::anybody())
    }
}

/// Takes everything.
#[derive(Default)]
struct Taker(Mutex<Vec<RawMessage>>);

impl Intake for Taker {
    fn accept(&self, batch: Vec<RawMessage>) -> BoxFuture<'static, Result<(), IntakeError>> {
        self.0.lock().unwrap().extend(batch);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A gate and what it keeps.
pub(crate) struct Stage {
    gate: Gate,
    keeper: Arc<MemoryKeeper>,
    taker: Arc<Taker>,
    pub(crate) v: u8,
}

impl Stage {
    pub(crate) async fn new(v: u8) -> Self {
        Self::with(v, Arc::default()).await
    }

    async fn with(v: u8, keeper: Arc<MemoryKeeper>) -> Self {
        let taker = Arc::<Taker>::default();
        let (changes, _) = watch::channel(0);
        let gate = Gate::start(
            GateConfig::new("127.0.0.1:0".parse().unwrap()),
            Arc::new(Everybody { changes }),
            taker.clone(),
            keeper.clone(),
            Arc::new(SystemClock::new()),
        )
        .await
        .unwrap();
        Self {
            gate,
            keeper,
            taker,
            v,
        }
    }

    /// The gate is gone without a word, and another has what it kept.
    pub(crate) async fn restarted(self) -> Self {
        let keeper = Arc::clone(&self.keeper);
        let v = self.v;
        drop(self);
        Self::with(v, keeper).await
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.gate.local_addr()
    }

    /// Payloads that were taken, in order.
    pub(crate) fn taken(&self) -> Vec<String> {
        let taken = self.taker.0.lock().unwrap();
        let text = |message: &RawMessage| String::from_utf8_lossy(&message.payload).into_owned();
        taken.iter().map(text).collect()
    }

    /// Opens a connection and says nothing.
    pub(crate) async fn open(&self) -> Client {
        Client::open(self.address(), self.v).await
    }

    /// A client with a new session that ends with its connection.
    pub(crate) async fn client(&self, name: &str) -> Client {
        self.connect(&Connect::new(self.v, name)).await.0
    }

    /// A client whose session stays.
    pub(crate) async fn lasting(&self, name: &str) -> (Client, Welcome) {
        self.connect(&Connect::lasting(self.v, name)).await
    }

    pub(crate) async fn connect(&self, connect: &Connect) -> (Client, Welcome) {
        Client::connect(self.address(), connect).await
    }

    /// A client that has subscribed to one filter and was granted what it asked for.
    pub(crate) async fn listener(&self, name: &str, filter: &str, qos: u8) -> Client {
        let mut client = self.client(name).await;
        assert_eq!(client.subscribe(filter, qos).await, qos);
        client
    }

    /// Sends `bytes` as the first thing on a connection; the code with which it ends, when there is one.
    pub(crate) async fn refusal(&self, bytes: &[u8]) -> Option<u8> {
        let mut client = self.open().await;
        client.send(bytes).await;
        client.end().await
    }

    /// Sends `bytes` after a CONNECT; the code with which the connection ends, when there is one. In 3.1.1 it
    /// ends without a word.
    pub(crate) async fn breach(&self, bytes: &[u8]) -> Option<u8> {
        let mut client = self.client("breach").await;
        client.send(bytes).await;
        let code = client.end().await;
        assert!(self.v == V5 || code.is_none(), "a word in 3.1.1");
        code
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in MQTT {}", if self.v == V5 { "5.0" } else { "3.1.1" });
        }
    }
}
