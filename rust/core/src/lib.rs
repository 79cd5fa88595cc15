//! Kernels of ganmf-fast: splitting, neighbourhood and graph models, ranking and metrics.
//!
//! Pure Rust, no Python and no `unsafe`. Every kernel takes a validated [`sparse::CsrView`], a
//! parameter struct and a [`progress::Progress`]; it returns the same bits for any number of
//! threads. Dependencies run one way:
//! `error progress rng simd <- sparse <- rows topk <- each algorithm, rank <- metrics`.

#![forbid(unsafe_code)]

pub mod accumulate;
pub mod bootstrap;
pub mod cooccurrence;
mod cuts;
pub mod delimited;
pub mod demo;
pub mod ease;
mod elementary;
pub mod error;
mod formulas;
mod gram;
pub mod graph;
pub mod ials;
pub mod ingest;
mod inverse;
pub mod knn;
pub mod metrics;
mod overlap;
pub mod progress;
pub mod published_order;
pub mod published_weights;
pub mod random;
pub mod rank;
pub mod rng;
pub mod rows;
pub mod sampling;
mod shelves;
pub mod simd;
pub mod similarity;
pub mod slim_bpr;
pub mod slim_elastic_net;
pub mod sparse;
pub mod split;
pub mod topk;
pub mod weighting;

pub use error::{Error, Result};
pub use progress::Progress;
pub use sparse::{CsrMatrix, CsrView};
