//! `ganmf_fast._core`: conversion, threads, errors and thin wrappers; no arithmetic.

mod args;
mod csr;
mod csr_builder;
mod ease;
mod error;
mod ials;
mod metrics;
mod neighbours;
mod random_walk;
mod rank;
mod run;
mod sampling;
mod slim_bpr;
mod slim_elastic_net;
mod split;
mod synthetic;

use pyo3::pymodule;

/// Kernels of `ganmf_fast`, written in Rust.
#[pymodule]
mod _core {
    #[pymodule_export]
    use ganmf_core::csr::Csr;
    use ganmf_core::csr_builder::CsrBuilder;
    use ganmf_core::metrics::{bootstrap_means;
    use ganmf_core::models::ease::{fit_ease_dual;
    use ganmf_core::models::ials::{ials_half_step;
    use ganmf_core::models::slim_bpr::SlimBpr;
    use ganmf_core::models::slim_elastic_net::{fit_slim_elastic_net;
    use ganmf_core::neighbours::{PairCounts;
    use ganmf_core::random_walk::fit_p3alpha;
    use ganmf_core::rank::{             RankRequest;
    use ganmf_core::run::{get_num_threads;
    use ganmf_core::sampling::{draw_items;
    use ganmf_core::split::{             divide_cells;
    use ganmf_core::synthetic::demo_urm;
    use ganmf_core::{fit_ease_primal}, fit_knn}, ials_loss}, k_core, looks_ahead, mask_unobserved}, measure_lists, metric_names}, paper_protocol, part_cells, random_scores, rank_factors, rank_popularity, rank_product, rank_random, rank_scores, set_num_threads}, slim_elastic_net_bytes}, split_cold_users, split_cut_at, split_cut_for, split_holdout, split_k_fold, split_latest, split_leave_k_out, }};
}
