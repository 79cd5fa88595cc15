//! Fitting item weights.

use criterion::{Criterion, criterion_group, criterion_main};
use ganmf_benches::per_interaction;
use ganmf_core::Progress;
use ganmf_core::graph::{P3Params, fit_p3};
use ganmf_core::knn::{KnnParams, fit_item_knn};
use ganmf_core::similarity::{Kind, Similarity};

fn item_knn(c: &mut Criterion) {
    let params = KnnParams {
        topk: 100,
        similarity: Similarity::try_new(Kind::Cosine { normalize: true }, 0.0).expect("valid"),
    };
    per_interaction(c, "ItemKNN cosine k=100", |urm| {
        fit_item_knn(urm.view(), params, &Progress::new())
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
