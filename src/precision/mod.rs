//! How precisely landmarks follow: films with exact truth, through the face stage and through the landmark network alone.
//!
//! What counts is movement, not place: each landmark is compared with the very point of the skin on which it lay at first,
//! and with where it was just before the movement began. [`measure`] takes a film's course, [`Take`] sums courses by
//! region of the face, [`report`] shows them.

mod course;
mod region;
pub mod report;
mod tally;

pub use course::{Course, MeasureError, measure};
pub use region::Region;
pub use report::Report;
pub use tally::{Scores, Take};
