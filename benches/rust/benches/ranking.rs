//! Top-20 lists from each form of scores, and the metrics of those lists.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ganmf_benches::power_law;
use ganmf_core::base::rng::Rng;
use ganmf_core::metrics::{Metric, MetricsRequest, Popularity, measure};
use ganmf_core::neighbours::similarity::{Kind, Similarity};
use ganmf_core::neighbours::{KnnParams, fit_item_knn};
use ganmf_core::rank::{
    FactorIndex, Filter, ProductIndex, Request, Rows, popularity_order, rank_popularity,
};
use ganmf_core::{CsrMatrix, CsrView, Progress};
use ndarray::{Array2, ArrayView2};

const SHAPE: (usize, usize) = (6_000, 4_000);
const N: usize = 20;

fn top_20<'a>(seen: CsrView<'a>, users: &'a [i64]) -> Request<'a> {
    let filter = Filter {
        seen: Some(seen),
        ..Filter::default()
    };
    Request::try_new(SHAPE, users, N, filter).expect("the request is valid")
}

fn random_factors(rows: usize, stream: u64) -> Array2<f32> {
    let mut rng = Rng::at(3, stream, 0);
    Array2::from_shape_fn((rows, 128), |_| rng.normal() as f32)
}

fn ranking(c: &mut Criterion) {
    let urm: CsrMatrix = power_law(SHAPE.0, SHAPE.1, 1_000_000);
    let urm = urm.view();
    let users: Vec<i64> = (0..SHAPE.0 as i64)
        .filter(|&u| urm.row_len(u as usize) > 0)
        .collect();
    let progress = Progress::new();
    let params = KnnParams {
        topk: 100,
        similarity: Similarity::try_new(Kind::Cosine { normalize: true }, 0.0).expect("valid"),
    };
    let weights = fit_item_knn(urm, params, &progress).expect("fits");
    let (p, q) = (random_factors(SHAPE.0, 0), random_factors(SHAPE.1, 1));
    let counts = urm.col_counts().expect("fits into memory");
    let popularity: Vec<f32> = counts.iter().map(|&n| n as f32).collect();

    let mut group = c.benchmark_group("6k users x 4k items");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(3))
        .throughput(Throughput::Elements(users.len() as u64));
    let (product, factors) = (
        ProductIndex::default(),
        FactorIndex::new(q.view()).expect("memory"),
    );
    let order = popularity_order(&popularity).expect("finite");
    for (name, users) in [("", &users[..]), (", one user", &users[..1])] {
        let request = top_20(urm, users);
        group.throughput(Throughput::Elements(users.len() as u64));
        group.bench_function(format!("item weights, 100 neighbours{name}"), |b| {
            b.iter(|| product.rank(urm, weights.view(), &request, &progress));
        });
        group.bench_function(format!("factors of rank 128{name}"), |b| {
            b.iter(|| factors.rank(p.view(), q.view(), Rows::ByUser, &request, &progress));
        });
        group.bench_function(format!("popularity{name}"), |b| {
            b.iter(|| rank_popularity(&popularity, &order, &request, &progress));
        });
    }
    group.throughput(Throughput::Elements(users.len() as u64));
    let lists = rank_popularity(&popularity, &order, &top_20(urm, &users), &progress);
    let lists = lists.expect("ranks");
    let lists = ArrayView2::from_shape((users.len(), N), &lists.items).expect("the shape fits");
    let of_train = Popularity::new(urm).expect("fits into memory");
    for (name, metrics, count) in [
        (
            "ndcg and map at 20",
            &[Metric::Map, Metric::Ndcg][..],
            false,
        ),
        ("every metric at 20", &Metric::ALL[..], true),
    ] {
        let wanted = MetricsRequest {
            metrics,
            cutoffs: &[20],
            popularity: count.then_some(&of_train),
            keep: true,
            count,
        };
        group.bench_function(name, |b| {
            b.iter(|| measure(lists, urm, &users, wanted, &progress));
        });
    }
    group.finish();
}

criterion_group!(benches, ranking);
criterion_main!(benches);
