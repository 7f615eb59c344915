//! A bench of slaves whose registers a test sets: every type in every order, writes, identification, faults.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use telemetry::time::Span;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Answer;
use super::port::{self, Pty, Slave};
use super::speech::{self, Asked, NO_ADDRESS, NO_FUNCTION, NO_VALUE, Wire};

/// One of a unit's four tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// Function 1, written with 5 and 15.
    Coils,
    /// Function 2.
    Discrete,
    /// Function 3, written with 6 and 16.
    Holding,
    /// Function 4.
    Input,
}

#[derive(Debug, Default)]
struct Unit {
    words: BTreeMap<(Table, u16), u16>,
    manner: Option<Answer>,
    identity: Vec<String>,
    questions: Vec<Vec<u8>>,
}

/// Slaves in memory; cheap to clone, all clones are the same slaves.
#[derive(Clone, Debug, Default)]
pub struct Rig(Arc<Mutex<HashMap<u8, Unit>>>);

/// Questions of a unit that are kept; the oldest is forgotten first.
const QUESTIONS_MAX: usize = 1000;

impl Rig {
    /// Without any unit.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn with<T>(&self, unit: u8, change: impl FnOnce(&mut Unit) -> T) -> T {
        let mut units = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(units.entry(unit).or_default())
    }

    /// Puts registers, or bits as 0 and 1, from `address` on. A register that was never put is not there.
    pub fn put(&self, unit: u8, table: Table, address: u16, words: &[u16]) {
        self.with(unit, |unit| {
            for (word, at) in words.iter().zip(address..) {
                unit.words.insert((table, at), *word);
            }
        });
    }

    /// What stands in a register or bit.
    #[must_use]
    pub fn get(&self, unit: u8, table: Table, address: u16) -> Option<u16> {
        self.with(unit, |unit| unit.words.get(&(table, address)).copied())
    }

    /// What goes wrong with the unit's answers from now on.
    pub fn behave(&self, unit: u8, manner: Option<Answer>) {
        self.with(unit, |unit| unit.manner = manner);
    }

    /// What the unit says of itself: the objects from 0 on. Without any it does not know function 43.
    pub fn identify(&self, unit: u8, objects: &[&str]) {
        self.with(unit, |unit| {
            unit.identity = objects.iter().map(ToString::to_string).collect();
        });
    }

    /// The questions that the unit was asked, function code first; at most the last 1,000.
    #[must_use]
    pub fn questions(&self, unit: u8) -> Vec<Vec<u8>> {
        self.with(unit, |unit| unit.questions.clone())
    }

    /// Serves a listener until `cancel`.
    pub async fn serve(self, wire: Wire, listener: TcpListener, cancel: CancellationToken) {
        port::serve_socket(Arc::new(self), wire, listener, cancel).await;
    }

    /// Opens a pseudo-terminal, serves it in a task until `cancel`, and answers the name that a master opens.
    ///
    /// # Errors
    /// When the system has no pseudo-terminal left.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn serve_pty(self, cancel: CancellationToken) -> io::Result<Box<str>> {
        let pty = Pty::open()?;
        let name = pty.name.clone();
        tokio::spawn(port::serve_pty(Arc::new(self), pty, cancel));
        Ok(name)
    }
}

impl Slave for Rig {
    fn answer(&self, asked: &Asked) -> Option<Vec<u8>> {
        let mut units = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unit = units.get_mut(&asked.unit)?;
        if unit.questions.len() >= QUESTIONS_MAX {
            unit.questions.remove(0);
        }
        unit.questions.push(asked.pdu.clone());
        Some(
            unit.answer(&asked.pdu)
                .unwrap_or_else(|code| speech::refusal(&asked.pdu, code)),
        )
    }

    fn manner(&self, unit: u8) -> Option<Answer> {
        self.with(unit, |unit| unit.manner)
    }

    fn real(&self, span: Span) -> Duration {
        span.duration()
    }
}

impl Unit {
    fn answer(&mut self, pdu: &[u8]) -> Result<Vec<u8>, u8> {
        let function = *pdu.first().ok_or(NO_FUNCTION)?;
        if function == 43 {
            return self.identification(pdu);
        }
        let (address, number) = speech::numbers(pdu).ok_or(NO_VALUE)?;
        let table = match function {
            1 | 5 | 15 => Table::Coils,
            2 => Table::Discrete,
            3 | 6 | 16 => Table::Holding,
            4 => Table::Input,
            _ => return Err(NO_FUNCTION),
        };
        match function {
            1..=4 => {
                let words = self.take(table, address, number)?;
                Ok(if function <= 2 {
                    let bits: Vec<bool> = words.iter().map(|word| *word != 0).collect();
                    speech::bits_answer(function, &bits)
                } else {
                    speech::words_answer(function, &words)
                })
            }
            5 if !matches!(number, 0 | 0xFF00) => Err(NO_VALUE),
            5 => self.write(pdu, table, address, &[u16::from(number != 0)]),
            6 => self.write(pdu, table, address, &[number]),
            15 => {
                let data = pdu.get(6..).unwrap_or_default();
                let bit = |n: u16| {
                    data.get(usize::from(n / 8))
                        .map(|byte| u16::from(byte >> (n % 8) & 1))
                };
                let bits: Option<Vec<u16>> = (0..number).map(bit).collect();
                self.write(pdu, table, address, &bits.ok_or(NO_VALUE)?)
            }
            _ => {
                let data = pdu.get(6..).unwrap_or_default();
                let (pairs, _) = data.as_chunks::<2>();
                let words: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
                if words.len() != usize::from(number) {
                    return Err(NO_VALUE);
                }
                self.write(pdu, table, address, &words)
            }
        }
    }

    fn take(&self, table: Table, address: u16, count: u16) -> Result<Vec<u16>, u8> {
        if count == 0 || count > 2000 {
            return Err(NO_VALUE);
        }
        let at = |n: u16| self.words.get(&(table, address.checked_add(n)?)).copied();
        (0..count).map(at).collect::<Option<_>>().ok_or(NO_ADDRESS)
    }

    fn write(&mut self, pdu: &[u8], table: Table, address: u16, words: &[u16]) -> Result<Vec<u8>, u8> {
        let count = u16::try_from(words.len()).unwrap_or(u16::MAX);
        self.take(table, address, count)?;
        for (word, at) in words.iter().zip(address..) {
            self.words.insert((table, at), *word);
        }
        Ok(pdu.get(..5).unwrap_or_default().to_vec())
    }

    /// Two objects an answer, so that a master has to ask again.
    fn identification(&self, pdu: &[u8]) -> Result<Vec<u8>, u8> {
        let first = usize::from(*pdu.get(3).ok_or(NO_VALUE)?);
        if self.identity.is_empty() {
            return Err(NO_FUNCTION);
        }
        let objects = self.identity.iter().enumerate().skip(first);
        let now: Vec<(usize, &String)> = objects.clone().take(2).collect();
        let more = objects.count() > now.len();
        let byte = |n: usize| u8::try_from(n).unwrap_or(u8::MAX);
        let next = if more { byte(first + now.len()) } else { 0 };
        let more = if more { 0xFF } else { 0 };
        let mut answer = vec![43, 14, 2, 0x82, more, next, byte(now.len())];
        for (id, text) in now {
            answer.extend([byte(id), byte(text.len())]);
            answer.extend(text.bytes());
        }
        Ok(answer)
    }
}

/// The registers of a value whose bytes, most significant first, are `value`, when they arrive in the order
/// of `letters`: `A` the most significant byte, e.g. `CDAB`.
#[must_use]
pub fn registers(value: &[u8], letters: &str) -> Vec<u16> {
    let byte = |letter: u8| value.get(usize::from(letter.saturating_sub(b'A'))).copied();
    let bytes: Vec<u8> = letters.bytes().filter_map(byte).collect();
    let (pairs, _) = bytes.as_chunks::<2>();
    pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_arrives_in_the_order_of_the_letters() {
        let float = 123.456_f32.to_be_bytes();
        assert_eq!(registers(&float, "ABCD"), [0x42F6, 0xE979]);
        assert_eq!(registers(&float, "CDAB"), [0xE979, 0x42F6]);
        assert_eq!(registers(&float, "BADC"), [0xF642, 0x79E9]);
        assert_eq!(
            registers(&[1, 2, 3, 4, 5, 6, 7, 8], "GHEFCDAB"),
            [0x0708, 0x0506, 0x0304, 0x0102]
        );
    }

    #[test]
    fn a_unit_answers_what_it_has_and_refuses_the_rest() {
        let rig = Rig::new();
        rig.put(1, Table::Holding, 10, &[7, 8]);
        let ask = |pdu: &[u8]| {
            rig.answer(&Asked {
                number: [0, 0],
                unit: 1,
                pdu: pdu.to_vec(),
            })
            .unwrap()
        };
        assert_eq!(ask(&[3, 0, 10, 0, 2]), [3, 4, 0, 7, 0, 8]);
        assert_eq!(ask(&[3, 0, 10, 0, 3]), [0x83, 2]);
        assert_eq!(ask(&[6, 0, 11, 0, 9]), [6, 0, 11, 0, 9]);
        assert_eq!(rig.get(1, Table::Holding, 11), Some(9));
        assert_eq!(ask(&[16, 0, 10, 0, 2, 4, 0, 1, 0, 2]), [16, 0, 10, 0, 2]);
        assert_eq!(ask(&[5, 0, 0, 0xFF, 0]), [0x85, 2]);
        assert_eq!(ask(&[43, 14, 2, 0]), [0xAB, 1]);
        rig.identify(1, &["Vendor", "Product", "1.0"]);
        assert_eq!(
            ask(&[43, 14, 2, 2]),
            [43, 14, 2, 0x82, 0, 0, 1, 2, 3, b'1', b'.', b'0']
        );
        assert_eq!(ask(&[43, 14, 2, 0])[4..7], [0xFF, 2, 2]);
    }
}
