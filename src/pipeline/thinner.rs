//! Leaves frames out on purpose, when the board is too hot to analyse all of them.

use crate::frame::Frame;

/// Lets one of several frames through.
///
/// Frames that are left out on purpose are not lost: the numbers of those that pass are closed up, so that a gap in them
/// still means a loss. To the stations behind it the camera is simply a slower one.
#[derive(Debug, Default)]
pub struct Thinner {
    /// Frames still to be left out before the next one passes.
    due: u32,
    left_out: u64,
}

impl Thinner {
    /// Whether `frame` passes when `n` frames are to be left out after each one that does; gives it its new number.
    pub fn passes(&mut self, frame: &mut Frame, n: u32) -> bool {
        if self.due.min(n) > 0 {
            self.due = self.due.min(n) - 1;
            self.left_out += 1;
            return false;
        }
        self.due = n;
        frame.sequence = frame.sequence.saturating_sub(self.left_out);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::blank_frame;

    /// Numbers that pass, new and old.
    fn pass(thinner: &mut Thinner, numbers: &[u64], n: u32) -> Vec<(u64, u64)> {
        let mut frame = blank_frame();
        let mut passed = vec![];
        for &old in numbers {
            frame.sequence = old;
            if thinner.passes(&mut frame, n) {
                passed.push((frame.sequence, old));
            }
        }
        passed
    }

    #[test]
    fn what_is_left_out_leaves_no_gap_and_what_is_lost_does() {
        let mut thinner = Thinner::default();
        assert_eq!(pass(&mut thinner, &[0, 1, 2], 0), [(0, 0), (1, 1), (2, 2)]);
        assert_eq!(pass(&mut thinner, &[3, 4, 5, 6, 7], 1), [(3, 3), (4, 5), (5, 7)]);
        // Frames 9 and 10 were lost by the camera: the gap of two stays.
        assert_eq!(pass(&mut thinner, &[8, 11, 12, 13], 1), [(8, 11), (9, 13)]);
        assert_eq!(pass(&mut thinner, &[14, 15, 16], 0), [(10, 14), (11, 15), (12, 16)]);
    }
}
