//! The checksum of HJ 212. It is not the CRC-16 of Modbus: a byte goes against the **high** half of the register,
//! which is shifted down first.

/// The checksum of a data segment. Source: HJ 212-2017 appendix A; the vectors of the test.
#[must_use]
pub fn crc(segment: &[u8]) -> u16 {
    let mut register = 0xFFFF_u16;
    for byte in segment {
        register = (register >> 8) ^ u16::from(*byte);
        for _ in 0..8 {
            let out = register & 1 == 1;
            register >>= 1;
            if out {
                register ^= 0xA001;
            }
        }
    }
    register
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vector_of_the_standard_comes_out_and_not_that_of_modbus() {
        // HJ 212-2017, example of appendix A; CRC-16/MODBUS would be 0x0759.
        let segment = "QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;\
                       Flag=5;CP=&&RtdInterval=30&&";
        assert_eq!(segment.len(), 101);
        assert_eq!(crc(segment.as_bytes()), 0x1C80);
    }
}
