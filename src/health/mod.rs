//! Counters, stalls, and what the process can say about itself.
