#![no_main]
use mercam::packet::{Inbox, Incoming};

/// What a broker may send: packets or an error, the same in whatever pieces it comes, and never much memory.
fn check(data: &[u8]) {
    let receive = |pieces: usize| {
        let (mut inbox, mut got) = (Inbox::default(), Vec::<Incoming>::new());
        for piece in data.chunks(pieces) {
            inbox.extend(piece);
            loop {
                match inbox.take() {
                    Ok(Some(packet)) => got.push(packet),
                    Ok(None) => break,
                    Err(e) => return (got, Some(e)),
                }
            }
        }
        (got, None)
    };
    assert_eq!(receive(data.len().max(1)), receive(3));
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));
