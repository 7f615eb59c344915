//! Requests and answers without the frame around them. Pure.
//!
//! An answer is taken only when its function, its length and, for writes, its echo fit the question.
//! Source: Modbus Application Protocol V1.1b3 §6 and §7.

/// What a unit is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Functions 1 to 4.
    Read { function: u8, address: u16, count: u16 },
    /// Function 5.
    WriteCoil { address: u16, on: bool },
    /// Function 6.
    WriteRegister { address: u16, word: u16 },
    /// Function 15, here always with one coil.
    WriteOneOfCoils { address: u16, on: bool },
    /// Function 16, 1 to 123 registers.
    WriteRegisters { address: u16, words: Vec<u16> },
    /// Function 43 / 14: the basic and regular objects from `object` on.
    Identify { object: u8 },
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// As many registers as were asked for.
    Words(Vec<u16>),
    /// As many bits as were asked for.
    Bits(Vec<bool>),
    /// The write was done.
    Done,
    /// The unit refuses, with this code.
    Exception(u8),
    /// Objects of its identification, and where the next ones begin.
    Objects(Vec<(u8, Vec<u8>)>, Option<u8>),
}

/// Function code 43, of which only MEI type 14 is asked.
const ENCAPSULATED: u8 = 0x2B;
const READ_IDENTIFICATION: u8 = 0x0E;
/// Read Device ID code 2: the regular stream, which begins with the basic objects.
const REGULAR: u8 = 2;
/// What a written coil is told: on or off.
const ON: u16 = 0xFF00;
/// The bit that makes a function code an exception's.
const EXCEPTION: u8 = 0x80;

impl Request {
    pub(crate) fn function(&self) -> u8 {
        match self {
            Self::Read { function, .. } => *function,
            Self::WriteCoil { .. } => 5,
            Self::WriteRegister { .. } => 6,
            Self::WriteOneOfCoils { .. } => 15,
            Self::WriteRegisters { .. } => 16,
            Self::Identify { .. } => ENCAPSULATED,
        }
    }

    /// The bytes of the question.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut pdu = vec![self.function()];
        let mut words = |all: &[u16]| pdu.extend(all.iter().flat_map(|word| word.to_be_bytes()));
        match self {
            Self::Read { address, count, .. } => words(&[*address, *count]),
            Self::WriteCoil { address, on } => words(&[*address, if *on { ON } else { 0 }]),
            Self::WriteRegister { address, word } => words(&[*address, *word]),
            Self::WriteOneOfCoils { address, on } => {
                words(&[*address, 1]);
                pdu.extend([1, u8::from(*on)]);
            }
            Self::WriteRegisters {
                address,
                words: values,
            } => {
                let count = u16::try_from(values.len()).unwrap_or(u16::MAX);
                words(&[*address, count]);
                pdu.push(u8::try_from(values.len().saturating_mul(2)).unwrap_or(u8::MAX));
                pdu.extend(values.iter().flat_map(|word| word.to_be_bytes()));
            }
            Self::Identify { object } => pdu.extend([READ_IDENTIFICATION, REGULAR, *object]),
        }
        pdu
    }

    /// How many bytes the answer that begins with `pdu` has in all: `Ok(None)` when more must come first.
    ///
    /// # Errors
    /// What is wrong, when it cannot be the answer to this question.
    pub(crate) fn answer_length(&self, pdu: &[u8]) -> Result<Option<usize>, &'static str> {
        let Some(function) = pdu.first() else {
            return Ok(None);
        };
        if *function == self.function() | EXCEPTION {
            return Ok(Some(2));
        }
        if *function != self.function() {
            return Err("an answer to another function");
        }
        match self {
            Self::Read { .. } => match pdu.get(1) {
                None => Ok(None),
                Some(bytes) if usize::from(*bytes) == self.data_bytes() => Ok(Some(2 + self.data_bytes())),
                Some(_) => Err("an answer of another length"),
            },
            Self::Identify { .. } => Ok(objects_length(pdu)),
            _ => Ok(Some(5)),
        }
    }

    /// Bytes of data in the answer to a read.
    fn data_bytes(&self) -> usize {
        match self {
            Self::Read {
                function: 1 | 2,
                count,
                ..
            } => usize::from(*count).div_ceil(8),
            Self::Read { count, .. } => usize::from(*count) * 2,
            _ => 0,
        }
    }

    /// The longest answer that may come, with its frame: for the time that it takes on a slow line.
    pub(crate) fn answer_bytes_max(&self) -> usize {
        match self {
            Self::Read { .. } => 5 + self.data_bytes(),
            Self::Identify { .. } => 256,
            _ => 8,
        }
    }

    /// What a whole answer says.
    ///
    /// # Errors
    /// What is wrong, when it is not the answer to this question.
    pub(crate) fn read_answer(&self, pdu: &[u8]) -> Result<Reply, &'static str> {
        let (function, data) = pdu.split_first().ok_or("an empty answer")?;
        if *function == self.function() | EXCEPTION {
            return match data {
                [code] if *code != 0 => Ok(Reply::Exception(*code)),
                _ => Err("an exception of another length"),
            };
        }
        if self.answer_length(pdu)? != Some(pdu.len()) {
            return Err("an answer of another length");
        }
        match self {
            Self::Read { function, count, .. } => {
                let data = data.get(1..).unwrap_or_default();
                Ok(read_data(*function, usize::from(*count), data))
            }
            Self::Identify { .. } => objects(data).ok_or("an identification that cannot be read"),
            // Functions 5 and 6 echo the question, 15 and 16 its address and count.
            _ if self.encode().get(1..5) == Some(data) => Ok(Reply::Done),
            _ => Err("an answer to another write"),
        }
    }
}

fn read_data(function: u8, count: usize, data: &[u8]) -> Reply {
    if function <= 2 {
        let bits = data
            .iter()
            .flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1));
        return Reply::Bits(bits.take(count).collect());
    }
    let (pairs, _) = data.as_chunks::<2>();
    Reply::Words(pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect())
}

/// Function, MEI type, code, conformity, more, next object, number of objects; then each with id and length.
const OBJECTS_HEAD: usize = 7;

fn objects_length(pdu: &[u8]) -> Option<usize> {
    let number = *pdu.get(OBJECTS_HEAD - 1)?;
    let mut at = OBJECTS_HEAD;
    for _ in 0..number {
        at += 2 + usize::from(*pdu.get(at + 1)?);
    }
    Some(at)
}

/// `data` is the answer without its function code.
fn objects(data: &[u8]) -> Option<Reply> {
    let [READ_IDENTIFICATION, _code, _conformity, more, next, number, ..] = data else {
        return None;
    };
    let mut rest = data.get(OBJECTS_HEAD - 1..)?;
    let mut all = Vec::new();
    for _ in 0..*number {
        let ([id, length], tail) = rest.split_first_chunk()?;
        let (value, after) = tail.split_at_checked(usize::from(*length))?;
        all.push((*id, value.to_vec()));
        rest = after;
    }
    Some(Reply::Objects(all, (*more == 0xFF).then_some(*next)))
}

#[cfg(test)]
mod tests;
