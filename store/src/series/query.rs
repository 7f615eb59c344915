//! What is computed from points, for every engine.
