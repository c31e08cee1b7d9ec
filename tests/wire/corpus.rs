//! What the fuzzer has found worth keeping (`fuzz/corpus`, and inputs that once failed) holds today.

use std::fs;
use std::path::Path;

#[path = "../../fuzz/checks.rs"]
mod checks;

fn replay(target: &str, least: usize, check: fn(&[u8])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let inputs: Vec<_> = fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(inputs.len() >= least, "{} inputs in {}", inputs.len(), dir.display());
    for input in inputs {
        eprintln!("{}", input.display()); // shown when it fails
        check(&fs::read(&input).unwrap());
    }
}

#[test]
fn what_the_fuzzer_has_found_is_taken_or_refused_as_it_should_be() {
    replay("deframe", 40, checks::deframe);
    replay("frame", 40, checks::frame);
    replay("json", 17, checks::line);
}
