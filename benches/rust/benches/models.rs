//! Fitting item weights.

use criterion::{Criterion, criterion_group, criterion_main};
use ganmf_benches::per_interaction;
use ganmf_core::Progress;
use ganmf_core::graph::{P3Params, fit_p3};
use ganmf_core::item_knn::{CosineParams, fit_cosine};

fn item_knn(c: &mut Criterion) {
    let params = CosineParams {
        topk: 100,
        shrink: 0.0,
        normalize: true,
    };
    per_interaction(c, "ItemKNN cosine k=100", |urm| {
        fit_cosine(urm.view(), params, &Progress::new())
    });
}

fn p3alpha(c: &mut Criterion) {
    let params = P3Params {
        topk: 100,
        alpha: 1.0,
        beta: 0.0,
        normalize_similarity: true,
        prune_columns: true,
    };
    per_interaction(c, "P3alpha k=100", |urm| {
        fit_p3(urm.view(), params, &Progress::new())
    });
}

criterion_group!(benches, item_knn, p3alpha);
criterion_main!(benches);
