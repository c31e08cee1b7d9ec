//! mercam

fn main() {}
