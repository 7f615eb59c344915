//! Packets of HJ 212 data loggers.

use telemetry::{DeadLetter, DeviceEntry, Lsn, Point, RawMessage};

use super::pieces::{Added, Key, PARTS_MAX};
use super::{Batch, Decoder, Outcome, reading};
use crate::decode::hj212::{self, Matter, Packet};
use crate::hj212::segment::{self, Segment};

impl Decoder {
    pub(super) fn logger(&mut self, lsn: Lsn, message: &RawMessage, batch: &mut Batch) -> Outcome {
        self.give_up_parts(message, batch);
        let catalogue = std::sync::Arc::clone(&self.catalogue);
        let index = catalogue.device_index(message.sender.as_str());
        let Some((index, entry)) = index.and_then(|index| Some((index, catalogue.devices().get(index)?)))
        else {
            return Outcome::Dead(None, "the logger is not registered".into());
        };
        let segment = match segment::read(&message.payload) {
            Ok(segment) => segment,
            Err(error) => return Outcome::Dead(Some(index), error.to_string().into()),
        };
        match hj212::matter(segment.cn) {
            Matter::Nothing => {
                self.account(index, |account| account.messages += 1);
                self.hear(index, message.arrived);
                return Outcome::Done;
            }
            Matter::Unknown => {
                let reason = format!("nobody knows the command CN={}", segment.cn);
                return Outcome::Dead(Some(index), reason.into());
            }
            Matter::Values => {}
        }
        match segment.part {
            None => self.values(message, (index, entry), &segment, segment.cp, &mut batch.points),
            Some((_, of)) if of > PARTS_MAX => {
                let reason = format!("the packet is split into {of} parts; {PARTS_MAX} are read");
                Outcome::Dead(Some(index), reason.into())
            }
            Some(part) => self.part((lsn, message), (index, entry), &segment, part, &mut batch.points),
        }
    }

    fn part(
        &mut self,
        (lsn, message): (Lsn, &RawMessage),
        device: (usize, &DeviceEntry),
        segment: &Segment<'_>,
        part: (u16, u16),
        points: &mut Vec<Point>,
    ) -> Outcome {
        let (index, _) = device;
        let key = Key {
            device: index,
            qn: segment.qn.unwrap_or_default().into(),
            cn: segment.cn,
        };
        match self.pieces.add(key, (lsn, message), part, segment.cp) {
            Added::Whole(content) => self.values(message, device, segment, &content, points),
            Added::Waits => {
                self.account(index, |account| account.messages += 1);
                self.hear(index, message.arrived);
                Outcome::Done
            }
            Added::Again => {
                self.account(index, |account| {
                    account.messages += 1;
                    account.received += 1;
                    account.duplicate += 1;
                });
                self.hear(index, message.arrived);
                Outcome::Done
            }
        }
    }

    fn values(
        &mut self,
        message: &RawMessage,
        (index, entry): (usize, &DeviceEntry),
        segment: &Segment<'_>,
        cp: &str,
        points: &mut Vec<Point>,
    ) -> Outcome {
        let Some(slot) = self.devices.get_mut(index) else {
            return Outcome::Dead(None, "the logger is not registered".into());
        };
        let packet = Packet {
            signals: &slot.signals,
            attributes: &entry.device.attributes,
            zone: &self.zone,
            cn: segment.cn,
            cp,
        };
        if let Err(reason) = hj212::read(packet, &mut self.parsed) {
            return Outcome::Dead(Some(index), reason);
        }
        if self.parsed.items_total() == 0 {
            return Outcome::Dead(Some(index), "the packet holds no values".into());
        }
        let keep = self.settings.keep;
        let (ledger, news) = reading::take(
            &mut slot.state,
            None,
            entry,
            &mut self.parsed,
            message.arrived,
            keep,
            points,
        );
        self.account(index, |account| {
            account.messages += 1;
            account.add(&ledger);
        });
        // Statistics are of the past, but a logger that sends them speaks.
        if news || segment.cn != hj212::REAL_TIME {
            self.hear(index, message.arrived);
        }
        Outcome::Done
    }

    /// Makes dead letters of split packets that will not become whole.
    fn give_up_parts(&mut self, message: &RawMessage, batch: &mut Batch) {
        while let Some(open) = self.pieces.given_up(message) {
            self.account(open.key.device, |account| {
                account.received += 1;
                account.dead_lettered += 1;
            });
            let reason = format!(
                "of a packet split into {} parts only {} came",
                open.of,
                open.came()
            );
            batch.dead_letters.push(DeadLetter {
                lsn: open.lsn,
                arrived: open.first.arrived,
                origin: open.first.origin,
                sender: open.first.sender.clone(),
                topic: open.first.topic.clone(),
                reason: reason.into(),
                payload: open.shown().into_bytes().into(),
            });
        }
    }
}
