//! How many are here, in all and of each address. A place is given back when it is dropped, whatever happened.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Counters, Hj212Config, count};

#[derive(Debug)]
pub(super) struct Crowd {
    max: usize,
    of_address_max: usize,
    counters: Arc<Counters>,
    of_address: Mutex<HashMap<IpAddr, usize>>,
}

impl Crowd {
    pub(super) fn new(config: &Hj212Config, counters: Arc<Counters>) -> Arc<Self> {
        Arc::new(Self {
            max: config.connections_max,
            of_address_max: config.connections_per_address_max,
            counters,
            of_address: Mutex::default(),
        })
    }

    /// A place for one more of `address`; none, and counted, when there is no room.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let mut of_address = self.of_address.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = of_address.values().sum();
        let here = of_address.entry(address).or_default();
        if all >= self.max || *here >= self.of_address_max {
            if *here == 0 {
                of_address.remove(&address);
            }
            count(&self.counters.connections_refused, 1);
            return None;
        }
        *here += 1;
        count(&self.counters.connections, 1);
        Some(Place {
            crowd: Arc::clone(self),
            address,
        })
    }
}

/// One connection's place.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Arc<Crowd>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.counters.connections.fetch_sub(1, Ordering::Relaxed);
        let mut of_address = self
            .crowd
            .of_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(here) = of_address.get_mut(&self.address) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                of_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_so_many_in_all_and_of_one_address_and_a_place_is_given_back() {
        let config = Hj212Config {
            connections_max: 3,
            connections_per_address_max: 2,
            ..Hj212Config::default()
        };
        let counters = Arc::new(Counters::default());
        let crowd = Crowd::new(&config, Arc::clone(&counters));
        let address = |last: u8| IpAddr::from([192, 0, 2, last]);
        let first = crowd.enter(address(1)).unwrap();
        let second = crowd.enter(address(1)).unwrap();
        assert!(crowd.enter(address(1)).is_none(), "two of one address");
        let third = crowd.enter(address(2)).unwrap();
        assert!(crowd.enter(address(3)).is_none(), "three in all");
        assert_eq!(counters.connections.load(Ordering::Relaxed), 3);
        drop((first, third));
        assert!(crowd.enter(address(3)).is_some());
        drop(second);
        assert_eq!(counters.connections.load(Ordering::Relaxed), 0);
        assert!(
            crowd.of_address.lock().unwrap().is_empty(),
            "nothing is kept of who has gone"
        );
    }
}
