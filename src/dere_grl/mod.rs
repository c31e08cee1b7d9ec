//! DeRe-GRL: the graph network that recognises a movement and says why, run by tract.
//!
//! A re-implementation after the abstract of Wei et al., IEICE Trans. Inf. & Syst. E106-D(10), 2023.
