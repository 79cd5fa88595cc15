//! Neighbours of columns that were not fitted, among those that were.
//!
//! Objective: for each new target the `topk` most similar fitted columns, with the similarities
//! that a fit with this one column more would compute. Weights of interactions are those of the
//! fit: rarity and mean length do not count the new column.
//! Cost: for each target the sum of the lengths of its rows; euclidean looks at all columns.

use super::weighting::{Weighting, Weights};
use super::{KnnParams, SIZES, squared_norms};
use crate::base::accumulate::Accumulator;
use crate::base::memory::{joined, zeros};
use crate::base::rows::build_rows;
use crate::base::topk::{Scored, check_topk};
use crate::base::{CsrMatrix, CsrView, Error, Progress, Result};

/// New targets x columns of `fitted`; row t holds the neighbours of target t.
///
/// `targets` holds one row for each new column: its cells over the rows of `fitted`.
///
/// # Errors
/// [`Error::InvalidArgument`] for a parameter outside its domain or shapes that do not fit,
/// `Cancelled`.
pub fn neighbours_of(
    fitted: CsrView,
    targets: CsrView,
    params: KnnParams,
    weighting: Option<Weighting>,
    progress: &Progress,
) -> Result<CsrMatrix> {
    let KnnParams { topk, similarity } = params;
    check_topk(topk)?;
    if targets.n_cols() != fitted.n_rows() {
        return Err(Error::invalid(format!(
            "targets has {} columns but fitted has {} rows",
            targets.n_cols(),
            fitted.n_rows()
        )));
    }
    let weighted = weighting.map(|weighting| {
        let weights = Weights::new(fitted, weighting)?;
        Ok((weights.of_columns(fitted)?, weights.of_rows(targets)?))
    });
    let weighted = weighted.transpose()?;
    let (mut fitted, mut targets) = match &weighted {
        Some((fitted, targets)) => (fitted.view(), targets.view()),
        None => (fitted, targets),
    };
    if similarity.is_binary() {
        (fitted, targets) = (fitted.without_values(), targets.without_values());
    }
    let n = fitted.n_cols();
    let mut of_fitted = zeros::<f64>(n, SIZES)?;
    for row in 0..fitted.n_rows() {
        for (i, x) in fitted.row(row) {
            of_fitted[i] += f64::from(x).powi(2);
        }
    }
    let sizes = joined(&[of_fitted, squared_norms(targets)?], SIZES)?;
    let measure = similarity.prepare(&sizes, fitted.n_rows())?;
    build_rows(
        (targets.n_rows(), n),
        progress,
        || Ok((Accumulator::new(n)?, Vec::<Scored>::new())),
        |(dots, best), t, out| {
            for (row, x) in targets.row(t) {
                dots.reserve(fitted.row_len(row))?;
                for (i, xi) in fitted.row(row) {
                    dots.add(i as i32, f64::from(xi) * f64::from(x));
                }
            }
            if similarity.reaches_all() {
                dots.reserve(n)?;
                (0..n).for_each(|i| dots.add(i as i32, 0.0));
            }
            dots.drain_into(best, |i, dot| measure.score(dot, i, n + t))?;
            best.retain(|s| s.score > 0.0);
            out.push_top(best, topk)
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::testing::on_threads;
    use crate::neighbours::neighbours;
    use crate::neighbours::similarity::{FromDistance, Kind, Similarity};
    use crate::neighbours::tests::{KINDS, skewed};
    use crate::neighbours::weighting::weighted;

    fn kinds() -> Vec<Kind> {
        let distances =
            [(true, false), (false, true)].map(|(normalize, average)| Kind::Euclidean {
                normalize,
                average,
                mode: FromDistance::Log,
            });
        KINDS.into_iter().chain(distances).collect()
    }

    /// All columns but the first, which is popular, and that one as a row.
    fn parted(urm: &CsrMatrix) -> (CsrMatrix, CsrMatrix) {
        let items = urm.view().transpose(&Progress::new()).expect("small");
        let items = items.view();
        let part = |range: std::ops::Range<usize>| {
            let cells = items.range(range.start).start..items.range(range.end - 1).end;
            let first = cells.start as i64;
            let indptr = &items.indptr()[range.start..=range.end];
            let values = items.values().map(|v| v[cells.clone()].to_vec());
            let indptr = indptr.iter().map(|p| p - first).collect();
            let indices = items.indices()[cells].to_vec();
            CsrMatrix::try_new(items.n_cols(), indptr, indices, values).expect("valid")
        };
        let fitted = part(1..items.n_rows());
        let fitted = fitted.view().transpose(&Progress::new()).expect("small");
        (fitted, part(0..1))
    }

    #[test]
    fn a_new_target_has_the_neighbours_of_a_fit_with_it() {
        for values in [false, true] {
            let urm = skewed(120, 41, values);
            let (fitted, target) = parted(&urm);
            for kind in kinds() {
                let similarity = Similarity::try_new(kind, 2.0).expect("valid");
                let params = KnnParams {
                    topk: 7,
                    similarity,
                };
                let progress = Progress::new();
                let all = neighbours(urm.view(), params, &progress).expect("fits");
                let new = neighbours_of(fitted.view(), target.view(), params, None, &progress)
                    .expect("fits");
                let found: Vec<_> = new.view().row(0).map(|(i, s)| (i + 1, s)).collect();
                assert_eq!(found.len(), 7);
                assert_eq!(found, all.view().row(0).collect::<Vec<_>>(), "{kind:?}");
            }
        }
    }

    #[test]
    fn a_fitted_column_has_its_neighbours_and_itself() {
        let urm = skewed(120, 40, true);
        let targets = urm.view().transpose(&Progress::new()).expect("small");
        for weighting in [Weighting::TfIdf, Weighting::Bm25] {
            let weighted = weighted(urm.view(), weighting).expect("small");
            for kind in kinds() {
                let similarity = Similarity::try_new(kind, 0.5).expect("valid");
                let params = KnnParams {
                    topk: 40,
                    similarity,
                };
                let progress = Progress::new();
                let fit = neighbours(weighted.view(), params, &progress).expect("fits");
                let new = [1, 3].map(|threads| {
                    on_threads(threads, || {
                        let (urm, targets) = (urm.view(), targets.view());
                        neighbours_of(urm, targets, params, Some(weighting), &progress)
                            .expect("fits")
                    })
                });
                assert_eq!(new[0], new[1]);
                for j in (0..40).filter(|&j| targets.view().row_len(j) > 0) {
                    let others: Vec<_> = new[0].view().row(j).filter(|&(i, _)| i != j).collect();
                    assert_eq!(others, fit.view().row(j).collect::<Vec<_>>(), "{kind:?}");
                }
            }
        }
    }

    #[test]
    fn an_empty_target_has_no_neighbours_and_shapes_must_fit() {
        let urm = skewed(30, 12, false);
        let params = KnnParams {
            topk: 3,
            similarity: Similarity::try_new(kinds()[7], 0.0).expect("valid"),
        };
        let none = CsrMatrix::try_new(30, vec![0, 0], vec![], None).expect("valid");
        let progress = Progress::new();
        let found = neighbours_of(urm.view(), none.view(), params, None, &progress);
        assert_eq!(found.expect("fits").view().nnz(), 0);
        let narrow = CsrMatrix::try_new(29, vec![0, 0], vec![], None).expect("valid");
        let error = neighbours_of(urm.view(), narrow.view(), params, None, &progress);
        assert!(
            error
                .expect_err("refused")
                .to_string()
                .contains("29 columns")
        );
    }
}
