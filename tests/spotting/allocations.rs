//! Counts allocations of this thread: after warm-up the analysis makes none.

#![allow(unsafe_code)] // a global allocator cannot be written without

use crate::generator::{Person, Recipe};
use mercam::spotting::AnalysisConfig;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on unchanged to the system's allocator; counting touches only a thread-local
// cell that needs neither construction nor destruction.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        unsafe { System.dealloc(p, layout) }
    }
    unsafe fn realloc(&self, p: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        unsafe { System.realloc(p, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn nothing_is_allocated_after_the_first_frames_of_a_face() {
    let mut person = Person::new(Recipe { seconds: 40.0, fps: 200.0, ..Recipe::default() });
    assert!(!person.micros(0.012, 0.04).is_empty());
    person.blinks();
    let film = person.film();
    let mut analysis = AnalysisConfig::default().build().unwrap();
    let mut out = Vec::with_capacity(16);
    let (mut spotted, mut before) = (0, COUNT.get());
    for (k, step) in film.iter().enumerate() {
        // A second face comes, leaves after two seconds and its memory serves a third.
        let mut other = step.face.clone();
        other.id.0 = if k < 400 { 8 } else { 9 };
        let faces = [step.face.clone(), other];
        let seen = if (400..=900).contains(&k) { &faces[..1] } else { &faces[..] };
        if k == 10 {
            before = COUNT.get();
        }
        analysis.push(step.time, step.lost_before, seen, &mut out);
        spotted += out.len();
        out.clear();
    }
    assert!(spotted > 10, "the loop must do real work");
    assert_eq!(COUNT.get() - before, 0, "allocations in the frame loop");
}
