//! Kernels of ganmf-fast: splitting, neighbourhood and other item models, ranking and metrics.
//!
//! Pure Rust, no Python and no `unsafe`. Every kernel takes a validated [`CsrView`], a parameter
//! struct and a [`Progress`]; it returns the same bits for any number of threads. Dependencies run
//! one way: `base <- linalg, neighbours, rank <- models <- published`; `split`, `metrics`,
//! `bootstrap`, `sampling` and `synthetic` stand on `base` alone.

#![forbid(unsafe_code)]

pub mod base;
pub mod bootstrap;
pub mod delimited;
pub mod linalg;
pub mod metrics;
pub mod models;
pub mod neighbours;
#[cfg(test)]
mod properties;
pub mod published;
pub mod rank;
pub mod sampling;
pub mod split;
pub mod synthetic;

pub use base::{CsrMatrix, CsrView, Error, Progress, Result};
