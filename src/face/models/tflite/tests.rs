#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;
use proptest::prelude::*;

/// Writes a flatbuffer by hand: enough for a network of one PReLU between input and output.
pub(in crate::face::models) struct Writer(pub Vec<u8>);

impl Writer {
    fn u16(&mut self, v: u16) {
        self.0.extend(v.to_le_bytes());
    }
    fn u32(&mut self, v: u32) {
        self.0.extend(v.to_le_bytes());
    }
    fn here(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap()
    }
    /// Lets the offset stored at `slot` point here.
    fn point(&mut self, slot: u32) {
        let to = self.here() - slot;
        self.0[slot as usize..slot as usize + 4].copy_from_slice(&to.to_le_bytes());
    }
    /// A table whose fields all take four bytes; returns the positions of the values.
    fn table(&mut self, fields: &[Option<u32>]) -> Vec<u32> {
        let vtable = self.here();
        let len = 4 + 2 * u16::try_from(fields.len()).unwrap();
        self.u16(len);
        self.u16(4 + 4 * u16::try_from(fields.iter().flatten().count()).unwrap());
        let mut offset = 4;
        for f in fields {
            self.u16(if f.is_some() { offset } else { 0 });
            offset += if f.is_some() { 4 } else { 0 };
        }
        let table = self.here();
        self.u32(table - vtable);
        fields
            .iter()
            .flatten()
            .map(|v| {
                let at = self.here();
                self.u32(*v);
                at
            })
            .collect()
    }
    fn table_at(&mut self, slot: u32, fields: &[Option<u32>]) -> Vec<u32> {
        let vtable_len = 4 + 2 * fields.len();
        let to = self.here() + vtable_len as u32 - slot;
        self.0[slot as usize..slot as usize + 4].copy_from_slice(&to.to_le_bytes());
        self.table(fields)
    }
    fn vector(&mut self, slot: u32, values: &[u32]) -> Vec<u32> {
        self.point(slot);
        self.u32(values.len() as u32);
        values
            .iter()
            .map(|v| {
                let at = self.here();
                self.u32(*v);
                at
            })
            .collect()
    }
    fn string(&mut self, slot: u32, s: &[u8]) {
        self.point(slot);
        self.u32(s.len() as u32);
        self.0.extend(s);
        while !self.0.len().is_multiple_of(4) {
            self.0.push(0);
        }
    }
}

/// A network: PReLU with these slopes on an input `[1, 2, 2, slopes]`.
pub(in crate::face::models) fn prelu_file(slopes: &[f32]) -> Vec<u8> {
    let c = slopes.len() as u32;
    let mut w = Writer(Vec::new());
    w.u32(0);
    w.0.extend(b"TFL3");
    let m = w.table_at(0, &[Some(3), Some(0), Some(0), None, Some(0)]);
    let codes = w.vector(m[1], &[0]);
    w.table_at(codes[0], &[Some(54), None, None, Some(54)]);
    let graphs = w.vector(m[2], &[0]);
    let g = w.table_at(graphs[0], &[Some(0), Some(0), Some(0), Some(0)]);
    let tensors = w.vector(g[0], &[0, 0, 0]);
    for (i, slot) in tensors.into_iter().enumerate() {
        let t = w.table_at(slot, &[Some(0), Some(0), Some(u32::from(i == 1)), Some(0)]);
        if i == 1 {
            w.vector(t[0], &[1, 1, c])
        } else {
            w.vector(t[0], &[1, 2, 2, c])
        };
        w.string(t[3], [b"in", b"al", b"ou"][i]);
    }
    w.vector(g[1], &[0]);
    w.vector(g[2], &[2]);
    let operators = w.vector(g[3], &[0]);
    let o = w.table_at(operators[0], &[Some(0), Some(0), Some(0)]);
    w.vector(o[1], &[0, 1]);
    w.vector(o[2], &[2]);
    let buffers = w.vector(m[3], &[0, 0]);
    w.table_at(buffers[0], &[]);
    let b = w.table_at(buffers[1], &[Some(0)]);
    let bytes: Vec<u8> = slopes.iter().flat_map(|v| v.to_le_bytes()).collect();
    w.string(b[0], &bytes);
    w.0
}

#[test]
fn a_small_network_is_read() {
    let m = Model::parse(&prelu_file(&[0.25, -2.0, 3.5])).unwrap();
    assert_eq!((m.input, &m.outputs[..]), (0, &[2][..]));
    assert_eq!(m.tensors[1].floats().unwrap(), &[0.25, -2.0, 3.5]);
    assert_eq!(m.tensors[0].shape, [1, 2, 2, 3]);
    assert_eq!(m.operators, [Operator { kind: Kind::Prelu, inputs: vec![Some(0), Some(1)], output: 2 }]);
}

#[test]
fn half_precision_is_widened_exactly() {
    for (bits, value) in [
        (0x3c00, 1.0),
        (0xc000, -2.0),
        (0x3555, 0.333_251_95),
        (0x0001, 5.960_464_5e-8),
        (0x7bff, 65504.0),
        (0x8000, -0.0),
    ] {
        assert_eq!(half(bits), value, "{bits:04x}");
    }
    assert!(half(0x7c00).is_infinite() && half(0x7c01).is_nan());
}

#[test]
fn what_is_wrong_is_named() {
    let text = Model::parse(b"\x08\0\0\0TFL2........").unwrap_err().to_string();
    assert!(text.contains("identifier"), "{text}");
    let text = Model::parse(&prelu_file(&[f32::NAN])).unwrap_err().to_string();
    assert!(text.contains("al: a value is not finite"), "{text}");
}

proptest! {
    #[test]
    fn damaged_files_give_errors_or_networks_but_never_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        truncate in any::<bool>(),
    ) {
        let mut file = prelu_file(&[0.25, -2.0, 3.5]);
        for (i, b) in flips {
            let i = i.index(file.len());
            file[i] = b;
        }
        if truncate {
            file.truncate(cut.index(file.len()));
        }
        if let Ok(model) = Model::parse(&file) {
            let _ = super::super::convert::to_onnx(&model);
        }
    }

    #[test]
    fn noise_is_refused(noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut file = vec![8, 0, 0, 0];
        file.extend(b"TFL3");
        file.extend(&noise);
        if let Ok(model) = Model::parse(&file) {
            prop_assert!(model.operators.is_empty());
        }
    }
}
