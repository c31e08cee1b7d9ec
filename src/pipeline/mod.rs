//! Capture, analysis and sink threads, and the channels between them.
