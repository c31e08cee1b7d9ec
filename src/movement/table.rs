//! The movement table as text: one line per face and frame, for training and for anybody's own analysis.
//!
//! Columns: `time_us, sequence, lost, face, iod_px, head_speed, roll_rate, residual, eye_opening`, then for each of the
//! 68 landmarks `x_k, y_k` (running neutral face, IOD), `dx_k, dy_k` (movement from it, IOD) and `c_k` (confidence).
//! The frame of reference is the face frame of [`crate::geometry`].
//!
//! With [`Columns::OpenFace`] they are named and measured as in the tables of OpenFace 2 (Baltrušaitis et al., 2018):
//! `frame, face_id, timestamp, confidence, success`, then all `x_k`, all `y_k` (pixels); what OpenFace does not have
//! follows: all `dx_k`, all `dy_k` (movement, IOD), and for each facial component, in place of action units, `NAME_r`, the
//! largest movement of its landmarks (IOD).

use super::{Movement, MovementConfig, MovementStage, SettingError};
use crate::frame::{Face, FaceId};
use crate::landmarks::{COUNT, Component};
use crate::time::Timestamp;
use std::io::{self, Write};

/// Most faces for which a neutral face is kept; the one seen longest ago gives way.
const FACES: usize = 16;

/// How the columns are named and ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Columns {
    /// Ours: all of a landmark together, in inter-ocular distances.
    #[default]
    Mercam,
    /// OpenFace's: landmarks in pixels; movement and components behind them.
    #[value(name = "openface")]
    OpenFace,
}

/// Writes a movement table.
pub struct MovementTable<W: Write> {
    out: W,
    config: MovementConfig,
    columns: Columns,
    stages: Vec<(FaceId, Timestamp, MovementStage)>,
}

impl<W: Write> MovementTable<W> {
    /// A table that begins with the line of column names.
    ///
    /// # Errors
    /// When a setting is out of its range, or the first line cannot be written.
    pub fn new(mut out: W, config: MovementConfig, columns: Columns) -> Result<Self, TableError> {
        config.check()?;
        match columns {
            Columns::Mercam => {
                out.write_all(b"time_us,sequence,lost,face,iod_px,head_speed,roll_rate,residual,eye_opening")?;
                for k in 0..COUNT {
                    write!(out, ",x_{k},y_{k},dx_{k},dy_{k},c_{k}")?;
                }
            }
            Columns::OpenFace => {
                out.write_all(b"frame,face_id,timestamp,confidence,success")?;
                for name in ["x", "y", "dx", "dy"] {
                    (0..COUNT).try_for_each(|k| write!(out, ",{name}_{k}"))?;
                }
                Component::ALL.into_iter().try_for_each(|c| write!(out, ",{}_r", c.name()))?;
            }
        }
        out.write_all(b"\n")?;
        Ok(Self { out, config, columns, stages: Vec::with_capacity(FACES) })
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
                match self.columns {
                    Columns::Mercam => line(&mut self.out, m, sequence)?,
                    Columns::OpenFace => open_face_line(&mut self.out, m, face, sequence)?,
                }
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

fn open_face_line(out: &mut impl Write, m: &Movement, face: &Face, sequence: u64) -> io::Result<()> {
    let confidence = m.confidence.iter().sum::<f32>() / COUNT as f32;
    // OpenFace counts frames from 1.
    write!(
        out,
        "{},{},{:.6},{confidence:.3},{}",
        sequence + 1,
        m.face.0,
        m.time.as_secs(),
        u8::from(confidence > 0.0)
    )?;
    face.landmarks.iter().try_for_each(|p| write!(out, ",{:.3}", p.x))?;
    face.landmarks.iter().try_for_each(|p| write!(out, ",{:.3}", p.y))?;
    m.shift.iter().try_for_each(|d| write!(out, ",{:.6}", d.x))?;
    m.shift.iter().try_for_each(|d| write!(out, ",{:.6}", d.y))?;
    for component in Component::ALL {
        let moved = m.shift.get(component.landmarks()).unwrap_or_default();
        write!(out, ",{:.6}", moved.iter().map(|d| d.x.hypot(d.y)).fold(0.0, f32::max))?;
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

    fn table(columns: Columns) -> String {
        let config = SyntheticConfig { pace: Pace::Fast, duration: Some(2.0), ..SyntheticConfig::default() };
        let mut source = config.build().unwrap();
        let mut frame = blank_frame();
        let mut table = MovementTable::new(Vec::new(), MovementConfig::default(), columns).unwrap();
        while source.next(&mut frame, Duration::ZERO).unwrap() == Step::Frame {
            let Content::Faces(faces) = &frame.content else { continue };
            table.write(frame.time, frame.sequence, 0, faces).unwrap();
        }
        String::from_utf8(table.out).unwrap()
    }

    #[test]
    fn a_line_has_a_value_for_every_column() {
        for (form, width) in [(Columns::Mercam, 9 + 5 * COUNT), (Columns::OpenFace, 5 + 4 * COUNT + 6)] {
            let text = table(form);
            let columns: Vec<usize> = text.lines().map(|l| l.split(',').count()).collect();
            assert!(columns.len() > 100, "{} lines", columns.len());
            assert!(columns.iter().all(|&c| c == width), "{form:?}");
            assert!(!text.contains("NaN") && !text.contains("inf"));
        }
    }

    #[test]
    fn open_face_s_columns_hold_what_their_names_say() {
        let (ours, theirs) = (table(Columns::Mercam), table(Columns::OpenFace));
        let cell = |text: &str, row: usize, name: &str| -> f64 {
            let column = text.lines().next().unwrap().split(',').position(|c| c == name).unwrap();
            text.lines().nth(row).unwrap().split(',').nth(column).unwrap().parse().unwrap()
        };
        for row in [1, 50] {
            assert_eq!(cell(&theirs, row, "frame"), cell(&ours, row, "sequence") + 1.0);
            assert_eq!((cell(&theirs, row, "timestamp") * 1e6).round(), cell(&ours, row, "time_us"));
            assert_eq!(cell(&theirs, row, "dy_48"), cell(&ours, row, "dy_48"));
            // Landmarks are in pixels: the outer corners of the eyes are further apart than the eyes.
            let apart = cell(&theirs, row, "x_45") - cell(&theirs, row, "x_36");
            assert!(apart > cell(&ours, row, "iod_px") && apart < 2.0 * cell(&ours, row, "iod_px"), "{apart}");
            let most =
                (48..68).map(|k| cell(&ours, row, &format!("dx_{k}")).hypot(cell(&ours, row, &format!("dy_{k}"))));
            assert!((most.fold(0.0, f64::max) - cell(&theirs, row, "mouth_r")).abs() < 2e-6);
        }
    }
}
