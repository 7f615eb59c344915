//! How many there may be, in all and from one address, and how fast they may come.
//!
//! Whoever has not yet been let in is a *stranger*; the number of strangers has a bound of its own, so that
//! those who never say who they are cannot take the places of those who have. A place is taken after the
//! password was found right: then it is known for whom the last ones are kept.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;
use tokio::time::Instant;

use super::bucket::Bucket;
use crate::config::Admission;
use crate::limits::{ADDRESSES_MAX, BURST};

/// The rooms behind the door.
#[derive(Debug)]
pub(crate) struct Rooms {
    admission: Admission,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    strangers: usize,
    /// Places taken, those of life-safety devices included.
    taken: usize,
    /// Places taken by others than life-safety devices.
    ordinary: usize,
    accepts: Bucket,
    addresses: FxHashMap<IpAddr, Address>,
    /// How many addresses were in use when they were last swept.
    in_use: usize,
}

#[derive(Debug)]
struct Address {
    strangers: usize,
    taken: usize,
    connects: Bucket,
}

impl Address {
    fn is_in_use(&self) -> bool {
        self.strangers + self.taken > 0
    }
}

/// Why somebody is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turned {
    /// There is no room for more strangers: closed without a word.
    Strangers,
    /// All places are taken, or all but those kept for life-safety devices: 0x97, in 3.1.1 code 3.
    Full,
    /// All places of its address are taken: 0x97, in 3.1.1 code 3.
    AddressFull,
    /// Too many came from its address a moment ago: 0x9F, in 3.1.1 code 3.
    TooFast,
}

/// Somebody who has not yet been let in; dropping it makes room.
#[derive(Debug)]
pub(crate) struct Stranger {
    rooms: Arc<Rooms>,
    from: IpAddr,
}

/// The place of one who was let in; dropping it makes room.
#[derive(Debug)]
pub(crate) struct Place {
    rooms: Arc<Rooms>,
    from: IpAddr,
    life_safety: bool,
}

/// What counts as one address: of IPv6 the first 64 bits, since a subscriber has all that follow.
fn whole(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

impl Rooms {
    pub(crate) fn new(admission: Admission) -> Arc<Self> {
        let accepts = Bucket::new(admission.accepts_per_s, BURST, Instant::now());
        Arc::new(Self {
            admission,
            state: Mutex::new(State {
                strangers: 0,
                taken: 0,
                ordinary: 0,
                accepts,
                addresses: FxHashMap::default(),
                in_use: 0,
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until when no socket is to be taken; none: at once.
    pub(crate) fn accept_at(&self, now: Instant) -> Option<Instant> {
        self.lock().accepts.next_at(now)
    }

    /// A socket was taken.
    pub(crate) fn stranger(self: &Arc<Self>, from: IpAddr, now: Instant) -> Result<Stranger, Turned> {
        let from = whole(from);
        let mut state = self.lock();
        state.accepts.spend(1, now);
        if state.strangers >= self.admission.strangers_max {
            return Err(Turned::Strangers);
        }
        let rate = self.admission.connects_per_s_per_address;
        let address = state.address(from, rate, now);
        if address.strangers >= self.admission.strangers_per_address_max {
            return Err(Turned::Strangers);
        }
        address.strangers += 1;
        state.strangers += 1;
        Ok(Stranger {
            rooms: Arc::clone(self),
            from,
        })
    }
}

impl State {
    fn address(&mut self, from: IpAddr, rate: u32, now: Instant) -> &mut Address {
        if self.addresses.len() >= self.in_use + 2 * ADDRESSES_MAX {
            self.sweep(now);
        }
        self.addresses.entry(from).or_insert_with(|| Address {
            strangers: 0,
            taken: 0,
            connects: Bucket::new(rate, BURST, now),
        })
    }

    /// Forgets addresses from which nobody is here: first those that owe nothing, then, if that was not
    /// enough, all. Done once in [`ADDRESSES_MAX`] new ones.
    fn sweep(&mut self, now: Instant) {
        self.addresses
            .retain(|_, address| address.is_in_use() || !address.connects.is_full(now));
        self.in_use = self
            .addresses
            .values()
            .filter(|address| address.is_in_use())
            .count();
        if self.addresses.len() > self.in_use + ADDRESSES_MAX {
            self.addresses.retain(|_, address| address.is_in_use());
        }
    }
}

impl Stranger {
    /// It has said who it claims to be: whether it may go on to prove it. A life-safety device always may.
    pub(crate) fn knock(&self, life_safety: bool, now: Instant) -> Result<(), Turned> {
        let mut state = self.rooms.lock();
        let address = state.addresses.get_mut(&self.from);
        let in_time = address.is_none_or(|address| address.connects.try_one(now));
        if in_time || life_safety {
            Ok(())
        } else {
            Err(Turned::TooFast)
        }
    }

    /// It has proved who it is: takes a place. The last ones are kept for life-safety devices, which may
    /// also be more from one address than others.
    pub(crate) fn enter(&self, life_safety: bool) -> Result<Place, Turned> {
        let admission = &self.rooms.admission;
        let mut state = self.rooms.lock();
        let for_others = admission
            .connections_max
            .saturating_sub(admission.kept_for_life_safety);
        if state.taken >= admission.connections_max || (!life_safety && state.ordinary >= for_others) {
            return Err(Turned::Full);
        }
        if let Some(address) = state.addresses.get_mut(&self.from) {
            if address.taken >= admission.connections_per_address_max && !life_safety {
                return Err(Turned::AddressFull);
            }
            address.taken += 1;
        }
        state.taken += 1;
        state.ordinary += usize::from(!life_safety);
        Ok(Place {
            rooms: Arc::clone(&self.rooms),
            from: self.from,
            life_safety,
        })
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut state = self.rooms.lock();
        state.strangers -= 1;
        if let Some(address) = state.addresses.get_mut(&self.from) {
            address.strangers -= 1;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.rooms.lock();
        state.taken -= 1;
        state.ordinary -= usize::from(!self.life_safety);
        if let Some(address) = state.addresses.get_mut(&self.from) {
            address.taken -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Admission = Admission {
        connections_max: 3,
        kept_for_life_safety: 1,
        connections_per_address_max: 2,
        strangers_max: 4,
        strangers_per_address_max: 3,
        accepts_per_s: 0,
        connects_per_s_per_address: 1,
    };

    fn from(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    #[test]
    fn the_last_place_is_for_a_life_safety_device_and_no_more_than_all_are_given() {
        let (rooms, now) = (Rooms::new(SMALL), Instant::now());
        let enter = |address: u8, life_safety: bool| {
            let stranger = rooms.stranger(from(address), now).unwrap();
            stranger.enter(life_safety)
        };
        let first = enter(1, false).unwrap();
        let _second = enter(1, false).unwrap();
        assert_eq!(enter(2, false).unwrap_err(), Turned::Full);
        let _gas = enter(1, true).unwrap();
        assert_eq!(enter(2, true).unwrap_err(), Turned::Full);
        // A place that was left is free again for whoever comes.
        drop(first);
        let again = enter(2, false).unwrap();
        assert_eq!(enter(2, false).unwrap_err(), Turned::Full);
        drop(again);
        assert!(enter(2, true).is_ok());
        assert_eq!(rooms.lock().strangers, 0);
    }

    #[test]
    fn one_address_cannot_take_all_places_nor_all_of_the_strangers() {
        let roomy = Admission {
            connections_max: 10,
            ..SMALL
        };
        let (rooms, now) = (Rooms::new(roomy), Instant::now());
        let mut strangers: Vec<_> = (0..3).map(|_| rooms.stranger(from(1), now).unwrap()).collect();
        assert_eq!(rooms.stranger(from(1), now).unwrap_err(), Turned::Strangers);
        strangers.push(rooms.stranger(from(2), now).unwrap());
        assert_eq!(rooms.stranger(from(3), now).unwrap_err(), Turned::Strangers);
        let _places = [
            strangers[0].enter(false).unwrap(),
            strangers[1].enter(false).unwrap(),
        ];
        assert_eq!(strangers[2].enter(false).unwrap_err(), Turned::AddressFull);
        assert!(strangers[2].enter(true).is_ok());
        assert!(strangers[3].enter(false).is_ok());
    }

    #[test]
    fn an_address_that_connects_too_fast_waits_and_a_life_safety_device_does_not() {
        let (rooms, now) = (Rooms::new(SMALL), Instant::now());
        let knock = |address, life_safety| {
            rooms
                .stranger(from(address), now)
                .unwrap()
                .knock(life_safety, now)
        };
        assert!((0..10).all(|_| knock(1, false).is_ok()));
        assert_eq!(knock(1, false), Err(Turned::TooFast));
        assert_eq!((knock(1, true), knock(2, false)), (Ok(()), Ok(())));
    }

    #[test]
    fn addresses_are_forgotten_but_not_while_somebody_is_here() {
        let (rooms, now) = (Rooms::new(SMALL), Instant::now());
        let stays = rooms.stranger(from(1), now).unwrap();
        for number in 0..3 * u32::try_from(ADDRESSES_MAX).unwrap() {
            let stranger = rooms
                .stranger(IpAddr::V4((0x0B00_0000 + number).into()), now)
                .unwrap();
            stranger.knock(false, now).unwrap();
            assert!(rooms.lock().addresses.len() <= 2 * ADDRESSES_MAX + 2);
        }
        assert_eq!(rooms.lock().addresses[&from(1)].strangers, 1);
        drop(stays);
    }

    #[test]
    fn an_ipv6_subscriber_is_one_address_and_a_mapped_one_is_its_ipv4_address() {
        let v6 = |text: &str| whole(text.parse().unwrap());
        assert_eq!(v6("2001:db8:1:2:3:4:5:6"), v6("2001:db8:1:2::1"));
        assert_ne!(v6("2001:db8:1:2::1"), v6("2001:db8:1:3::1"));
        assert_eq!(v6("::ffff:10.0.0.1"), from(1));
    }
}
