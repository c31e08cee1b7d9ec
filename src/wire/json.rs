//! One event as one line of JSON: what `stdout`, files and hosts read.

use super::{DecodeError, EncodeError, Envelope, READS, finite};
use serde::Deserialize;

/// Appends the event as JSON, without a line end. The JSON holds no line end either.
///
/// # Errors
/// When a number is not finite.
pub fn encode(envelope: &Envelope, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if let Some(name) = finite::first_not_finite(&envelope.event) {
        return Err(EncodeError::NotFinite(name));
    }
    serde_json::to_writer(out, envelope).map_err(|e| EncodeError::Serialise(e.to_string()))
}

/// Reads one line of this or an earlier version. White space around it is allowed; keys that this version does not
/// know are passed over, so that a later mercam of the same version may say more.
///
/// # Errors
/// When it is of another version, or no event.
pub fn decode(line: &[u8]) -> Result<Envelope, DecodeError> {
    #[derive(Deserialize)]
    struct OnlyVersion {
        v: u8,
    }
    let wrong = |e: serde_json::Error| DecodeError::Content(e.to_string());
    let OnlyVersion { v } = serde_json::from_slice(line).map_err(wrong)?;
    if !READS.contains(&v) {
        return Err(DecodeError::Version(v));
    }
    let envelope: Envelope = serde_json::from_slice(line).map_err(wrong)?;
    match finite::first_not_finite(&envelope.event) {
        Some(name) => Err(DecodeError::NotFinite(name)),
        None => Ok(envelope),
    }
}
