//! The movement table as text: one line per face and frame, for training and for anybody's own analysis.
//!
//! Columns: `time_us, sequence, lost, face, iod_px, head_speed, roll_rate, residual, eye_opening`, then for each of the
//! 68 landmarks `x_k, y_k` (running neutral face, IOD), `dx_k, dy_k` (movement from it, IOD) and `c_k` (confidence).
//! The frame of reference is the face frame of [`crate::geometry`].

use super::{Movement, MovementConfig, MovementStage, SettingError};
use crate::frame::{Face, FaceId};
use crate::landmarks::COUNT;
use crate::time::Timestamp;
use std::io::{self, Write};

/// Most faces for which a neutral face is kept; the one seen longest ago gives way.
const FACES: usize = 16;

/// Writes a movement table.
pub struct MovementTable<W: Write> {
    out: W,
    config: MovementConfig,
    stages: Vec<(FaceId, Timestamp, MovementStage)>,
}

impl<W: Write> MovementTable<W> {
    /// A table that begins with the line of column names.
    ///
    /// # Errors
    /// When a setting is out of its range, or the first line cannot be written.
    pub fn new(mut out: W, config: MovementConfig) -> Result<Self, TableError> {
        config.check()?;
        out.write_all(b"time_us,sequence,lost,face,iod_px,head_speed,roll_rate,residual,eye_opening")?;
        for k in 0..COUNT {
            write!(out, ",x_{k},y_{k},dx_{k},dy_{k},c_{k}")?;
        }
        out.write_all(b"\n")?;
        Ok(Self { out, config, stages: Vec::with_capacity(FACES) })
    }

    /// Adds the faces of one frame.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write(&mut self, time: Timestamp, sequence: u64, lost: u32, faces: &[Face]) -> io::Result<()> {
        for face in faces {
            let place = self.place(face.id, time).map_err(|e| io::Error::other(e.to_string()))?;
            let Some((_, seen, stage)) = self.stages.get_mut(place) else { continue };
            *seen = time;
            if let Some(m) = stage.push(time, lost, face) {
                line(&mut self.out, m, sequence)?;
            }
        }
        Ok(())
    }

    fn place(&mut self, face: FaceId, time: Timestamp) -> Result<usize, SettingError> {
        if let Some(i) = self.stages.iter().position(|(id, ..)| *id == face) {
            return Ok(i);
        }
        if self.stages.len() == FACES
            && let Some(oldest) = (0..FACES).min_by_key(|&i| self.stages[i].1)
        {
            self.stages.swap_remove(oldest);
        }
        self.stages.push((face, time, self.config.build(face)?));
        Ok(self.stages.len() - 1)
    }

    /// Writes out what is held back.
    ///
    /// # Errors
    /// When writing fails.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn line(out: &mut impl Write, m: &Movement, sequence: u64) -> io::Result<()> {
    let (h, us) = (&m.head, m.time.as_micros());
    write!(out, "{us},{sequence},{},{},{:.3}", m.lost_before, m.face.0, m.iod)?;
    write!(out, ",{:.5},{:.4},{:.6},{:.4}", h.speed, h.roll_rate, h.residual, m.eye_opening)?;
    for k in 0..COUNT {
        let (p, d) = (m.neutral[k], m.shift[k]);
        write!(out, ",{:.5},{:.5},{:.6},{:.6},{:.3}", p.x, p.y, d.x, d.y, m.confidence[k])?;
    }
    out.write_all(b"\n")
}

/// Why a table cannot be begun.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A setting is out of its range.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The file cannot be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::capture::{Source, Step, blank_frame};
    use crate::frame::Content;
    use crate::synth::{Pace, SyntheticConfig};
    use std::time::Duration;

    #[test]
    fn a_line_has_a_value_for_every_column() {
        let config = SyntheticConfig { pace: Pace::Fast, duration: Some(2.0), ..SyntheticConfig::default() };
        let mut source = config.build().unwrap();
        let mut frame = blank_frame();
        let mut table = MovementTable::new(Vec::new(), MovementConfig::default()).unwrap();
        while source.next(&mut frame, Duration::ZERO).unwrap() == Step::Frame {
            let Content::Faces(faces) = &frame.content else { continue };
            table.write(frame.time, frame.sequence, 0, faces).unwrap();
        }
        let text = String::from_utf8(table.out).unwrap();
        let columns: Vec<usize> = text.lines().map(|l| l.split(',').count()).collect();
        assert!(columns.len() > 100, "{} lines", columns.len());
        assert!(columns.iter().all(|&c| c == 9 + 5 * COUNT));
        assert!(!text.contains("NaN") && !text.contains("inf"));
    }
}
