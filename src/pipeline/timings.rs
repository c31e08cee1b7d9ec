//! How long each station takes, as histograms of constant memory.

use hdrhistogram::Histogram;
use std::time::Duration;

/// The stations that are timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timed {
    /// Face detection, anchors and Lucas-Kanade.
    Face,
    /// Registration and spotting.
    Spotting,
    /// Recognition, only in frames in which the model ran.
    DereGrl,
    /// A whole frame, without the source.
    Frame,
    /// The source.
    Source,
}

impl Timed {
    /// All stations, in the order of the line.
    pub const ALL: [Self; 5] = [Self::Source, Self::Face, Self::Spotting, Self::DereGrl, Self::Frame];

    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Face => "face (detect, anchor, track)",
            Self::Spotting => "movement and spotting",
            Self::DereGrl => "DeRe-GRL (frames with a movement)",
            Self::Frame => "analysis of a frame, all",
        }
    }

    /// The name that programs read.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Face => "face",
            Self::Spotting => "spotting",
            Self::DereGrl => "dere_grl",
            Self::Frame => "frame",
        }
    }

    /// The name as a label of metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Face => "face",
            Self::Spotting => "spotting",
            Self::DereGrl => "dere_grl",
            Self::Frame => "frame",
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Source => 0,
            Self::Face => 1,
            Self::Spotting => 2,
            Self::DereGrl => 3,
            Self::Frame => 4,
        }
    }
}

/// One histogram per station, in microseconds, three significant digits, up to ten seconds.
#[derive(Debug)]
pub struct StageTimes([Option<Histogram<u64>>; 5]);

impl Default for StageTimes {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Histogram::new_with_bounds(1, 10_000_000, 3).ok()))
    }
}

impl StageTimes {
    /// Notes one run of a station.
    pub fn add(&mut self, station: Timed, time: Duration) {
        if let Some(h) = &mut self.0[station.index()] {
            h.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        }
    }

    /// The histogram of a station; `None` when it never ran.
    pub fn of(&self, station: Timed) -> Option<&Histogram<u64>> {
        self.0[station.index()].as_ref().filter(|h| !h.is_empty())
    }
}
