//! Means of bootstrap resamples, of several rows of values at once.
//!
//! Objective: with `n` paired observations, draw `n` of them with replacement, take the mean of
//! each row over the same draw, and do so again and again. The same draw for all rows keeps the
//! pairing.
//!
//! Source: B. Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7,
//! 1979. Resample `b` is a function of `(seed, b)`, so that threads do not matter.
//!
//! Cost: O(resamples x n x rows) time, O(n x rows) memory; values are interleaved so that a draw
//! touches one place in memory.

use crate::base::memory::{with_room, zeros};
use crate::base::rng::Rng;
use crate::base::rows::par_map;
use crate::base::{Error, Progress, Result};
use ndarray::{Array2, ArrayView2};

/// Keeps the draws apart from those of others under the same seed.
const STREAM: u64 = 0x626f_6f74;
/// Draws between two looks at the cancel flag.
const LOOK: usize = 1 << 16;

/// The mean of every row of `values` in every resample: `(rows, resamples)`.
///
/// # Errors
/// [`Error::InvalidArgument`] if there is nothing to draw from; [`Error::Cancelled`].
pub fn bootstrap_means(
    values: ArrayView2<'_, f64>,
    n_resamples: usize,
    seed: u64,
    progress: &Progress,
) -> Result<Array2<f64>> {
    const MEANS: &str = "means of the resamples";
    let (n_rows, n) = values.dim();
    if n == 0 || n_rows == 0 {
        return Err(Error::invalid(format!(
            "values has the shape ({n_rows}, {n}); there is nothing to resample"
        )));
    }
    let out = zeros(n_rows.saturating_mul(n_resamples), MEANS)?;
    let mut out =
        Array2::from_shape_vec((n_rows, n_resamples), out).expect("one mean a row and resample");
    let mut paired = with_room(values.len(), "values by observation")?;
    paired.extend(values.t().iter().copied());
    progress.start(n_resamples as u64);
    let means = par_map(n_resamples, |b| {
        let mut rng = Rng::at(seed, STREAM, b as u64);
        let mut sums = zeros::<f64>(n_rows, MEANS)?;
        let mut left = n;
        while left > 0 {
            let block = left.min(LOOK);
            for _ in 0..block {
                // The bias is below n / 2^64.
                let at = ((u128::from(rng.next_u64()) * n as u128) >> 64) as usize;
                let there = &paired[at * n_rows..(at + 1) * n_rows];
                for (sum, value) in sums.iter_mut().zip(there) {
                    *sum += value;
                }
            }
            left -= block;
            progress.check()?;
        }
        progress.advance(1)?;
        Ok(sums)
    })?;
    for (b, of_resample) in means.into_iter().enumerate() {
        for (row, sum) in of_resample.into_iter().enumerate() {
            out[[row, b]] = sum / n as f64;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::base::testing::on_threads;

    fn means(values: &Array2<f64>, n: usize, seed: u64, threads: usize) -> Array2<f64> {
        on_threads(threads, || {
            bootstrap_means(values.view(), n, seed, &Progress::new())
        })
        .expect("valid")
    }

    #[test]
    fn means_of_resamples_spread_as_the_standard_error_says() {
        let values =
            Array2::from_shape_fn((2, 400), |(r, c)| ((c * 37 % 101) as f64) * (r + 1) as f64);
        let row = values.row(0);
        let mean = row.mean().expect("not empty");
        let error = row.std(0.0) / 20.0;
        let drawn = means(&values, 4000, 1, 2);
        let found = drawn.row(0);
        assert!((found.mean().expect("not empty") - mean).abs() < 5.0 * error / 4000f64.sqrt());
        assert!((found.std(0.0) / error - 1.0).abs() < 0.06);
        // The second row is twice the first, and so is every mean of the same draw.
        for (a, b) in drawn.row(0).iter().zip(drawn.row(1)) {
            assert!((2.0 * a - b).abs() < 1e-9);
        }
    }

    #[test]
    fn thread_count_does_not_change_a_resample_but_the_seed_does() {
        let values = Array2::from_shape_fn((1, 50), |(_, c)| c as f64);
        assert_eq!(means(&values, 30, 4, 1), means(&values, 30, 4, 3));
        assert_ne!(means(&values, 30, 4, 1), means(&values, 30, 5, 1));
    }

    #[test]
    fn nothing_to_resample_is_refused_and_cancelling_stops() {
        let empty = Array2::zeros((2, 0));
        assert!(bootstrap_means(empty.view(), 3, 0, &Progress::new()).is_err());
        let progress = Progress::new();
        progress.cancel();
        let stopped = bootstrap_means(array![[1.0]].view(), 3, 0, &progress);
        assert_eq!(stopped, Err(Error::Cancelled));
    }
}
