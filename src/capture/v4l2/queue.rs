//! The crate's stream, used so that a time-out does not ruin it.
//!
//! The crate (0.14) has traps: its `Stream::next` queues a buffer *before* it waits, so after one time-out it
//! queues the same buffer again and fails for ever; its drop panics when the driver refuses to stop. Here
//! the stream is started by hand with one buffer held back, the file is polled first, and `next` is called
//! only when a buffer is filled.

use super::super::live::{Buffer, Grabber};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use v4l::Device;
use v4l::buffer::{Flags, Type};
use v4l::io::mmap::Stream;
use v4l::io::traits::{CaptureStream, Stream as _};

/// Buffers asked for: one is held here, the others are the driver's.
const BUFFERS: u32 = 5;
/// `POLLIN` of poll(2), which the crate's poll wants as a number.
const POLLIN: i16 = rustix::event::PollFlags::IN.bits() as i16;
/// The device is gone.
const NODEV: i32 = rustix::io::Errno::NODEV.raw_os_error();

/// A running stream, of which one buffer is always held here.
pub struct Queue {
    device: Device,
    handle: Arc<v4l::device::Handle>,
    /// Taken out only when it is dropped.
    stream: Option<Stream<'static>>,
    holding: bool,
}

impl Queue {
    /// Gets buffers from the driver and starts the stream.
    pub fn start(device: Device) -> io::Result<Self> {
        let stream = Stream::with_buffers(&device, Type::VideoCapture, BUFFERS)?;
        let mut queue = Self { handle: device.handle(), device, stream: Some(stream), holding: true };
        if let Some(stream) = &mut queue.stream {
            // Buffer 0 stays here: `next` gives back the buffer that it last took, and begins with number 0.
            for index in 1..BUFFERS as usize {
                match CaptureStream::queue(stream, index) {
                    Ok(()) => {}
                    // The driver granted fewer buffers.
                    Err(e) if index > 1 && e.kind() == io::ErrorKind::InvalidInput => break,
                    Err(e) => return Err(e),
                }
            }
            stream.start()?;
            stream.set_timeout(Duration::ZERO);
        }
        Ok(queue)
    }
}

impl Grabber for Queue {
    fn ready(&mut self, wait: Duration) -> io::Result<bool> {
        // Rounded up, so that a wait below a millisecond does not spin.
        let ms = i32::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        Ok(self.handle.poll(POLLIN, ms)? > 0)
    }

    fn take(&mut self, then: &mut dyn FnMut(Buffer<'_>, bool)) -> io::Result<()> {
        let Some(stream) = &mut self.stream else { return Err(io::ErrorKind::NotConnected.into()) };
        if !self.holding {
            // The last `next` gave its buffer away and got none. Take one without giving one; the crate
            // does not show its content, so the frame is lost, and its number will tell.
            match stream.dequeue() {
                Ok(_) => self.holding = true,
                Err(e) if nothing_there(&e) => {}
                Err(e) => return Err(e),
            }
            return Ok(());
        }
        match CaptureStream::next(stream) {
            Ok((bytes, meta)) => {
                let used = if meta.bytesused == 0 { bytes.len() } else { meta.bytesused as usize };
                let buffer = Buffer {
                    bytes: bytes.get(..used).unwrap_or(bytes),
                    sequence: meta.sequence,
                    us: micros(meta.timestamp),
                    monotonic: meta.flags & Flags::TIMESTAMP_MASK == Flags::TIMESTAMP_MONOTONIC,
                    damaged: meta.flags.contains(Flags::ERROR),
                };
                let newer = self.handle.poll(POLLIN, 0).unwrap_or(0) > 0;
                then(buffer, newer);
                Ok(())
            }
            Err(e) if nothing_there(&e) => {
                self.holding = false;
                Ok(())
            }
            Err(e) => Err(e),
        }
    }

    fn lengthens(&self) -> Option<bool> {
        super::controls::lengthens(&self.device)
    }
}

impl Drop for Queue {
    /// The crate's own drop panics when the driver refuses to stop. A stream like that is leaked instead.
    fn drop(&mut self) {
        if let Some(mut stream) = self.stream.take()
            && let Err(e) = stream.stop()
            && e.raw_os_error() != Some(NODEV)
        {
            log::error!("the camera's driver refuses to stop the stream ({e}); leaving it to the end of the program");
            std::mem::forget(stream);
        }
    }
}

/// A driver's time in microseconds.
#[allow(clippy::useless_conversion)] // `time_t` has 32 bits on armv7.
fn micros(t: v4l::Timestamp) -> i64 {
    i64::from(t.sec).saturating_mul(1_000_000).saturating_add(i64::from(t.usec))
}

/// The driver said that a buffer was ready and then had none.
fn nothing_there(e: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(e.kind(), K::WouldBlock | K::TimedOut | K::Interrupted)
}
