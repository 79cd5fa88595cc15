//! Splitting interactions into parts that share no cell.
//!
//! Objective: a rule gives every stored cell of a matrix a *label*, the number of its part, and
//! [`divide()`] writes the parts, all of the shape of the matrix, in one pass. Rules:
//!
//! | rule | labels |
//! |---|---|
//! | [`holdout`] | 1 for a fraction or a number of cells, of every user or of all |
//! | [`leave_k_out`] | 1 for `k` cells of every user who has more than `k` |
//! | [`k_fold`] | the number of the fold |
//! | [`latest_of_users`], [`cut_at`] | 1 for the latest cells of every user, or from a moment on |
//! | [`cold_users`] | 0 for training users, 1 and 2 for profile and target of the others |
//! | [`k_core()`] | 1 for cells of users and items that keep enough interactions |
//!
//! and [`paper_protocol`] makes the five sets of the GANMF paper.
//!
//! Guarantee: a draw is a pure function of `(seed, row, place in the row)`, so that neither threads
//! nor the order in which cells were read change a label; rows and columns are numbered by id.
//!
//! Source: choosing `k` of `n` in one pass is algorithm S of Knuth, "The Art of Computer
//! Programming", vol. 2, 3.4.2: the next cell is taken with probability (still to take) / (still to
//! come), which makes every subset equally likely.
//!
//! Deviation: the probability is compared with 64 random bits and is off by less than n / 2^64.
//!
//! Cost: one draw a cell, no scratch besides one byte a cell for the labels.

mod cold;
mod divide;
mod k_core;
mod labels;
mod paper;
mod random;
mod temporal;

pub use cold::cold_users;
pub use divide::{divide, part};
pub use k_core::{Core, k_core};
pub use labels::Size;
pub use paper::{PaperSplits, paper_protocol};
pub use random::{holdout, k_fold, leave_k_out};
pub use temporal::{cut_at, cut_for, latest_of_users, looks_ahead};
