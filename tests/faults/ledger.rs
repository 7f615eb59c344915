//! The load clients' own account of what was acknowledged: the oracle of the fault cases.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::support::mqtt::Client;
use crate::support::{ask, county, wait};

/// Stations under load.
pub(crate) const DEVICES: usize = 3;

/// What was acknowledged of one device: time in ms → value, and when its PUBACK came.
type Account = Arc<Mutex<BTreeMap<i64, (f64, i64)>>>;

/// The load of some stations, with their accounts.
#[derive(Debug)]
pub(crate) struct Load {
    /// Begins the names of its stations: a client whose server was killed may find another test's at the same port,
    /// which must not know it.
    name: &'static str,
    base: i64,
    next: Vec<Mutex<i64>>,
    accounts: Vec<Account>,
}

impl Load {
    /// The load of the case `name`, with readings of the last minutes: a device that is steadily far behind would be one whose clock lies.
    pub(crate) fn new(name: &'static str) -> Self {
        let base = ask::now() - 300_000;
        Self {
            name,
            base,
            next: (0..DEVICES).map(|_| Mutex::new(base)).collect(),
            accounts: (0..DEVICES).map(|_| Account::default()).collect(),
        }
    }

    /// The registry of the stations.
    pub(crate) fn registry(&self) -> String {
        let stations =
            (0..DEVICES).map(|place| county::mqtt_device(&self.device(place), "sewage-station-small"));
        format!("{}{}", county::HEAD, stations.collect::<String>())
    }

    /// The name of a station.
    pub(crate) fn device(&self, place: usize) -> String {
        format!("{}-station-{place}", self.name)
    }

    /// Publishes on all stations while `during` runs, connecting again and again.
    pub(crate) fn run<T>(&self, address: SocketAddr, during: impl FnOnce() -> T) -> T {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for place in 0..DEVICES {
                let stop = &stop;
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        self.publish(address, place, stop);
                        std::thread::park_timeout(std::time::Duration::from_millis(20));
                    }
                });
            }
            // Also when `during` fails, the clients end.
            let stopping = Stop(&stop);
            let answer = during();
            drop(stopping);
            answer
        })
    }

    /// Publishes with ten messages in flight until the connection breaks.
    fn publish(&self, address: SocketAddr, place: usize, stop: &AtomicBool) {
        let device = self.device(place);
        let Ok(mut client) = Client::connect(address, &device, "secret") else {
            return;
        };
        let topic = format!("tw/v1/{device}/telemetry");
        let mut in_flight = BTreeMap::new();
        while !stop.load(Ordering::Relaxed) {
            while in_flight.len() < 10 {
                let ts = {
                    let mut next = self.next[place].lock().unwrap();
                    *next = (*next + 1).max(ask::now() - 300_000);
                    *next
                };
                // Flow within its range 0..=5 m³/h; unlike its neighbours.
                let value = f64::from(u32::try_from(ts % 4999).unwrap()) / 1000.0;
                let payload = format!(r#"{{"ts":{ts},"seq":{ts},"values":{{"flow":{value}}}}}"#);
                let Ok(id) = client.publish(&topic, payload.as_bytes()) else {
                    return;
                };
                in_flight.insert(id, (ts, value));
            }
            let Ok(id) = client.read_puback() else { return };
            if let Some((ts, value)) = in_flight.remove(&id) {
                self.accounts[place]
                    .lock()
                    .unwrap()
                    .insert(ts, (value, ask::now()));
            }
        }
    }

    /// How many messages were acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        self.accounts
            .iter()
            .map(|account| account.lock().unwrap().len())
            .sum()
    }

    /// How many were acknowledged after that time, in ms.
    pub(crate) fn acknowledged_after(&self, ms: i64) -> usize {
        let after = |account: &Account| {
            account
                .lock()
                .unwrap()
                .values()
                .filter(|(_, at)| *at > ms)
                .count()
        };
        self.accounts.iter().map(after).sum()
    }

    /// What was acknowledged at that time in ms, or later, is not counted: nobody was there any more to say so.
    pub(crate) fn forget_since(&self, ms: i64) {
        for account in &self.accounts {
            account.lock().unwrap().retain(|_, (_, at)| *at < ms);
        }
    }

    /// Waits until so many have been acknowledged.
    pub(crate) fn wait_for(&self, count: usize) {
        wait::until("the load runs", wait::LONG, || {
            let acknowledged = self.acknowledged();
            if acknowledged >= count {
                Ok(())
            } else {
                Err(acknowledged.to_string())
            }
        });
    }

    /// Every acknowledged message is in the store, once and with its value.
    pub(crate) fn check(&self, web: SocketAddr) {
        for (place, account) in self.accounts.iter().enumerate() {
            let account = account.lock().unwrap();
            let device = self.device(place);
            wait::until(&format!("all of {device} is stored, once"), wait::LONG, || {
                let found = ask::all_points(web, &device, "flow", self.base, ask::now());
                let count = found.len();
                let found: BTreeMap<i64, f64> = found.into_iter().map(|(ms, value, _)| (ms, value)).collect();
                assert_eq!(found.len(), count, "{device}: a time stands there twice");
                // Time, value, and when it was acknowledged.
                let lost: Vec<_> = account
                    .iter()
                    .filter(|(ms, (value, _))| found.get(ms) != Some(value))
                    .collect();
                if lost.is_empty() {
                    Ok(())
                } else {
                    let some: Vec<_> = lost.iter().take(10).collect();
                    Err(format!("{} of {} lost: {some:?}", lost.len(), account.len()))
                }
            });
        }
    }
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
