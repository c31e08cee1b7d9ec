//! Binary PGM pictures (`P5`), the simplest form of a grey picture; format: netpbm's pgm(5).

use super::rate::Size;
use crate::frame::Luma;

/// Reads a binary PGM with 8 or 16 bits per pixel, scaled to 0-255 when its maximum is another.
pub fn decode(bytes: &[u8]) -> Result<Luma, String> {
    let body = bytes.strip_prefix(b"P5").ok_or("it does not begin with P5, so it is no binary PGM")?;
    let (width, body) = number(body)?;
    let (height, body) = number(body)?;
    let (max, body) = number(body)?;
    let size = Size::new(width, height).ok_or_else(|| format!("size {width}x{height} is absurd"))?;
    if !(1..=65_535).contains(&max) {
        return Err(format!("maximum {max} is not from 1 to 65535"));
    }
    // Exactly one white space byte stands between the maximum and the pixels.
    let pixels = body.get(1..).unwrap_or(&[]);
    let each = if max > 255 { 2 } else { 1 };
    let needed = size.pixels() * each;
    let pixels =
        pixels.get(..needed).ok_or_else(|| format!("it holds {} of {needed} bytes of pixels", pixels.len()))?;
    let scale = |v: u32| (v.min(max) * 255 + max / 2) / max;
    let data = if each == 2 {
        pixels.chunks_exact(2).map(|p| scale(p.iter().fold(0, |v, &b| v << 8 | u32::from(b))) as u8).collect()
    } else if max == 255 {
        pixels.to_vec()
    } else {
        pixels.iter().map(|&v| scale(u32::from(v)) as u8).collect()
    };
    Luma::from_vec(width, height, data).ok_or_else(|| "its size does not match its pixels".to_owned())
}

/// The next decimal number after white space and comments, and what follows it.
fn number(mut rest: &[u8]) -> Result<(u32, &[u8]), String> {
    loop {
        match rest.first() {
            Some(b) if b.is_ascii_whitespace() => rest = rest.get(1..).unwrap_or(&[]),
            Some(b'#') => {
                let end = rest.iter().position(|&b| b == b'\n').ok_or("a comment in its header does not end")?;
                rest = rest.get(end..).unwrap_or(&[]);
            }
            _ => break,
        }
    }
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let (number, rest) = rest.split_at(digits);
    let number = std::str::from_utf8(number).ok().and_then(|n| n.parse().ok());
    Ok((number.ok_or("its header lacks width, height or maximum")?, rest))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn depths_and_comments_are_understood() {
        assert_eq!(decode(b"P5 2 1 255\nab").unwrap().pixels(), b"ab");
        assert_eq!(decode(b"P5\n# made by hand\n2 1\n# so\n15\n\x0f\x00").unwrap().pixels(), [255, 0]);
        assert_eq!(decode(b"P5 2 1 65535 \xff\xff\x80\x00").unwrap().pixels(), [255, 128]);
    }

    #[test]
    fn damage_is_named() {
        for (bytes, message) in [
            (&b"P2 1 1 255\n0"[..], "P5"),
            (b"P5 2 2 255\nabc", "3 of 4 bytes"),
            (b"P5 2", "lacks"),
            (b"P5 # for ever", "comment"),
            (b"P5 99999 1 255\n", "absurd"),
            (b"P5 1 1 0\n0", "maximum 0"),
        ] {
            let e = decode(bytes).unwrap_err();
            assert!(e.contains(message), "{e}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(head in "P5[ \\n#0-9a-z]{0,30}", body in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut bytes = head.into_bytes();
            bytes.extend(body);
            let _ = decode(&bytes);
        }
    }
}
