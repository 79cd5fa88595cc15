//! `ganmf_fast._core`: conversion, threads, errors and thin wrappers; no arithmetic.

mod csr;
mod error;
mod run;

use pyo3::pymodule;

/// Kernels of `ganmf_fast`, written in Rust.
#[pymodule]
mod _core {
    #[pymodule_export]
    use crate::csr::Csr;
    #[pymodule_export]
    use crate::run::{get_num_threads, set_num_threads};
}
