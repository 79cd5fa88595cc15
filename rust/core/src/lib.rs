//! Kernels of ganmf-fast: splitting, neighbourhood and graph models, ranking and metrics.
//!
//! Pure Rust, no Python and no `unsafe`. Every kernel takes a validated [`sparse::CsrView`], a
//! parameter struct and a [`progress::Progress`]; it returns the same bits for any number of
//! threads. Dependencies run one way:
//! `error progress rng simd <- sparse <- rows topk <- each algorithm, rank <- metrics`.

#![forbid(unsafe_code)]

pub mod accumulate;
pub mod bootstrap;
pub mod demo;
pub mod ease;
pub mod error;
mod gram;
pub mod graph;
mod inverse;
pub mod item_knn;
pub mod metrics;
pub mod progress;
pub mod published_order;
pub mod published_weights;
pub mod rank;
pub mod rng;
pub mod rows;
pub mod sampling;
pub mod simd;
pub mod slim_elastic_net;
pub mod sparse;
pub mod split;
pub mod topk;

pub use error::{Error, Result};
pub use progress::Progress;
pub use sparse::{CsrMatrix, CsrView};
