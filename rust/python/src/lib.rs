//! `ganmf_fast._core`: conversion, threads, errors and thin wrappers; no arithmetic.

mod args;
mod csr;
mod delimited;
mod demo;
mod ease;
mod error;
mod factors;
mod ingest;
mod metrics;
mod models;
mod rank;
mod run;
mod sampling;
mod slim;
mod slim_bpr;
mod split;

use pyo3::pymodule;

/// Kernels of `ganmf_fast`, written in Rust.
#[pymodule]
mod _core {
    #[pymodule_export]
    use crate::csr::Csr;
    #[pymodule_export]
    use crate::delimited::DelimitedReader;
    #[pymodule_export]
    use crate::demo::demo_urm;
    #[pymodule_export]
    use crate::ease::{fit_ease_dual, fit_ease_primal};
    #[pymodule_export]
    use crate::factors::{ials_half_step, ials_loss};
    #[pymodule_export]
    use crate::ingest::CsrBuilder;
    #[pymodule_export]
    use crate::metrics::{bootstrap_means, measure_lists, metric_names};
    #[pymodule_export]
    use crate::models::{PairCounts, fit_knn, fit_p3alpha};
    #[pymodule_export]
    use crate::rank::{
        random_scores, rank_factors, rank_popularity, rank_product, rank_random, rank_scores,
    };
    #[pymodule_export]
    use crate::run::{get_num_threads, set_num_threads};
    #[pymodule_export]
    use crate::sampling::{draw_items, mask_unobserved};
    #[pymodule_export]
    use crate::slim::{fit_slim_elastic_net, slim_elastic_net_bytes};
    #[pymodule_export]
    use crate::slim_bpr::SlimBpr;
    #[pymodule_export]
    use crate::split::{
        divide_cells, k_core, looks_ahead, paper_protocol, part_cells, split_cold_users,
        split_cut_at, split_cut_for, split_holdout, split_k_fold, split_latest, split_leave_k_out,
    };
}
