//! One record as bytes: `magic | length u32 | kind u8 | id u64 | time i64 | payload | CRC-32`, little-endian.
//!
//! Every record names itself, so that one damaged record costs no other: a reader looks for the next magic.

/// What every record begins with.
const MAGIC: [u8; 4] = *b"mREC";
/// Bytes before the payload.
const HEAD: usize = 4 + 4 + 1 + 8 + 8;
/// Bytes behind it.
const TAIL: usize = 4;
const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);

/// The longest payload in bytes.
pub const MAX_PAYLOAD: usize = 65_536;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Something to be delivered.
    Data,
    /// Everything up to this id has been dealt with.
    Done,
}

/// A record found in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found<'a> {
    pub kind: Kind,
    pub id: u64,
    pub unix_ms: i64,
    pub payload: &'a [u8],
    /// Bytes from the magic to the end of the check.
    pub length: usize,
}

/// Bytes that a payload of this length takes in a segment.
pub(super) const fn length(payload: usize) -> usize {
    HEAD + payload + TAIL
}

/// Appends a record.
pub(super) fn write(out: &mut Vec<u8>, kind: Kind, id: u64, unix_ms: i64, payload: &[u8]) {
    let start = out.len();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.push(match kind {
        Kind::Data => 1,
        Kind::Done => 2,
    });
    out.extend_from_slice(&id.to_le_bytes());
    out.extend_from_slice(&unix_ms.to_le_bytes());
    out.extend_from_slice(payload);
    let check = CRC.checksum(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&check.to_le_bytes());
}

/// The record at the beginning of `bytes`, if there is an undamaged one.
pub(super) fn read(bytes: &[u8]) -> Option<Found<'_>> {
    let rest = bytes.strip_prefix(&MAGIC)?;
    let (size, rest) = rest.split_first_chunk::<4>()?;
    let size = usize::try_from(u32::from_le_bytes(*size)).ok().filter(|n| *n <= MAX_PAYLOAD)?;
    let (kind, rest) = rest.split_first()?;
    let (id, rest) = rest.split_first_chunk::<8>()?;
    let (unix_ms, rest) = rest.split_first_chunk::<8>()?;
    let (payload, rest) = rest.split_at_checked(size)?;
    let (stated, _) = rest.split_first_chunk::<TAIL>()?;
    if CRC.checksum(bytes.get(..HEAD + size)?) != u32::from_le_bytes(*stated) {
        return None;
    }
    let kind = match kind {
        1 => Kind::Data,
        2 => Kind::Done,
        _ => return None,
    };
    let (id, unix_ms) = (u64::from_le_bytes(*id), i64::from_le_bytes(*unix_ms));
    Some(Found { kind, id, unix_ms, payload, length: length(size) })
}

/// Where the next record may begin, after the beginning of `bytes` was none.
pub(super) fn next(bytes: &[u8]) -> Option<usize> {
    bytes.windows(MAGIC.len()).skip(1).position(|w| w == MAGIC).map(|i| i + 1)
}
