//! `ganmf_fast._core`: conversion, threads, errors and thin wrappers; no arithmetic.

mod csr;
mod error;
mod models;
mod rank;
mod run;

use pyo3::pymodule;

/// Kernels of `ganmf_fast`, written in Rust.
#[pymodule]
mod _core {
    #[pymodule_export]
    use crate::csr::Csr;
    #[pymodule_export]
    use crate::models::{fit_item_knn_cosine, fit_p3alpha};
    #[pymodule_export]
    use crate::rank::{rank_factors, rank_item_weights, rank_popularity, rank_scores};
    #[pymodule_export]
    use crate::run::{get_num_threads, set_num_threads};
}
