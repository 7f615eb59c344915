//! What stands in which register, written by hand for each kind of slave. Pure.
//!
//! Source: `domain.md` §7.1 and, where it ends, the comments of the profiles. It is not derived from the
//! register maps by which the server reads, so that a mistake in one of them shows.

use super::speech::{NO_ADDRESS, NO_VALUE};
use crate::device::Model;
use crate::device::channels;
use crate::num::real;
use crate::reading::Reading;

/// The registers and bits of one unit at one instant; `None` where there is nothing.
#[derive(Debug, Default)]
pub(super) struct Image {
    /// Function 4.
    pub(super) input: Vec<Option<u16>>,
    /// Function 2.
    pub(super) discrete: Vec<Option<bool>>,
}

impl Image {
    pub(super) fn of(model: &Model, reading: &Reading) -> Self {
        let mut image = Self::default();
        match model {
            Model::Sewage(_) => image.sewage(reading),
            Model::Tank(_) => image.tank(reading),
            Model::Panel(_) => image.panel(reading),
            // The others are not reached over Modbus.
            _ => {}
        }
        image
    }

    /// # Errors
    /// [`NO_ADDRESS`] when one of them is not there, [`NO_VALUE`] when none is asked for.
    pub(super) fn take<T: Copy>(of: &[Option<T>], first: u16, amount: u16) -> Result<Vec<T>, u8> {
        if amount == 0 || amount > 2000 {
            return Err(NO_VALUE);
        }
        let first = usize::from(first);
        (of.get(first..first + usize::from(amount))
            .into_iter()
            .flatten()
            .copied()
            .collect::<Option<Vec<T>>>())
        .filter(|found| found.len() == usize::from(amount))
        .ok_or(NO_ADDRESS)
    }

    fn word(&mut self, address: usize, word: u16) {
        put(&mut self.input, address, word);
    }

    /// One register, unsigned; beyond its range the "no value" 65535.
    fn unsigned(&mut self, address: usize, raw: i64) {
        self.word(address, u16::try_from(raw).unwrap_or(u16::MAX));
    }

    /// One register, two's complement; beyond its range the "no value" 32767.
    fn signed(&mut self, address: usize, raw: i64) {
        self.word(address, i16::try_from(raw).unwrap_or(i16::MAX).cast_unsigned());
    }

    /// Two registers, the high word first.
    fn long(&mut self, address: usize, raw: i64) {
        let raw = u32::try_from(raw).unwrap_or(u32::MAX);
        self.double(address, raw);
    }

    fn double(&mut self, address: usize, bits: u32) {
        let [a, b, c, d] = bits.to_be_bytes();
        self.word(address, u16::from_be_bytes([a, b]));
        self.word(address + 1, u16::from_be_bytes([c, d]));
    }

    fn bit(&mut self, address: usize, bit: bool) {
        put(&mut self.discrete, address, bit);
    }

    fn sewage(&mut self, reading: &Reading) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a flow below 20 m³/h to the nearest single-precision number"
        )]
        let flow = (real(reading.raw("flow")) / 100.0) as f32;
        self.double(0, flow.to_bits());
        self.long(2, reading.raw("total"));
        self.signed(4, reading.raw("level"));
        self.signed(5, reading.raw("dissolved_oxygen"));
        self.signed(6, reading.raw("ph"));
        // The thermometer gives tenths, its register hundredths.
        self.signed(7, reading.raw("temperature") * 10);
        self.unsigned(8, reading.raw("cod_in"));
        self.unsigned(9, reading.raw("cod_out"));
        self.unsigned(10, reading.raw("nh3n_in"));
        self.unsigned(11, reading.raw("nh3n_out"));
        self.unsigned(12, reading.raw("pump_1_current"));
        self.unsigned(13, reading.raw("pump_2_current"));
        self.unsigned(14, reading.raw("blower_1_current"));
        self.unsigned(15, reading.raw("power"));
        self.long(16, reading.raw("energy"));
        for (address, name) in [
            "pump_1_run",
            "pump_1_fault",
            "pump_2_run",
            "pump_2_fault",
            "blower_1_run",
            "blower_1_fault",
            "blower_2_run",
            "blower_2_fault",
            "mains",
        ]
        .into_iter()
        .enumerate()
        {
            self.bit(address, reading.is(name));
        }
    }

    fn tank(&mut self, reading: &Reading) {
        self.unsigned(0, reading.raw("level"));
        self.unsigned(1, reading.raw("pressure"));
        self.signed(2, reading.raw("temperature"));
        for (address, name) in ["contact_h", "contact_hh", "contact_l", "contact_ll"]
            .into_iter()
            .enumerate()
        {
            self.bit(address, reading.is(name));
        }
    }

    fn panel(&mut self, reading: &Reading) {
        for (n, (gas, level_1, level_2, status)) in channels().enumerate() {
            self.unsigned(n, reading.raw(gas));
            self.bit(2 * n, reading.is(level_1));
            self.bit(2 * n + 1, reading.is(level_2));
            self.unsigned(100 + n, reading.raw(status));
        }
    }
}

fn put<T: Clone>(of: &mut Vec<Option<T>>, address: usize, value: T) {
    if of.len() <= address {
        of.resize(address + 1, None);
    }
    if let Some(slot) = of.get_mut(address) {
        *slot = Some(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Panel;

    /// What the profile's map makes of an image; a reader of its own, from the words of the Modbus standard.
    fn decoded(image: &Image, point: &telemetry::profile::ModbusPoint) -> f64 {
        use telemetry::profile::RegisterKind;
        let words = |n| Image::take(&image.input, point.address, n).unwrap();
        let double = || u32::from(words(2)[0]) << 16 | u32::from(words(2)[1]);
        let raw = match (point.function, point.kind) {
            (2, RegisterKind::Bool) => f64::from(u8::from(
                Image::take(&image.discrete, point.address, 1).unwrap()[0],
            )),
            (4, RegisterKind::Uint16) => f64::from(words(1)[0]),
            (4, RegisterKind::Int16) => f64::from(words(1)[0].cast_signed()),
            (4, RegisterKind::Uint32) => f64::from(double()),
            (4, RegisterKind::Float32) => f64::from(f32::from_bits(double())),
            other => panic!("{other:?}"),
        };
        raw * point.scale + point.offset
    }

    #[test]
    fn each_point_of_a_profile_stands_where_the_profile_looks_for_it() {
        use crate::county::{County, CountySize};
        use crate::fault::Faults;
        let county = County::generate(CountySize::Small, 1);
        let profiles = telemetry::profile::builtin().unwrap();
        for (place, device) in county
            .devices()
            .iter()
            .enumerate()
            .filter(|(_, device)| device.slave.is_some())
        {
            let mut reading = Reading::default();
            county.read(place, 1_795_406_400_000, &Faults::default(), &mut reading);
            let image = Image::of(&device.model, &reading);
            let points = &profiles[device.profile()].modbus.points;
            assert_eq!(points.len(), profiles[device.profile()].signals.len());
            for point in points {
                let (read, wanted) = (
                    decoded(&image, point),
                    reading.real(point.signal.as_str()).unwrap(),
                );
                assert!(
                    (read - wanted).abs() < 1e-6,
                    "{} {}: {read} {wanted}",
                    device.id,
                    point.signal
                );
            }
        }
    }

    #[test]
    fn a_panel_has_its_channels_where_the_table_says_and_nothing_between() {
        // Given a panel with 12.3 %LEL on channel 2 and its level 1 contact closed,
        let mut reading = Reading::default();
        reading.number("gas_02", 12.3, 1);
        reading.flag("alarm1_02", true);
        let image = Image::of(&Model::Panel(Panel { key: 0 }), &reading);
        // then register 1 holds 123, bit 2 is set (domain.md §7.1: 2n), and 16 to 99 are not there.
        assert_eq!(Image::take(&image.input, 1, 1), Ok(vec![123]));
        assert_eq!(Image::take(&image.discrete, 2, 2), Ok(vec![true, false]));
        assert_eq!(Image::take(&image.input, 15, 2), Err(NO_ADDRESS));
        assert_eq!(Image::take(&image.input, 116, 1), Err(NO_ADDRESS));
        assert_eq!(Image::take(&image.input, 100, 16), Ok(vec![0; 16]));
    }
}
