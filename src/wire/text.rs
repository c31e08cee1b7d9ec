//! The text form for serial lines: the JSON line, ` *`, the CRC-32 of the JSON as eight capital hexadecimal
//! digits, a line end. The star before the check is the habit of NMEA 0183 devices.

use super::{CRC, DecodeError, EncodeError, Envelope, json};

/// ` *` and eight digits.
const SUFFIX: usize = 10;
/// What every frame begins with, and what is looked for when a line end was lost.
const HEAD: &[u8] = b"{\"v\":";
/// How many beginnings are tried in one damaged line. More than one are there only when a line end was lost;
/// the bound keeps a hostile line from costing its square.
const TRIES: usize = 4;

pub(super) fn encode(envelope: &Envelope, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let start = out.len();
    json::encode(envelope, out)?;
    let check = CRC.checksum(out.get(start..).unwrap_or_default());
    out.extend_from_slice(format!(" *{check:08X}\n").as_bytes());
    Ok(())
}

/// Decodes a line; a `\r` at its end is allowed, because terminals and adapters add one.
pub(super) fn decode(line: &[u8]) -> Result<Envelope, DecodeError> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let (content, suffix) = line
        .len()
        .checked_sub(SUFFIX)
        .and_then(|n| line.split_at_checked(n))
        .ok_or(DecodeError::Frame("shorter than its check"))?;
    let digits = suffix.strip_prefix(b" *").ok_or(DecodeError::Frame("no ` *` before the check"))?;
    let stated = hexadecimal(digits).ok_or(DecodeError::Frame("the check is not 8 capital hexadecimal digits"))?;
    let computed = CRC.checksum(content);
    if computed != stated {
        return Err(DecodeError::Checksum { computed, stated });
    }
    json::decode(content)
}

/// Decodes the last frame of a line whose beginning belongs to something else: noise, or a frame that lost its
/// line end.
pub(super) fn decode_tail(line: &[u8]) -> Option<Result<Envelope, DecodeError>> {
    let mut end = line.len();
    for _ in 0..TRIES {
        let at = line.get(..end)?.windows(HEAD.len()).rposition(|w| w == HEAD)?;
        match decode(line.get(at..)?) {
            Ok(envelope) => return Some(Ok(envelope)),
            Err(DecodeError::Version(v)) => return Some(Err(DecodeError::Version(v))),
            Err(_) => end = at + HEAD.len() - 1,
        }
    }
    None
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0u32, |value, d| {
        let nibble = match d {
            b'0'..=b'9' => d - b'0',
            b'A'..=b'F' => d - b'A' + 10,
            _ => return None,
        };
        Some((value << 4) | u32::from(nibble))
    })
}
