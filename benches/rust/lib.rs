//! Inputs shared by the criterion benches.
