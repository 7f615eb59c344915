//! What has to outlive the process is kept before anybody is told so.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use broker::{
    Anonymous, BoxFuture, Change, Gate, GateConfig, Keeper, KeeperError, MemoryKeeper, RegistryAuthenticator,
    Room,
};
use telemetry::Timestamp;
use telemetry::time::ManualClock;
use tokio::sync::oneshot;

use crate::support::*;

const CMD: &str = "tw/v1/pump-1/cmd";

/// Keeps at once, or holds its answers until the test gives them.
#[derive(Default)]
struct TestKeeper {
    memory: MemoryKeeper,
    state: Mutex<KeeperState>,
}

#[derive(Default)]
struct KeeperState {
    hold: bool,
    refuse: Option<KeeperError>,
    waiting: VecDeque<oneshot::Sender<()>>,
}

impl TestKeeper {
    fn hold(&self) {
        self.state.lock().unwrap().hold = true;
    }

    fn refuse(&self, error: KeeperError) {
        self.state.lock().unwrap().refuse = Some(error);
    }

    /// Calls that wait for their answer.
    fn waiting(&self) -> usize {
        self.state.lock().unwrap().waiting.len()
    }

    /// Answers all calls so far.
    fn answer(&self) {
        for sender in self.state.lock().unwrap().waiting.drain(..) {
            // Nobody need wait for it.
            sender.send(()).ok();
        }
    }
}

impl Keeper for TestKeeper {
    fn load(&self, each: &mut dyn FnMut(Room, &[u8], &[u8])) -> Result<(), KeeperError> {
        self.memory.load(each)
    }

    fn keep(&self, changes: Vec<Change>) -> BoxFuture<'static, Result<(), KeeperError>> {
        let mut state = self.state.lock().unwrap();
        if let Some(error) = &state.refuse {
            return Box::pin(std::future::ready(Err(error.clone())));
        }
        let kept = self.memory.keep(changes);
        if !state.hold {
            return kept;
        }
        let (sender, answer) = oneshot::channel();
        state.waiting.push_back(sender);
        Box::pin(async move {
            answer.await.expect("the test answers");
            kept.await
        })
    }
}

async fn start(keeper: &Arc<TestKeeper>) -> (Gate, Arc<TestIntake>) {
    let intake = Arc::<TestIntake>::default();
    let authenticator = Arc::new(RegistryAuthenticator::new(catalogue(), Anonymous::Publish));
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_763_870_400_000)));
    let config = GateConfig::new("127.0.0.1:0".parse().unwrap());
    let gate = Gate::start(config, authenticator, intake.clone(), keeper.clone(), clock);
    (gate.await.unwrap(), intake)
}

fn stays() -> Hello<'static> {
    Hello {
        clean: false,
        ..hello(4, "pump-1")
    }
}

fn operator(level: u8) -> Hello<'static> {
    Hello {
        level,
        client_id: "operator",
        ..Hello::default()
    }
}

fn command(id: u16) -> Post<'static> {
    Post {
        topic: CMD,
        id,
        ..Post::default()
    }
}

#[tokio::test]
async fn a_publish_is_answered_after_what_it_changes_for_absent_subscribers_is_kept() {
    let keeper = Arc::<TestKeeper>::default();
    let (gate, intake) = start(&keeper).await;
    let mut device = Client::connect(gate.local_addr(), stays()).await;
    device.subscribe(4, &[(CMD, 1)]).await;
    device.leave().await;
    until("it is gone", || gate.counters().connections == 0).await;
    let mut operator = Client::connect(gate.local_addr(), operator(5)).await;
    keeper.hold();
    // Given a command and, behind it, a message that nobody waits for,
    operator.send(&command(1).bytes()).await;
    until("the keeper is asked", || keeper.waiting() == 1).await;
    let telemetry = Post {
        id: 2,
        ..Post::default()
    };
    operator.send(&telemetry.bytes()).await;
    until("both are journaled", || intake.taken().len() == 2).await;
    // then the first is not answered before it is kept, and the second not before the first.
    operator.expect_quiet().await;
    keeper.answer();
    operator.expect(&puback(1)).await;
    operator.expect(&puback(2)).await;
    // So it is with a retained message.
    let retained = Post {
        retain: true,
        id: 3,
        ..Post::default()
    };
    operator.send(&retained.bytes()).await;
    until("the keeper is asked", || keeper.waiting() == 1).await;
    operator.expect_quiet().await;
    keeper.answer();
    operator.expect(&puback(3)).await;
}

#[tokio::test]
async fn a_lasting_client_is_answered_after_its_own_session_is_kept() {
    let keeper = Arc::<TestKeeper>::default();
    let (gate, _) = start(&keeper).await;
    keeper.hold();
    // CONNACK, SUBACK, PUBREC, PUBCOMP: each waits for the keeper.
    let mut device = Client::open(gate.local_addr()).await;
    let packets = [
        (stays().bytes(), packet(0x20, &[0, 0])),
        (subscribe(4, 9, &[(CMD, 2)]), packet(0x90, &[0, 9, 2])),
        (
            Post {
                level: 4,
                qos: 2,
                id: 5,
                ..Post::default()
            }
            .bytes(),
            pubrec(5),
        ),
        (pubrel(5), pubcomp(5)),
    ];
    for (said, answer) in packets {
        device.send(&said).await;
        until("the keeper is asked", || keeper.waiting() == 1).await;
        device.expect_quiet().await;
        keeper.answer();
        device.expect(&answer).await;
    }
    // A QoS 2 message to it goes out when its identifier is kept, and PUBREL when PUBREC is.
    let mut operator = Client::connect(gate.local_addr(), operator(4)).await;
    let command = Post {
        level: 4,
        qos: 2,
        ..command(1)
    };
    operator.send(&command.bytes()).await;
    until("the queue and the identifier are to be kept", || {
        keeper.waiting() == 2
    })
    .await;
    device.expect_quiet().await;
    keeper.answer();
    device.expect(&command.bytes()).await;
    device.send(&pubrec(1)).await;
    until("the keeper is asked", || keeper.waiting() == 1).await;
    device.expect_quiet().await;
    keeper.answer();
    device.expect(&pubrel(1)).await;
}

#[tokio::test]
async fn what_cannot_be_kept_is_not_acknowledged_and_the_client_is_told() {
    for (error, code) in [
        (KeeperError::Full("disk".into()), 0x97),
        (KeeperError::Stopped("fsync".into()), 0x83),
    ] {
        let keeper = Arc::<TestKeeper>::default();
        let (gate, _) = start(&keeper).await;
        let mut operator = Client::connect(gate.local_addr(), operator(5)).await;
        keeper.refuse(error);
        let retained = Post {
            retain: true,
            ..Post::default()
        };
        operator.send(&retained.bytes()).await;
        operator.expect_disconnect(code).await;
        // A session that is to stay cannot be begun; one that need not, can.
        let mut device = Client::open(gate.local_addr()).await;
        device.send(&stays().bytes()).await;
        device.expect(&packet(0x20, &[0, 3])).await;
        let mut device = Client::connect(gate.local_addr(), hello(4, "pump-1")).await;
        let telemetry = Post {
            level: 4,
            ..Post::default()
        };
        device.publish(telemetry).await;
        assert_eq!(gate.counters().keeper_refusals, 2);
    }
}

#[tokio::test]
async fn a_message_that_nobody_waits_for_asks_nothing_of_the_keeper() {
    let keeper = Arc::<TestKeeper>::default();
    let (gate, _) = start(&keeper).await;
    let mut watcher = Client::connect(gate.local_addr(), operator(5)).await;
    watcher.subscribe(5, &[("tw/#", 1)]).await;
    let mut device = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    keeper.refuse(KeeperError::Stopped("nothing may be asked".into()));
    device.publish(Post::default()).await;
    watcher.expect(&Post::default().bytes()).await;
    device.leave().await;
}
