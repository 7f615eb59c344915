//! A gate with an intake under the test's control, and a client made of bytes.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use broker::{
    Allowance, Anonymous, BoxFuture, Gate, GateConfig, Intake, IntakeError, MemoryKeeper,
    RegistryAuthenticator,
};
use telemetry::registry::{Device, Position, Registry, Site, SiteKind, Transport};
use telemetry::time::ManualClock;
use telemetry::{Catalogue, DeviceId, RawMessage, SeriesId, SiteId, Timestamp};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// How long a test watches that something does not come.
pub(crate) const QUIET: Duration = Duration::from_millis(150);

/// "secret" as argon2id with the lightest parameters that the form allows.
pub(crate) fn secret() -> String {
    let params = Params::new(64, 1, 1, None).unwrap();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_with_salt(b"secret", b"saltsalt")
        .unwrap()
        .to_string()
}

/// Holds each batch until the test says what becomes of it, or takes all at once.
#[derive(Default)]
pub(crate) struct TestIntake {
    state: Mutex<IntakeState>,
}

#[derive(Default)]
struct IntakeState {
    hold: bool,
    refuse: Option<IntakeError>,
    taken: Vec<RawMessage>,
    waiting: VecDeque<(usize, oneshot::Sender<Result<(), IntakeError>>)>,
}

impl TestIntake {
    pub(crate) fn holding() -> Self {
        let intake = Self::default();
        intake.state.lock().unwrap().hold = true;
        intake
    }

    pub(crate) fn refusing(error: IntakeError) -> Self {
        let intake = Self::default();
        intake.state.lock().unwrap().refuse = Some(error);
        intake
    }

    pub(crate) fn taken(&self) -> Vec<RawMessage> {
        self.state.lock().unwrap().taken.clone()
    }

    pub(crate) fn payloads(&self) -> Vec<String> {
        self.taken()
            .iter()
            .map(|m| String::from_utf8_lossy(&m.payload).into_owned())
            .collect()
    }

    /// Batches that wait for an answer.
    pub(crate) fn waiting(&self) -> usize {
        self.state.lock().unwrap().waiting.len()
    }

    /// Answers one of the waiting batches: the oldest has place 0.
    pub(crate) fn answer(&self, place: usize, result: Result<(), IntakeError>) {
        let (_, sender) = self
            .state
            .lock()
            .unwrap()
            .waiting
            .remove(place)
            .expect("a waiting batch");
        sender.send(result).expect("the gate waits for the batch");
    }
}

impl Intake for TestIntake {
    fn accept(&self, batch: Vec<RawMessage>) -> BoxFuture<'static, Result<(), IntakeError>> {
        let mut state = self.state.lock().unwrap();
        if let Some(error) = &state.refuse {
            return Box::pin(std::future::ready(Err(error.clone())));
        }
        let count = batch.len();
        state.taken.extend(batch);
        if !state.hold {
            return Box::pin(std::future::ready(Ok(())));
        }
        let (sender, receiver) = oneshot::channel();
        state.waiting.push_back((count, sender));
        Box::pin(async move { receiver.await.expect("the test answers") })
    }
}

pub(crate) fn device(id: &str, gateway: Option<&str>, login: bool) -> Device {
    Device {
        id: DeviceId::new(id).unwrap(),
        site: SiteId::new("site-1").unwrap(),
        profile: "manhole-cover".into(),
        name: None,
        position: None,
        transport: Transport::Mqtt,
        gateway: gateway.map(|id| DeviceId::new(id).unwrap()),
        password_hash: login.then(|| secret().into()),
        attributes: Default::default(),
    }
}

/// `pump-1`, `pump-2` and the gateway `gw` with password "secret"; `behind-gw` only through it;
/// `mute` without a password.
pub(crate) fn catalogue() -> Arc<Catalogue> {
    catalogue_of(vec![
        device("pump-1", None, true),
        device("pump-2", None, true),
        device("gw", None, true),
        device("behind-gw", Some("gw"), false),
        device("mute", None, false),
    ])
}

/// One site with these devices.
pub(crate) fn catalogue_of(devices: Vec<Device>) -> Arc<Catalogue> {
    let registry = Registry {
        sites: vec![Site {
            id: SiteId::new("site-1").unwrap(),
            name: telemetry::profile::Title {
                zh: "一".into(),
                en: "one".into(),
            },
            kind: SiteKind::ManholeCover,
            organisation: "om-1".into(),
            town: "town".into(),
            position: Position {
                latitude: 27.5,
                longitude: 119.7,
            },
            attributes: Default::default(),
        }],
        devices,
        ..Registry::default()
    };
    let mut next = 0;
    let profiles = telemetry::profile::builtin().unwrap();
    let number = |_: &DeviceId, _: &telemetry::profile::Signal| {
        next += 1;
        SeriesId(next)
    };
    Arc::new(Catalogue::build(registry, &profiles, number).unwrap())
}

/// Starts a gate on a free port.
pub(crate) async fn gate(
    intake: &Arc<TestIntake>,
    anonymous: Anonymous,
    change: impl FnOnce(&mut GateConfig),
) -> Gate {
    let mut config = GateConfig::new("127.0.0.1:0".parse().unwrap());
    config.device = Allowance {
        messages_per_s: 0,
        bytes_per_s: 0,
        ..Allowance::GATEWAY
    };
    change(&mut config);
    gate_for(catalogue(), intake, anonymous, config).await
}

/// Starts a gate for the devices of `catalogue`.
pub(crate) async fn gate_for(
    catalogue: Arc<Catalogue>,
    intake: &Arc<TestIntake>,
    anonymous: Anonymous,
    config: GateConfig,
) -> Gate {
    let authenticator = Arc::new(RegistryAuthenticator::new(catalogue, anonymous));
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_763_870_400_000)));
    Gate::start(
        config,
        authenticator,
        intake.clone(),
        Arc::new(MemoryKeeper::default()),
        clock,
    )
    .await
    .unwrap()
}

/// A gate that outlives its process: what it keeps, and its clock.
pub(crate) struct Home {
    pub(crate) intake: Arc<TestIntake>,
    pub(crate) keeper: Arc<MemoryKeeper>,
    pub(crate) clock: Arc<ManualClock>,
}

impl Default for Home {
    fn default() -> Self {
        Self {
            intake: Arc::default(),
            keeper: Arc::default(),
            clock: Arc::new(ManualClock::at(Timestamp::from_millis(1_763_870_400_000))),
        }
    }
}

impl Home {
    /// Starts the gate, again after the one before was dropped or stopped. Anonymous clients may do everything.
    pub(crate) async fn gate(&self) -> Gate {
        let config = GateConfig::new("127.0.0.1:0".parse().unwrap());
        let authenticator = Arc::new(RegistryAuthenticator::new(catalogue(), Anonymous::Publish));
        let (intake, keeper, clock) = (self.intake.clone(), self.keeper.clone(), self.clock.clone());
        Gate::start(config, authenticator, intake, keeper, clock)
            .await
            .unwrap()
    }

    /// What another process finds when this one is killed now.
    pub(crate) async fn killed(&self) -> Self {
        let mut changes = Vec::new();
        let mut copy = |room, key: &[u8], value: &[u8]| {
            let value = value.to_vec().into();
            changes.push(broker::Change::Put {
                room,
                key: key.into(),
                value,
            });
        };
        broker::Keeper::load(&*self.keeper, &mut copy).unwrap();
        let keeper = MemoryKeeper::default();
        broker::Keeper::keep(&keeper, changes).await.unwrap();
        Self {
            intake: self.intake.clone(),
            keeper: Arc::new(keeper),
            clock: self.clock.clone(),
        }
    }

    /// Lets the gate's clock go on.
    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(telemetry::time::Span::from_secs(seconds));
    }
}

/// A gate with everything by default, and no anonymous clients.
pub(crate) async fn plain_gate() -> (Gate, Arc<TestIntake>) {
    let intake = Arc::new(TestIntake::default());
    (gate(&intake, Anonymous::Refuse, |_| {}).await, intake)
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("never: {what}"));
}

// ---- packets, by hand from the specification ------------------------------------------------------

pub(crate) fn string(text: &str) -> Vec<u8> {
    [
        &u16::try_from(text.len()).unwrap().to_be_bytes()[..],
        text.as_bytes(),
    ]
    .concat()
}

pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    let mut rest = body.len();
    loop {
        let low = u8::try_from(rest % 128).unwrap();
        rest /= 128;
        out.push(if rest > 0 { low | 0x80 } else { low });
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(body);
    out
}

/// What a CONNECT is made of; `Default` is an anonymous 3.1.1 client without keep-alive.
#[derive(Clone)]
pub(crate) struct Hello<'a> {
    pub(crate) level: u8,
    pub(crate) client_id: &'a str,
    pub(crate) login: Option<(&'a str, &'a str)>,
    pub(crate) clean: bool,
    pub(crate) keep_alive: u16,
    /// Properties without their length; MQTT 5 only.
    pub(crate) properties: &'a [u8],
    /// Topic and payload of a will with QoS 1.
    pub(crate) will: Option<(&'a str, &'a str)>,
    pub(crate) will_retain: bool,
    /// Properties of the will without their length; MQTT 5 only.
    pub(crate) will_properties: &'a [u8],
}

impl Default for Hello<'_> {
    fn default() -> Self {
        Self {
            level: 4,
            client_id: "",
            login: None,
            clean: true,
            keep_alive: 0,
            properties: &[],
            will: None,
            will_retain: false,
            will_properties: &[],
        }
    }
}

impl Hello<'_> {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut body = string("MQTT");
        let mut flags = if self.clean { 2 } else { 0 };
        if self.login.is_some() {
            flags |= 0xC0;
        }
        if self.will.is_some() {
            flags |= 0x0C | u8::from(self.will_retain) << 5;
        }
        body.extend([self.level, flags]);
        body.extend(self.keep_alive.to_be_bytes());
        if self.level == 5 {
            body.push(u8::try_from(self.properties.len()).unwrap());
            body.extend(self.properties);
        }
        body.extend(string(self.client_id));
        if let Some((topic, payload)) = self.will {
            if self.level == 5 {
                body.push(u8::try_from(self.will_properties.len()).unwrap());
                body.extend(self.will_properties);
            }
            body.extend([string(topic), string(payload)].concat());
        }
        if let Some((user, password)) = self.login {
            body.extend([string(user), string(password)].concat());
        }
        packet(0x10, &body)
    }
}

/// `device` with its right password.
pub(crate) fn hello(level: u8, device: &str) -> Hello<'_> {
    Hello {
        level,
        client_id: device,
        login: Some((device, "secret")),
        ..Hello::default()
    }
}

/// A PUBLISH; `id` 0 means QoS 0.
pub(crate) fn publish(level: u8, topic: &str, id: u16, payload: &str) -> Vec<u8> {
    publish_with(level, topic, id, &[], payload.as_bytes())
}

pub(crate) fn publish_with(level: u8, topic: &str, id: u16, properties: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut body = string(topic);
    if id > 0 {
        body.extend(id.to_be_bytes());
    }
    if level == 5 {
        body.push(u8::try_from(properties.len()).unwrap());
        body.extend(properties);
    }
    body.extend(payload);
    packet(if id > 0 { 0x32 } else { 0x30 }, &body)
}

/// A PUBLISH in all its forms.
#[derive(Clone)]
pub(crate) struct Post<'a> {
    pub(crate) level: u8,
    pub(crate) topic: &'a str,
    pub(crate) qos: u8,
    /// Ignored with QoS 0.
    pub(crate) id: u16,
    pub(crate) retain: bool,
    pub(crate) dup: bool,
    pub(crate) properties: &'a [u8],
    pub(crate) payload: &'a str,
}

impl Default for Post<'_> {
    fn default() -> Self {
        Self {
            level: 5,
            topic: "tw/v1/pump-1/telemetry",
            qos: 1,
            id: 1,
            retain: false,
            dup: false,
            properties: &[],
            payload: "x",
        }
    }
}

impl Post<'_> {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut body = string(self.topic);
        if self.qos > 0 {
            body.extend(self.id.to_be_bytes());
        }
        if self.level == 5 {
            body.push(u8::try_from(self.properties.len()).unwrap());
            body.extend(self.properties);
        }
        body.extend(self.payload.as_bytes());
        let first = 0x30 | u8::from(self.dup) << 3 | self.qos << 1 | u8::from(self.retain);
        packet(first, &body)
    }
}

/// PUBREC, PUBREL and PUBCOMP of success.
pub(crate) fn pubrec(id: u16) -> Vec<u8> {
    packet(0x50, &id.to_be_bytes())
}

pub(crate) fn pubrel(id: u16) -> Vec<u8> {
    packet(0x62, &id.to_be_bytes())
}

pub(crate) fn pubcomp(id: u16) -> Vec<u8> {
    packet(0x70, &id.to_be_bytes())
}

/// A SUBSCRIBE of MQTT 5 with a subscription identifier below 128.
pub(crate) fn subscribe_as(number: u8, id: u16, filters: &[(&str, u8)]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    body.extend([2, 0x0B, number]);
    for (filter, options) in filters {
        body.extend(string(filter));
        body.push(*options);
    }
    packet(0x82, &body)
}

pub(crate) fn subscribe(level: u8, id: u16, filters: &[(&str, u8)]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if level == 5 {
        body.push(0);
    }
    for (filter, options) in filters {
        body.extend(string(filter));
        body.push(*options);
    }
    packet(0x82, &body)
}

pub(crate) fn unsubscribe(level: u8, id: u16, filter: &str) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if level == 5 {
        body.push(0);
    }
    body.extend(string(filter));
    packet(0xA2, &body)
}

pub(crate) fn puback(id: u16) -> Vec<u8> {
    packet(0x40, &id.to_be_bytes())
}

pub(crate) const PING: [u8; 2] = [0xC0, 0];
pub(crate) const PONG: [u8; 2] = [0xD0, 0];

/// The body of a refusal without its reason string.
pub(crate) fn without_words(first: u8, body: &[u8]) -> Vec<u8> {
    match (first, body.len()) {
        (0xE0, 2..) => body[..1].to_vec(),
        (0x40 | 0x50 | 0x62 | 0x70, 4..) => body[..3].to_vec(),
        (0x20, 4..) if body[1] >= 0x80 => vec![body[0], body[1], 0],
        _ => body.to_vec(),
    }
}

/// A client made of bytes.
pub(crate) struct Client<S = TcpStream>(pub(crate) S);

impl Client {
    /// Opens a socket and says nothing.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    /// Opens a socket, sends `hello` and expects to be let in without a session of before.
    pub(crate) async fn connect(address: SocketAddr, hello: Hello<'_>) -> Self {
        Self::open(address).await.greet(hello).await
    }

    /// The same with a session of before.
    pub(crate) async fn resume(address: SocketAddr, hello: Hello<'_>) -> Self {
        let (client, present) = Self::open(address).await.come(hello).await;
        assert!(present, "no session of before");
        client
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Sends `hello` and expects to be let in without a session of before.
    pub(crate) async fn greet(self, hello: Hello<'_>) -> Self {
        let (client, present) = self.come(hello).await;
        assert!(!present, "a session of before");
        client
    }

    async fn come(mut self, hello: Hello<'_>) -> (Self, bool) {
        self.send(&hello.bytes()).await;
        let (first, body) = self.packet().await;
        assert_eq!((first, body[1]), (0x20, 0), "CONNACK with success");
        (self, body[0] == 1)
    }

    /// Subscribes and expects to be granted each filter as asked for.
    pub(crate) async fn subscribe(&mut self, level: u8, filters: &[(&str, u8)]) {
        self.send(&subscribe(level, 99, filters)).await;
        let mut body = vec![0, 99];
        if level == 5 {
            body.push(0);
        }
        body.extend(filters.iter().map(|(_, options)| options & 3));
        self.expect(&packet(0x90, &body)).await;
    }

    /// Publishes with QoS 1 and waits for the PUBACK.
    pub(crate) async fn publish(&mut self, post: Post<'_>) {
        let post = Post { qos: 1, ..post };
        self.send(&post.bytes()).await;
        self.expect(&puback(post.id)).await;
    }

    /// Says good-bye.
    pub(crate) async fn leave(mut self) {
        self.send(&[0xE0, 0]).await;
        self.expect_end().await;
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// The next packet: first byte and body.
    pub(crate) async fn packet(&mut self) -> (u8, Vec<u8>) {
        self.try_packet().await.expect("a packet, but the gate closed")
    }

    /// The next packet, or `None` when the gate closed.
    pub(crate) async fn try_packet(&mut self) -> Option<(u8, Vec<u8>)> {
        tokio::time::timeout(PATIENCE, self.read_packet())
            .await
            .expect("a packet or the end in time")
    }

    async fn read_packet(&mut self) -> Option<(u8, Vec<u8>)> {
        let first = self.0.read_u8().await.ok()?;
        let (mut length, mut shift) = (0usize, 0);
        loop {
            let byte = self.0.read_u8().await.ok()?;
            length |= usize::from(byte & 0x7F) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.ok()?;
        Some((first, body))
    }

    /// Expects exactly this packet next, but for words that explain the code of an MQTT 5 answer.
    pub(crate) async fn expect(&mut self, bytes: &[u8]) {
        let (first, body) = self.packet().await;
        let body = without_words(first, &body);
        assert_eq!(packet(first, &body), bytes);
    }

    /// Expects to be told why the gate closes, and that it does.
    pub(crate) async fn expect_disconnect(&mut self, code: u8) {
        let (first, body) = self.packet().await;
        assert_eq!((first, body.first()), (0xE0, Some(&code)));
        self.expect_end().await;
    }

    /// Expects the gate to close without another packet.
    pub(crate) async fn expect_end(&mut self) {
        assert_eq!(self.try_packet().await, None);
    }

    /// Expects that nothing comes for a while.
    pub(crate) async fn expect_quiet(&mut self) {
        let came = tokio::time::timeout(QUIET, self.read_packet()).await;
        assert!(came.is_err(), "expected nothing, but got {came:?}");
    }

    /// Shows that the gate still serves this client.
    pub(crate) async fn expect_alive(&mut self) {
        self.send(&PING).await;
        self.expect(&PONG).await;
    }
}
