//! From a stretch of the journal to a batch: whose message it is, what it says, and what became of it.

mod logger;
mod pieces;
mod reading;

use std::sync::Arc;

use jiff::tz::TimeZone;
use rustc_hash::FxHashMap;
use telemetry::time::{Span, Timestamp};
use telemetry::{
    Bad, Batch, Catalogue, DeadLetter, DeviceEntry, DeviceId, Ledger, Lsn, Origin, Point, Profile, Quality,
    RawMessage,
};

use crate::check::DeviceState;
use crate::check::seen::SeenExternal;
use crate::decode::signals::SignalTable;
use crate::decode::topic::Topic;
use crate::decode::{self, Context, Parsed, Reason};
use crate::modbus::{decode_poll, frame};
use pieces::Pieces;

/// What the decoder may leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeSettings {
    /// A reading that was older than this on arrival is rejected as too old: the retention of the series
    /// store. Default 400 days.
    pub keep: Span,
}

impl Default for DecodeSettings {
    fn default() -> Self {
        Self {
            keep: Span::from_secs(400 * 86_400),
        }
    }
}

/// Decodes messages in the order of the journal. The same messages in the same order give the same
/// batches, however they are cut into stretches.
///
/// It remembers a little of every device (the last readings against duplicates, sequence numbers, how far
/// its clock is off), at most about 1,100 bytes each, and of what came through an external broker the last 65,536
/// readings, at most 2 MB. A new decoder knows nothing: after a start
/// [`crate::Pipeline`] has it decode older messages first. What lies further back than those is lost: a
/// duplicate of it becomes a point once more (the same point, so the store holds it once), a late number
/// does not fill its gap, and a wrong clock is believed for two messages.
///
/// # The account
/// A message in whose topic stands a device that may not be the sender's to speak for counts for the
/// sender. A message of nobody who is registered is a dead letter without an account. `state`, `cmd` and
/// `ack` count as messages and hold no items.
pub struct Decoder {
    catalogue: Arc<Catalogue>,
    settings: DecodeSettings,
    /// By place in the catalogue's devices.
    devices: Vec<DeviceSlot>,
    /// Devices with something in their slot's part of the batch.
    touched: Vec<usize>,
    parsed: Parsed,
    /// The county's, for times that are civil.
    zone: TimeZone,
    /// Of split packets.
    pieces: Pieces,
    /// Of all devices behind an external broker.
    seen_external: SeenExternal,
}

struct DeviceSlot {
    signals: Arc<SignalTable>,
    state: DeviceState,
    account: Option<Ledger>,
    heard: Option<Timestamp>,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder")
            .field("devices", &self.devices.len())
            .finish_non_exhaustive()
    }
}

/// What became of one message.
enum Outcome {
    /// It was taken for this device, or it holds no readings.
    Done,
    /// Nobody could read it. It counts for this device, if any.
    Dead(Option<usize>, Reason),
}

impl Decoder {
    /// A decoder that has seen nothing yet.
    #[must_use]
    pub fn new(catalogue: Arc<Catalogue>, settings: DecodeSettings) -> Self {
        let mut tables: FxHashMap<*const Profile, Arc<SignalTable>> = FxHashMap::default();
        let slot = |entry: &DeviceEntry| DeviceSlot {
            signals: Arc::clone(
                tables
                    .entry(Arc::as_ptr(&entry.profile))
                    .or_insert_with(|| Arc::new(SignalTable::new(&entry.profile))),
            ),
            state: DeviceState::default(),
            account: None,
            heard: None,
        };
        let name = &catalogue.registry().county.zone;
        let zone = TimeZone::get(name).unwrap_or_else(|error| {
            tracing::warn!(zone = %name, %error, "unknown time zone, times of data loggers are read as UTC");
            TimeZone::UTC
        });
        let devices = catalogue.devices().iter().map(slot).collect();
        Self {
            catalogue,
            settings,
            devices,
            touched: Vec::new(),
            parsed: Parsed::default(),
            zone,
            pieces: Pieces::default(),
            seen_external: SeenExternal::default(),
        }
    }

    /// Decodes the next stretch. An empty one gives an empty batch from 0 to 0.
    pub fn decode(&mut self, messages: &[(Lsn, RawMessage)]) -> Batch {
        let mut batch = Batch {
            first: messages.first().map_or(Lsn::ZERO, |(lsn, _)| *lsn),
            last: messages.last().map_or(Lsn::ZERO, |(lsn, _)| *lsn),
            points: Vec::with_capacity(messages.len() * 6),
            ..Batch::default()
        };
        for (lsn, message) in messages {
            let outcome = match message.origin {
                Origin::Mqtt | Origin::Server | Origin::Http | Origin::LineProtocol | Origin::External => {
                    self.publish(message, &mut batch.points)
                }
                Origin::Hj212 => self.logger(*lsn, message, &mut batch),
                Origin::Modbus => self.poll(message, &mut batch.points),
            };
            if let Outcome::Dead(device, reason) = outcome {
                self.bury(*lsn, message, device, reason, &mut batch);
            }
        }
        for device in self.touched.drain(..) {
            let Some(slot) = self.devices.get_mut(device) else {
                continue; // Only places of devices are put there.
            };
            batch
                .ledger
                .extend(slot.account.take().map(|account| (device, account)));
            batch.heard.extend(slot.heard.take().map(|at| (device, at)));
        }
        batch
    }

    fn publish(&mut self, message: &RawMessage, points: &mut Vec<Point>) -> Outcome {
        let sender = self.catalogue.device_index(message.sender.as_str());
        let (device, readings) = match Topic::parse(&message.topic) {
            Some(Topic::Telemetry(device)) => (device, true),
            Some(Topic::Other(device)) => (device, false),
            None => return Outcome::Dead(sender, "the topic is not one of tw/v1/{device}/…".into()),
        };
        let catalogue = Arc::clone(&self.catalogue);
        let Some(index) = catalogue.device_index(device) else {
            return Outcome::Dead(sender, "the topic names a device that is not registered".into());
        };
        let Some(entry) = catalogue.devices().get(index) else {
            return Outcome::Dead(sender, "the topic names a device that is not registered".into());
        };
        if !readings && sender.is_none() {
            // A command of a service account: the gate let it through, and it is nothing that the device said.
            return Outcome::Done;
        }
        if !may_speak(&message.sender, entry) {
            let reason = "the topic names a device that the sender may not speak for";
            return Outcome::Dead(sender, reason.into());
        }
        if !readings {
            self.account(index, |ledger| ledger.messages += 1);
            return Outcome::Done;
        }
        let mut parsed = std::mem::take(&mut self.parsed);
        let outcome = self.readings(message, index, entry, &mut parsed, points);
        self.parsed = parsed;
        if let (Outcome::Done, Some(sender)) = (&outcome, sender)
            && sender != index
            && self
                .devices
                .get(index)
                .is_some_and(|slot| slot.heard == Some(message.arrived))
        {
            self.hear(sender, message.arrived); // A gateway that forwards is not silent either.
        }
        outcome
    }

    fn readings(
        &mut self,
        message: &RawMessage,
        index: usize,
        entry: &DeviceEntry,
        parsed: &mut Parsed,
        points: &mut Vec<Point>,
    ) -> Outcome {
        let Some(slot) = self.devices.get_mut(index) else {
            return Outcome::Dead(None, "the device is not registered".into());
        };
        let context = Context {
            device: &entry.device.id,
            arrived: message.arrived,
            signals: &slot.signals,
        };
        let read = match message.origin {
            Origin::LineProtocol => decode::lines::read(&slot.signals, &message.payload, parsed),
            Origin::Mqtt
            | Origin::Modbus
            | Origin::Server
            | Origin::Hj212
            | Origin::Http
            | Origin::External => decode::payload(context, &message.payload, parsed),
        };
        if let Err(reason) = read {
            return Outcome::Dead(Some(index), reason);
        }
        let empty = parsed.items_total() == 0;
        let external = message.origin == Origin::External;
        let (ledger, news) = reading::take(
            &mut slot.state,
            external.then_some((&mut self.seen_external, index)),
            entry,
            parsed,
            message.arrived,
            self.settings.keep,
            points,
        );
        self.account(index, |account| account.add(&ledger));
        if empty {
            return Outcome::Dead(Some(index), "the message holds no values".into());
        }
        self.account(index, |account| account.messages += 1);
        if news {
            self.hear(index, message.arrived);
        }
        Outcome::Done
    }

    fn poll(&mut self, message: &RawMessage, points: &mut Vec<Point>) -> Outcome {
        let catalogue = Arc::clone(&self.catalogue);
        let index = catalogue.device_index(message.sender.as_str());
        let Some((index, entry)) = index.and_then(|index| Some((index, catalogue.devices().get(index)?)))
        else {
            return Outcome::Dead(None, "the polled unit is not registered".into());
        };
        let Some(slot) = self.devices.get_mut(index) else {
            return Outcome::Dead(None, "the polled unit is not registered".into());
        };
        let reads = match frame::decode(&message.payload) {
            Ok(reads) => reads,
            Err(error) => return Outcome::Dead(Some(index), error.to_string().into()),
        };
        let heard = decode_poll::decode(&slot.signals, &reads, &mut self.parsed);
        if !slot.state.record_no_answer(heard.silent, message.arrived) {
            let parsed = &mut self.parsed;
            parsed
                .items
                .retain(|item| item.quality != Quality::Bad(Bad::NoAnswer));
            for record in &mut parsed.records {
                record.items = parsed.items.len(); // A poll is one record.
            }
        }
        let (ledger, _) = reading::take(
            &mut slot.state,
            None,
            entry,
            &mut self.parsed,
            message.arrived,
            self.settings.keep,
            points,
        );
        self.account(index, |account| {
            account.messages += 1;
            account.add(&ledger);
        });
        if heard.answered {
            self.hear(index, message.arrived);
        }
        Outcome::Done
    }

    fn bury(
        &mut self,
        lsn: Lsn,
        message: &RawMessage,
        device: Option<usize>,
        reason: Reason,
        batch: &mut Batch,
    ) {
        if let Some(device) = device {
            self.account(device, |ledger| {
                ledger.messages += 1;
                ledger.received += 1;
                ledger.dead_lettered += 1;
            });
            self.hear(device, message.arrived);
        }
        batch.dead_letters.push(DeadLetter {
            lsn,
            arrived: message.arrived,
            origin: message.origin,
            sender: message.sender.clone(),
            topic: message.topic.clone(),
            reason,
            payload: message.payload.clone(),
        });
    }

    fn account(&mut self, device: usize, count: impl FnOnce(&mut Ledger)) {
        if let Some(slot) = self.devices.get_mut(device) {
            if slot.account.is_none() && slot.heard.is_none() {
                self.touched.push(device);
            }
            count(slot.account.get_or_insert_default());
        }
    }

    fn hear(&mut self, device: usize, arrived: Timestamp) {
        if let Some(slot) = self.devices.get_mut(device) {
            if slot.account.is_none() && slot.heard.is_none() {
                self.touched.push(device);
            }
            slot.heard = Some(arrived);
        }
    }
}

fn may_speak(sender: &DeviceId, entry: &DeviceEntry) -> bool {
    entry.device.id == *sender || entry.device.gateway.as_ref() == Some(sender)
}

#[cfg(test)]
mod tests;
