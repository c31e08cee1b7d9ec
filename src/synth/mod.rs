//! Synthetic faces with exact truth.
