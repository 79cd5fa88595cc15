//! Fitting item weights.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ganmf_benches::{inputs, per_interaction};
use ganmf_core::Progress;
use ganmf_core::models::random_walk::{P3Params, fit_p3};
use ganmf_core::neighbours::pair_counts::stored::PairCounts;
use ganmf_core::neighbours::similarity::{FromDistance, Kind, Similarity};
use ganmf_core::neighbours::{KnnParams, fit_item_knn, neighbours};

fn cosine() -> KnnParams {
    KnnParams {
        topk: 100,
        similarity: Similarity::try_new(Kind::Cosine { normalize: true }, 0.0).expect("valid"),
    }
}

fn item_knn(c: &mut Criterion) {
    per_interaction(c, "ItemKNN cosine k=100", |urm| {
        fit_item_knn(urm.view(), cosine(), &Progress::new())
    });
}

fn user_knn(c: &mut Criterion) {
    per_interaction(c, "UserKNN cosine k=100", |urm| {
        let progress = Progress::new();
        let by_item = urm.view().transpose(&progress).expect("fits into memory");
        neighbours(by_item.view(), cosine(), &progress)
    });
}

fn co_occurrence(c: &mut Criterion) {
    per_interaction(c, "co-occurrence", |urm| {
        PairCounts::new(urm.view(), &Progress::new())
    });
}

fn fit_from_counts(c: &mut Criterion) {
    let euclidean = |mode| Kind::Euclidean {
        normalize: true,
        average: false,
        mode,
    };
    for (name, kind) in [
        ("cosine", Kind::Cosine { normalize: true }),
        ("jaccard", Kind::Jaccard),
        ("euclidean lin", euclidean(FromDistance::Lin)),
        ("euclidean log", euclidean(FromDistance::Log)),
        ("euclidean exp", euclidean(FromDistance::Exp)),
    ] {
        let params = KnnParams {
            topk: 100,
            similarity: Similarity::try_new(kind, 0.0).expect("valid"),
        };
        let mut group = c.benchmark_group(format!("ItemKNN {name} k=100 from counts"));
        group.sample_size(10);
        for (label, urm) in inputs() {
            let progress = Progress::new();
            let counts = PairCounts::new(urm.view(), &progress).expect("few rows");
            let pairs = urm.view().n_cols().pow(2) as u64;
            group.throughput(Throughput::Elements(pairs));
            group.bench_function(label, |b| {
                b.iter(|| counts.item_weights(params, &progress));
            });
        }
        group.finish();
    }
}

fn walks(c: &mut Criterion) {
    for (name, beta) in [("P3alpha", 0.0), ("RP3beta", 0.6)] {
        let params = P3Params {
            topk: 100,
            alpha: 1.0,
            beta,
            normalize_similarity: true,
            prune_columns: true,
        };
        per_interaction(c, &format!("{name} k=100"), |urm| {
            fit_p3(urm.view(), params, &Progress::new())
        });
    }
}

criterion_group!(
    benches,
    item_knn,
    user_knn,
    co_occurrence,
    fit_from_counts,
    walks
);
criterion_main!(benches);
