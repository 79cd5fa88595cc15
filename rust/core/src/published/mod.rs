//! What only reproduces published figures to the last digit; not how a list or a model is computed
//! otherwise.

pub mod neighbours;
mod order;
pub mod random_walk;
mod ranking;

pub use ranking::rank_scores;
