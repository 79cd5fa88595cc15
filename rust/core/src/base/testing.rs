//! What unit tests share.

use super::rng::Rng;
use super::sparse::CsrMatrix;

/// A matrix of ones whose cells are stored with probability `density`.
pub(crate) fn random_rows(seed: u64, (n_rows, n_cols): (usize, usize), density: f64) -> CsrMatrix {
    let mut indptr = vec![0];
    let mut indices = Vec::new();
    for row in 0..n_rows {
        let mut rng = Rng::at(seed, 0, row as u64);
        indices.extend((0..n_cols as i32).filter(|_| rng.unit() < density));
        indptr.push(indices.len() as i64);
    }
    CsrMatrix::from_parts(n_cols, indptr, indices, None)
}

/// Run `work` on a pool of so many threads.
pub(crate) fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .expect("a pool")
        .install(work)
}
