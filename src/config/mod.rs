//! The configuration: file, then environment, then flags.
