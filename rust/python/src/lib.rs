//! `ganmf_fast._core`: conversion, threads, errors and thin wrappers; no arithmetic.

mod adversarial_mf;
mod args;
mod bpr_mf;
mod cdae;
mod csr;
mod csr_builder;
mod delimited;
mod ease;
mod error;
mod graph_gan;
mod ials;
mod metrics;
mod neighbours;
mod product;
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
    use crate::{
        adversarial_mf::AdversarialMf,
        bpr_mf::{BprMf, BprRule, bpr_fold_in},
        cdae::Cdae,
        csr::{Csr, cell_order},
        csr_builder::CsrBuilder,
        delimited::DelimitedReader,
        ease::{fit_ease_dual, fit_ease_primal},
        graph_gan::GraphGan,
        ials::{ials_half_step, ials_loss},
        metrics::{bootstrap_means, measure_lists, metric_names},
        neighbours::{PairCounts, fit_knn, knn_of_new},
        product::{dense_product, sparse_product},
        random_walk::fit_p3alpha,
        rank::{
            FactorIndex, ProductIndex, RankRequest, popularity_order, random_scores,
            rank_popularity, rank_random, rank_scores,
        },
        run::{available_memory, get_num_threads, set_num_threads},
        sampling::{draw_items, mask_unobserved},
        slim_bpr::SlimBpr,
        slim_elastic_net::{fit_slim_elastic_net, slim_elastic_net_bytes},
        split::{
            divide_cells, k_core, looks_ahead, paper_protocol, part_cells, split_cold_users,
            split_cut_at, split_cut_for, split_holdout, split_k_fold, split_latest,
            split_leave_k_out,
        },
        synthetic::demo_urm,
    };
}
