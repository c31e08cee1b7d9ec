//! Just enough of the FlatBuffers wire format to read a TFLite file, with every access checked.
//!
//! A file comes from a disk or a package: no offset, length or type in it is trusted. Nothing here follows
//! references by itself, so a file that refers to itself cannot make it run for ever.
//! Format: flatbuffers documentation, "FlatBuffer Internals".

/// The file says something that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

/// A shorthand for this module's results.
pub type Result<T> = std::result::Result<T, Malformed>;

fn outside(what: &str, at: usize) -> Malformed {
    Malformed(format!("{what} at byte {at} lies outside the file"))
}

fn array<const N: usize>(bytes: &[u8], at: usize, what: &str) -> Result<[u8; N]> {
    at.checked_add(N)
        .and_then(|end| bytes.get(at..end))
        .and_then(|s| s.try_into().ok())
        .ok_or_else(|| outside(what, at))
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16> {
    array(bytes, at, "a number").map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    array(bytes, at, "a number").map(u32::from_le_bytes)
}

/// Follows the unsigned offset stored at `at`.
fn follow(bytes: &[u8], at: usize) -> Result<usize> {
    let offset = u32_at(bytes, at)? as usize;
    match at.checked_add(offset) {
        Some(to) if offset != 0 && to < bytes.len() => Ok(to),
        _ => Err(outside("a reference", at)),
    }
}

/// A table: numbered fields, each of which may be absent.
#[derive(Debug, Clone, Copy)]
pub struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
    vtable: usize,
    /// Length of the vtable in bytes.
    vtable_len: usize,
}

impl<'a> Table<'a> {
    /// The root table of a file whose identifier must be `identifier`.
    pub fn root(bytes: &'a [u8], identifier: &[u8; 4]) -> Result<Self> {
        let found: [u8; 4] = array(bytes, 4, "the file identifier")?;
        if found != *identifier {
            return Err(Malformed(format!("the file identifier is {found:02x?}, not {identifier:02x?}")));
        }
        Self::at(bytes, follow(bytes, 0)?)
    }

    fn at(bytes: &'a [u8], at: usize) -> Result<Self> {
        let back = i32::from_le_bytes(array(bytes, at, "a table")?);
        let vtable = i64::try_from(at)
            .ok()
            .and_then(|at| usize::try_from(at - i64::from(back)).ok())
            .ok_or_else(|| outside("a field list", at))?;
        let vtable_len = usize::from(u16_at(bytes, vtable)?);
        if vtable_len < 4 || vtable.checked_add(vtable_len).is_none_or(|end| end > bytes.len()) {
            return Err(outside("a field list", vtable));
        }
        Ok(Self { bytes, at, vtable, vtable_len })
    }

    /// Where the value of field `id` lies; `None` when it is absent.
    fn field(&self, id: usize) -> Result<Option<usize>> {
        let slot = 4 + 2 * id;
        if slot + 2 > self.vtable_len {
            return Ok(None);
        }
        let offset = usize::from(u16_at(self.bytes, self.vtable + slot)?);
        Ok((offset != 0).then_some(self.at + offset))
    }

    /// An 8-bit field.
    pub fn u8(&self, id: usize, default: u8) -> Result<u8> {
        self.field(id)?.map_or(Ok(default), |at| array::<1>(self.bytes, at, "a byte").map(|b| b[0]))
    }

    /// A 32-bit signed field.
    pub fn i32(&self, id: usize, default: i32) -> Result<i32> {
        self.field(id)?.map_or(Ok(default), |at| array(self.bytes, at, "a number").map(i32::from_le_bytes))
    }

    /// A 32-bit unsigned field.
    pub fn u32(&self, id: usize, default: u32) -> Result<u32> {
        self.field(id)?.map_or(Ok(default), |at| u32_at(self.bytes, at))
    }

    /// A table field.
    pub fn table(&self, id: usize) -> Result<Option<Self>> {
        self.field(id)?.map(|at| Self::at(self.bytes, follow(self.bytes, at)?)).transpose()
    }

    /// Start and number of elements of a vector field whose elements take `size` bytes.
    fn vector(&self, id: usize, size: usize) -> Result<(usize, usize)> {
        let Some(field) = self.field(id)? else { return Ok((0, 0)) };
        let at = follow(self.bytes, field)?;
        let n = u32_at(self.bytes, at)? as usize;
        let start = at + 4;
        match n.checked_mul(size).and_then(|len| start.checked_add(len)) {
            Some(end) if end <= self.bytes.len() => Ok((start, n)),
            _ => Err(outside("a list", at)),
        }
    }

    /// A vector of bytes; empty when absent.
    pub fn bytes(&self, id: usize) -> Result<&'a [u8]> {
        let (start, n) = self.vector(id, 1)?;
        self.bytes.get(start..start + n).ok_or_else(|| outside("bytes", start))
    }

    /// A string; empty when absent.
    pub fn string(&self, id: usize) -> Result<&'a str> {
        std::str::from_utf8(self.bytes(id)?).map_err(|_| Malformed("a name is not UTF-8".into()))
    }

    /// A vector of 32-bit signed numbers; empty when absent.
    pub fn i32s(&self, id: usize) -> Result<Vec<i32>> {
        let (start, n) = self.vector(id, 4)?;
        let slice = self.bytes.get(start..start + 4 * n).ok_or_else(|| outside("numbers", start))?;
        Ok(slice.as_chunks::<4>().0.iter().map(|b| i32::from_le_bytes(*b)).collect())
    }

    /// A vector of tables; empty when absent.
    pub fn tables(&self, id: usize) -> Result<Vec<Self>> {
        let (start, n) = self.vector(id, 4)?;
        (0..n).map(|i| Self::at(self.bytes, follow(self.bytes, start + 4 * i)?)).collect()
    }
}
