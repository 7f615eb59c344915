//! What stands in a certificate: pure.

use std::net::SocketAddr;

use telemetry::Timestamp;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::config::CertificateName;

/// The certificate that a listener shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateStatus {
    /// Whose.
    pub listener: SocketAddr,
    /// Its subject, e.g. `CN=mqtt.example.org`.
    pub subject: Box<str>,
    /// From when it counts.
    pub not_before: Timestamp,
    /// Until when it counts.
    pub not_after: Timestamp,
    /// Why the files that lie there now were not taken; none when they are in use.
    pub refused: Option<Box<str>>,
}

/// What is worth knowing of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) subject: Box<str>,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
}

/// Reads a certificate in DER.
///
/// # Errors
/// Why it cannot be read.
pub(crate) fn facts(der: &[u8]) -> Result<Facts, String> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
    let validity = certificate.validity();
    let at =
        |time: x509_parser::time::ASN1Time| Timestamp::from_millis(time.timestamp().saturating_mul(1000));
    Ok(Facts {
        subject: certificate.subject().to_string().into(),
        not_before: at(validity.not_before),
        not_after: at(validity.not_after),
    })
}

/// What a client's certificate calls it. Empty when it has no such name, or more than one: whoever
/// issued it did not say clearly who that is.
pub(crate) fn name(der: &[u8], from: CertificateName) -> Box<str> {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return Box::default();
    };
    let names: Vec<&str> = match from {
        CertificateName::CommonName => certificate
            .subject()
            .iter_common_name()
            .map(|name| name.as_str().unwrap_or_default())
            .collect(),
        CertificateName::SubjectAlternativeName => match certificate.subject_alternative_name() {
            Ok(Some(names)) => names
                .value
                .general_names
                .iter()
                .filter_map(|name| match name {
                    GeneralName::DNSName(name) => Some(*name),
                    _ => None,
                })
                .collect(),
            Ok(None) | Err(_) => Vec::new(),
        },
    };
    match names.as_slice() {
        [name] => (*name).into(),
        _ => Box::default(),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn certificate(common: &[&str], alternative: &[&str]) -> Vec<u8> {
        let names: Vec<String> = alternative.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for name in common {
            params.distinguished_name.push(DnType::CommonName, *name);
        }
        params.not_before = rcgen::date_time_ymd(2026, 1, 2);
        params.not_after = rcgen::date_time_ymd(2027, 1, 2);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn subject_and_validity_are_read() {
        let facts = facts(&certificate(&["mqtt.example.org"], &[])).unwrap();
        assert_eq!(&*facts.subject, "CN=mqtt.example.org");
        // date -ud 2026-01-02 +%s, and of 2027
        assert_eq!(facts.not_before, Timestamp::from_millis(1_767_312_000_000));
        assert_eq!(facts.not_after, Timestamp::from_millis(1_798_848_000_000));
        assert!(super::facts(b"nonsense").is_err());
    }

    #[test]
    fn a_client_is_called_by_the_one_name_that_was_asked_for_and_by_nothing_else() {
        let der = certificate(&["pump-1"], &["pump-2"]);
        assert_eq!(&*name(&der, CertificateName::CommonName), "pump-1");
        assert_eq!(&*name(&der, CertificateName::SubjectAlternativeName), "pump-2");
        for (common, alternative) in [(vec![], vec![]), (vec![], vec!["a", "b"])] {
            let der = certificate(&common, &alternative);
            assert_eq!(&*name(&der, CertificateName::CommonName), "");
            assert_eq!(&*name(&der, CertificateName::SubjectAlternativeName), "");
        }
        assert_eq!(&*name(b"nonsense", CertificateName::CommonName), "");
    }
}
