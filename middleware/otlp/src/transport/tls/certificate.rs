//! The few fields of a certificate that matter before it is used.

use std::time::{SystemTime, UNIX_EPOCH};

use der::asn1::{GeneralizedTime, UtcTime};
use der::{DateTime, Reader, SliceReader, Tag};

/// What stands in a certificate: [RFC 5280, section
/// 4.1](https://www.rfc-editor.org/rfc/rfc5280.html#section-4.1).
#[derive(Debug)]
pub(super) struct Fields<'a> {
    /// The name of the issuer in DER, tag and length included.
    pub(super) issuer: &'a [u8],
    not_before: DateTime,
    not_after: DateTime,
}

// === impl Fields ===

impl<'a> Fields<'a> {
    pub(super) fn read(certificate: &'a [u8]) -> Result<Self, der::Error> {
        SliceReader::new(certificate)?.sequence(|certificate: &mut SliceReader<'a>| {
            let fields = certificate.sequence(Self::read_tbs)?;
            skip_rest(certificate)?;
            Ok(fields)
        })
    }

    fn read_tbs(tbs: &mut SliceReader<'a>) -> Result<Self, der::Error> {
        // The version, of which the oldest certificates have none.
        if matches!(Tag::peek(tbs)?, Tag::ContextSpecific { .. }) {
            tbs.tlv_bytes()?;
        }
        let _serial_number = tbs.tlv_bytes()?;
        let _signature = tbs.tlv_bytes()?;
        let issuer = tbs.tlv_bytes()?;
        let (not_before, not_after) = tbs.sequence(|validity: &mut SliceReader<'a>| {
            Ok::<_, der::Error>((time(validity)?, time(validity)?))
        })?;
        skip_rest(tbs)?;
        Ok(Self {
            issuer,
            not_before,
            not_after,
        })
    }

    /// What is wrong with it at that time, as the end of a sentence.
    pub(super) fn fault_at(&self, now: SystemTime) -> Option<String> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        if now < self.not_before.unix_duration() {
            Some(format!("is not valid before {}", self.not_before))
        } else if now > self.not_after.unix_duration() {
            Some(format!("expired at {}", self.not_after))
        } else {
            None
        }
    }
}

fn time(reader: &mut SliceReader<'_>) -> Result<DateTime, der::Error> {
    match Tag::peek(reader)? {
        Tag::UtcTime => reader.decode::<UtcTime>().map(|time| time.to_date_time()),
        _ => reader
            .decode::<GeneralizedTime>()
            .map(|time| time.to_date_time()),
    }
}

fn skip_rest<'a>(reader: &mut SliceReader<'a>) -> Result<(), der::Error> {
    while !reader.is_finished() {
        reader.tlv_bytes()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(from: i32, to: i32) -> Vec<u8> {
        let mut params = CertificateParams::new(["host".to_owned()]).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    /// The first moment of a year before 2100.
    fn year(year: u64) -> SystemTime {
        let days = (year - 1970) * 365 + (year - 1969) / 4;
        SystemTime::UNIX_EPOCH + Duration::from_secs(days * 86_400)
    }

    #[test]
    fn knows_when_a_certificate_is_valid() {
        // Up to 2049 in two digits of the year, from 2050 in four.
        for (from, to) in [(2020, 2030), (2020, 2060), (2055, 2060)] {
            let der = certificate(from, to);
            let fields = Fields::read(&der).unwrap();
            let (from, to) = (year(from as u64), year(to as u64));
            let second = Duration::from_secs(1);
            assert_eq!(fields.fault_at(from), None);
            assert_eq!(fields.fault_at(to), None);
            let early = fields.fault_at(from - second).unwrap();
            assert!(early.starts_with("is not valid before 20"), "{early}");
            let late = fields.fault_at(to + second).unwrap();
            assert!(late.starts_with("expired at 20"), "{late}");
        }
    }

    #[test]
    fn finds_the_issuer_as_servers_name_it() {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&key).unwrap();
        let mut roots = tokio_rustls::rustls::RootCertStore::empty();
        roots.add(ca.der().clone()).unwrap();
        let fields = Fields::read(ca.der()).unwrap();
        assert_eq!(fields.issuer, roots.subjects()[0].as_ref());
    }

    #[test]
    fn what_is_cut_short_is_no_certificate() {
        let der = certificate(2020, 2030);
        for len in 0..der.len() {
            assert!(Fields::read(&der[..len]).is_err(), "{len}");
        }
        assert!(Fields::read(&[0x30, 0x80, 0, 0]).is_err());
    }
}
