//! Alternating least squares, and sampled learning of item weights.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ganmf_benches::inputs;
use ganmf_core::Progress;
use ganmf_core::base::rng::Rng;
use ganmf_core::models::ials::{Confidence, IalsParams, Solver, half_step};
use ganmf_core::models::slim_bpr::{Sgd, SlimBpr, SlimBprParams, Storage};
use ndarray::Array2;

fn wrmf_users(c: &mut Criterion) {
    for (name, solver) in [
        ("cg 3", Solver::ConjugateGradient(3)),
        ("cholesky", Solver::Cholesky),
    ] {
        let mut group = c.benchmark_group(format!("WRMF users K=128 {name}"));
        group
            .sample_size(10)
            .measurement_time(Duration::from_secs(3));
        let params = IalsParams {
            alpha: 1.0,
            confidence: Confidence::Linear,
            reg: 0.01,
            reg_exponent: 0.0,
            solver,
        };
        for (label, urm) in inputs() {
            let mut rng = Rng::at(1, 0, 0);
            let items = Array2::from_shape_fn((urm.view().n_cols(), 128), |_| rng.normal() as f32);
            group.throughput(Throughput::Elements(urm.view().nnz() as u64));
            group.bench_with_input(BenchmarkId::from_parameter(label), &urm, |b, urm| {
                b.iter(|| half_step(urm.view(), items.view(), None, &params, &Progress::new()));
            });
        }
        group.finish();
    }
}

fn slim_bpr(c: &mut Criterion) {
    const SAMPLES: u64 = 20_000;
    let mut group = c.benchmark_group("SLIM-BPR samples");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(3))
        .throughput(Throughput::Elements(SAMPLES));
    for (label, urm) in inputs() {
        let params = SlimBprParams {
            symmetric: true,
            sgd: Sgd::Adagrad,
            lambda_i: 1e-4,
            lambda_j: 1e-4,
            learning_rate: 0.01,
            published_quirks: false,
            seed: 0,
            storage: Storage::Dense,
        };
        let mut model =
            SlimBpr::new(urm.view(), params, &Progress::new()).expect("the parameters are valid");
        group.bench_function(BenchmarkId::from_parameter(label), |b| {
            b.iter(|| model.run(SAMPLES, &Progress::new()));
        });
    }
    group.finish();
}

criterion_group!(benches, wrmf_users, slim_bpr);
criterion_main!(benches);
