//! The truth beside a video: one JSON object with the events, and one line for each frame with landmarks and action
//! units.
//!
//! ```json
//! {"mercam":"truth","version":1,"name":"clip","seconds":20.0,"fps":100.0,"width":640,"height":480,"iod":90.0,
//!  "seed":1,"take":{...},"events":[{"kind":"micro","class":"positive","units":[...],"onset":...}],
//!  "disturbances":[{"kind":"occlusion","onset":...,"offset":...}],"frames":[
//! {"us":0,"seq":0,"landmarks":[[[x,y],...]],"units":[[12,0.1,0.1]],"lids":0.0},
//! ...
//! ]}
//! ```
//! Times are microseconds of the video. `landmarks` has one list of 68 pairs for each face, in pixels; `units` are
//! number, strength on the subject's right and on the left, 1 being full strength.

use super::film::Film;
use super::recipe::Take;
use crate::geometry::Px;
use crate::landmarks::PerLandmark;
use crate::time::Timestamp;
use serde::Serialize;
use std::io::{self, Write};

/// What the format calls itself.
pub const FORMAT: &str = "truth";
/// The version that is written and read.
pub const VERSION: u32 = 1;

/// Everything before the events.
#[derive(Serialize)]
struct Head<'a> {
    mercam: &'a str,
    version: u32,
    name: &'a str,
    seconds: f64,
    fps: f64,
    width: u32,
    height: u32,
    iod: f32,
    seed: u64,
    take: &'a Take,
}

/// One frame.
#[derive(Serialize)]
struct Row {
    us: Timestamp,
    seq: u64,
    landmarks: Vec<Vec<Px>>,
    units: Vec<(u8, f32, f32)>,
    lids: f32,
}

/// Writes a truth file, frame by frame.
#[derive(Debug)]
pub struct TruthWriter<W: Write> {
    out: W,
    rows: u64,
}

impl<W: Write> TruthWriter<W> {
    /// Begins the file with what is known before the first frame; `size` is that of the pictures, 0 without any.
    ///
    /// # Errors
    /// Whatever writing brings.
    pub fn new(
        mut out: W,
        name: &str,
        take: &Take,
        seed: u64,
        film: &Film,
        (width, height): (u32, u32),
    ) -> io::Result<Self> {
        let head = Head {
            mercam: FORMAT,
            version: VERSION,
            name,
            seconds: film.seconds(),
            fps: film.fps(),
            width,
            height,
            iod: film.iod(),
            seed,
            take,
        };
        let head = serde_json::to_string(&head)?;
        let events = serde_json::to_string(film.events())?;
        let disturbances = serde_json::to_string(film.disturbances())?;
        let open = head.strip_suffix('}').unwrap_or(&head);
        write!(out, "{open},\"events\":{events},\n\"disturbances\":{disturbances},\n\"frames\":[")?;
        Ok(Self { out, rows: 0 })
    }

    /// Adds the frame that `film` delivered last.
    ///
    /// # Errors
    /// Whatever writing brings.
    pub fn write(&mut self, time: Timestamp, sequence: u64, film: &Film) -> io::Result<()> {
        let activation = film.activation();
        let units = activation.map_or(&[][..], |a| &a.units);
        let row = Row {
            us: time,
            seq: sequence,
            landmarks: film.landmarks().iter().map(|p: &PerLandmark<Px>| p.to_vec()).collect(),
            units: units.iter().map(|&(au, right, left)| (au.number(), right, left)).collect(),
            lids: activation.map_or(0.0, |a| a.lids),
        };
        self.out.write_all(if self.rows == 0 { b"\n" } else { b",\n" })?;
        self.rows += 1;
        serde_json::to_writer(&mut self.out, &row)?;
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// Whatever writing brings.
    pub fn finish(mut self) -> io::Result<()> {
        self.out.write_all(b"\n]}\n")?;
        self.out.flush()
    }
}
