//! Cuts a stream of bytes into frames and finds its way again after any damage.

use super::{DecodeError, Envelope, Format, MAX_FRAME, Message, text};

/// What a [`Deframer`] has seen so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Messages handed out: events and, on acknowledged lines, acknowledgements.
    pub good: u64,
    /// Stretches between delimiters that were not an undamaged event: damaged frames, noise, and the tail of the
    /// frame in which the receiver joined.
    pub bad: u64,
    /// Undamaged frames of a version that this reader does not know.
    pub foreign: u64,
}

/// Takes bytes as they arrive, in pieces of any size, and gives the events in them.
///
/// A damaged byte costs the frame that it is in and no other; a check of 32 bits stands between noise and a
/// false event. It holds at most two frames' worth of bytes.
#[derive(Debug)]
pub struct Deframer {
    format: Format,
    held: Vec<u8>,
    counts: Counts,
}

impl Deframer {
    /// A deframer at an unknown place of the stream.
    pub fn new(format: Format) -> Self {
        Self { format, held: Vec::with_capacity(2 * MAX_FRAME), counts: Counts::default() }
    }

    /// What it has seen so far.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Takes the next bytes and calls `event` for every event that they complete.
    pub fn push(&mut self, bytes: &[u8], mut event: impl FnMut(Envelope)) {
        self.messages(bytes, |m| m.into_event().into_iter().for_each(&mut event));
    }

    /// Takes the next bytes and calls `message` for every frame of any kind that they complete.
    pub fn messages(&mut self, bytes: &[u8], mut message: impl FnMut(Message)) {
        let delimiter = self.format.delimiter();
        let mut pieces = bytes.split(|b| *b == delimiter);
        // `split` gives at least one piece; each further one begins behind a delimiter.
        if let Some(first) = pieces.next() {
            self.hold(first);
        }
        for piece in pieces {
            self.finish(&mut message);
            self.hold(piece);
        }
    }

    /// Keeps the newest bytes: a whole frame is never longer than [`MAX_FRAME`], so what is older belongs to
    /// damage, and a frame that follows it without a delimiter is still found.
    fn hold(&mut self, piece: &[u8]) {
        for part in piece.chunks(MAX_FRAME) {
            if self.held.len() + part.len() > 2 * MAX_FRAME {
                let surplus = self.held.len().saturating_sub(MAX_FRAME);
                self.held.drain(..surplus);
            }
            self.held.extend_from_slice(part);
        }
    }

    fn finish(&mut self, message: &mut impl FnMut(Message)) {
        if self.held.is_empty() || (self.format == Format::Text && self.held == b"\r") {
            self.held.clear();
            return;
        }
        match self.format.message(&self.held) {
            Ok(found) => self.good(found, message),
            Err(DecodeError::Version(_)) => self.counts.foreign += 1,
            Err(_) => {
                self.counts.bad += 1;
                if self.format == Format::Text {
                    match text::decode_tail(&self.held) {
                        Some(Ok(envelope)) => self.good(Message::Event(envelope), message),
                        Some(Err(_)) => self.counts.foreign += 1,
                        None => {}
                    }
                }
            }
        }
        self.held.clear();
    }

    fn good(&mut self, found: Message, message: &mut impl FnMut(Message)) {
        self.counts.good += 1;
        message(found);
    }
}
