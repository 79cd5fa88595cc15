//! Inputs shared by the criterion benches.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use ganmf_core::base::rng::Rng;
use ganmf_core::base::sparse::Duplicates;
use ganmf_core::{CsrMatrix, Progress};

/// Interactions with power-law users and items, as logs have them: no planted taste, only counts.
///
/// `nnz` cells are drawn and repeated ones kept once, so a few per cent fewer are stored.
///
/// # Panics
/// Never: the drawn indices are in range.
#[must_use]
pub fn power_law(n_users: usize, n_items: usize, nnz: usize) -> CsrMatrix {
    let draw = |stream: u64, n: usize, position: u64| {
        // Inverse of the distribution function x^(1/3): a long tail, no atom at zero.
        let unit = Rng::at(20, stream, position).unit();
        ((unit.powi(3) * n as f64) as usize).min(n - 1) as i32
    };
    let rows: Vec<i32> = (0..nnz as u64).map(|p| draw(0, n_users, p)).collect();
    let cols: Vec<i32> = (0..nnz as u64).map(|p| draw(1, n_items, p)).collect();
    let (shape, first) = ((n_users, n_items), Duplicates::First);
    CsrMatrix::from_coo(shape, &rows, &cols, None, first, &Progress::new())
        .expect("the drawn indices are in range")
}

/// The sizes every kernel is measured at: about a small and a middling public data set.
#[must_use]
pub fn inputs() -> Vec<(&'static str, CsrMatrix)> {
    vec![
        ("2k x 3k", power_law(2_000, 3_000, 100_000)),
        ("6k x 4k", power_law(6_000, 4_000, 1_000_000)),
    ]
}

/// Measure `work` on each input, with interactions per second as throughput.
pub fn per_interaction<T>(c: &mut Criterion, name: &str, work: impl Fn(&CsrMatrix) -> T) {
    let mut group = c.benchmark_group(name);
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(3));
    for (label, urm) in inputs() {
        group.throughput(Throughput::Elements(urm.view().nnz() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(label), &urm, |b, urm| {
            b.iter(|| work(urm));
        });
    }
    group.finish();
}
