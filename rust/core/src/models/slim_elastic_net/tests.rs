use super::*;
use crate::base::rng::Rng;
use crate::base::testing::on_threads;
use proptest::prelude::*;

/// A random matrix of few users and items, some of them empty; with values if `weighted`.
fn matrix(seed: u64, users: usize, items: usize, share: f64, weighted: bool) -> CsrMatrix {
    let (mut indptr, mut indices, mut values) = (vec![0i64], Vec::new(), Vec::new());
    for u in 0..users {
        for i in 0..items {
            let at = (u * items + i) as u64;
            if u % 7 != 3 && i % 9 != 5 && Rng::at(seed, 0, at).unit() < share {
                indices.push(i as i32);
                values.push(0.5 + Rng::at(seed, 1, at).unit() as f32);
            }
        }
        indptr.push(indices.len() as i64);
    }
    CsrMatrix::try_new(items, indptr, indices, weighted.then_some(values)).expect("valid")
}

fn dense(m: CsrView) -> Vec<Vec<f64>> {
    (0..m.n_rows())
        .map(|r| {
            let mut row = vec![0.0; m.n_cols()];
            for (c, x) in m.row(r) {
                row[c] = f64::from(x);
            }
            row
        })
        .collect()
}

const EXACT: SlimParams = SlimParams {
    topk: 1000,
    positive_only: true,
    tol: 1e-5,
    max_iter: 20_000,
};

fn fit(urm: &CsrMatrix, p: Penalty, params: SlimParams, dense: bool) -> SlimFit {
    fit_with(urm.view(), &[p], params, dense, &Progress::new())
        .expect("fits")
        .remove(0)
}

/// The largest miss of the optimality conditions, by the dense definition.
fn kkt_miss(urm: &CsrMatrix, w: &CsrMatrix, p: Penalty, positive: bool) -> f64 {
    let x = dense(urm.view());
    let w = dense(w.view());
    let n = urm.view().n_cols();
    let users = x.len() as f64;
    let (l1, l2) = (
        p.alpha * p.l1_ratio * users,
        p.alpha * (1.0 - p.l1_ratio) * users,
    );
    let mut worst = 0f64;
    for j in 0..n {
        assert_eq!(w[j][j], 0.0, "item {j} speaks for itself");
        let residual: Vec<f64> = x
            .iter()
            .map(|row| row[j] - row.iter().zip(&w).map(|(a, v)| a * v[j]).sum::<f64>())
            .collect();
        let dot = |i: usize, r: &dyn Fn(usize) -> f64| -> f64 {
            x.iter().enumerate().map(|(u, row)| row[i] * r(u)).sum()
        };
        let scale = (0..n)
            .filter(|&i| i != j)
            .map(|i| dot(i, &|u| x[u][j]))
            .fold(0.0, f64::max);
        for i in (0..n).filter(|&i| i != j) {
            let slope = dot(i, &|u| residual[u]) - l2 * w[i][j];
            let miss = if w[i][j] != 0.0 {
                (slope - l1 * w[i][j].signum()).abs()
            } else if positive {
                (slope - l1).max(0.0)
            } else {
                (slope.abs() - l1).max(0.0)
            };
            if positive {
                assert!(w[i][j] >= 0.0, "a negative weight");
            }
            if scale > 0.0 {
                worst = worst.max(miss / scale);
            } else {
                assert_eq!(w[i][j], 0.0, "a weight out of nothing");
            }
        }
    }
    worst
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn solutions_satisfy_the_optimality_conditions(
        seed in 0u64..1000, users in 1usize..40, items in 1usize..50, share in 0.02f64..0.9,
        weighted: bool, positive: bool, whole: bool, loose: bool, strength in -3f64..-0.5,
        l1_ratio in 0.01f64..0.95,
    ) {
        let urm = matrix(seed, users, items, share, weighted);
        let p = Penalty { alpha: 10f64.powf(strength), l1_ratio };
        let tol = if loose { 2e-3 } else { EXACT.tol };
        let params = SlimParams { positive_only: positive, tol, ..EXACT };
        let found = fit(&urm, p, params, whole);
        prop_assert_eq!(found.unconverged, 0);
        // The weights themselves are rounded to f32.
        prop_assert!(kkt_miss(&urm, &found.weights, p, positive) < tol + 4e-5);
    }
}

#[test]
fn changes_of_the_last_sweep_do_not_add_up_to_more_than_the_tolerance() {
    // Many items that resemble each other, all with a weight.
    let urm = matrix(19, 12, 31, 0.832_912_777_842_531_3, false);
    let p = Penalty {
        alpha: 10f64.powf(-1.186_275_338_415_912),
        l1_ratio: 0.01,
    };
    for whole in [true, false] {
        for tol in [2e-3, 5e-4, 2e-4] {
            let params = SlimParams {
                positive_only: false,
                tol,
                ..EXACT
            };
            let found = fit(&urm, p, params, whole);
            assert!(kkt_miss(&urm, &found.weights, p, false) < tol);
        }
    }
}

#[test]
fn items_without_a_user_in_common_get_negative_weights_in_both_forms() {
    // Item 2 has no user in common with item 1, and one with item 0, which explains item 1.
    let urm = CsrMatrix::try_new(7, vec![0, 2, 4], vec![0, 1, 0, 2], None).expect("valid");
    let p = Penalty {
        alpha: 0.01,
        l1_ratio: 0.5,
    };
    for whole in [true, false] {
        for tol in [2e-3, EXACT.tol] {
            let params = SlimParams {
                positive_only: false,
                tol,
                ..EXACT
            };
            let found = fit(&urm, p, params, whole);
            assert!(found.weights.view().row(2).any(|(i, w)| i == 1 && w < -0.9));
            assert!(kkt_miss(&urm, &found.weights, p, false) < tol + 4e-5);
        }
    }
}

#[test]
fn many_items_go_through_growing_working_sets_in_both_forms() {
    let urm = matrix(5, 120, 400, 0.3, false);
    for positive in [true, false] {
        for whole in [true, false] {
            let p = Penalty {
                alpha: 1e-2,
                l1_ratio: 0.1,
            };
            let params = SlimParams {
                positive_only: positive,
                ..EXACT
            };
            let found = fit(&urm, p, params, whole);
            assert_eq!(found.unconverged, 0);
            assert!(found.weights.view().nnz() > 400 * 3, "too easy a problem");
            assert!(kkt_miss(&urm, &found.weights, p, positive) < 5e-5);
        }
    }
}

#[test]
fn a_warm_start_ends_where_a_cold_one_does() {
    let urm = matrix(2, 60, 80, 0.2, false);
    let penalties: Vec<Penalty> = [(0.01, 0.5), (0.1, 0.1), (0.02, 0.9), (0.005, 0.01)]
        .map(|(alpha, l1_ratio)| Penalty { alpha, l1_ratio })
        .to_vec();
    for whole in [true, false] {
        for positive in [true, false] {
            let params = SlimParams {
                positive_only: positive,
                ..EXACT
            };
            let path =
                fit_with(urm.view(), &penalties, params, whole, &Progress::new()).expect("fits");
            for (&p, warm) in penalties.iter().zip(path) {
                let cold = fit(&urm, p, params, whole);
                let (a, b) = (dense(warm.weights.view()), dense(cold.weights.view()));
                for (x, y) in a.iter().flatten().zip(b.iter().flatten()) {
                    assert!((x - y).abs() < 2e-3, "{x} and {y}");
                }
                assert!(kkt_miss(&urm, &warm.weights, p, positive) < 5e-5);
            }
        }
    }
}

#[test]
fn thread_count_does_not_change_the_result() {
    let urm = matrix(3, 80, 150, 0.2, false);
    let p = Penalty {
        alpha: 1e-3,
        l1_ratio: 0.1,
    };
    for whole in [true, false] {
        let with = |threads| on_threads(threads, || fit(&urm, p, EXACT, whole));
        let one = with(1);
        assert!(one.weights.view().nnz() > 0);
        assert_eq!(one, with(2));
        assert_eq!(one, with(5));
    }
}

#[test]
fn the_largest_weights_are_kept_whatever_their_sign() {
    let urm = matrix(4, 60, 40, 0.3, true);
    let p = Penalty {
        alpha: 1e-3,
        l1_ratio: 0.1,
    };
    let signed = SlimParams {
        positive_only: false,
        ..EXACT
    };
    let by_target = |params| {
        let weights = fit(&urm, p, params, true).weights;
        weights.view().transpose(&Progress::new()).expect("small")
    };
    let all = by_target(signed);
    let cut = by_target(SlimParams { topk: 3, ..signed });
    assert!(
        all.view()
            .values()
            .expect("weights")
            .iter()
            .any(|&w| w < 0.0)
    );
    for j in 0..40 {
        let mut sizes: Vec<f32> = all.view().row(j).map(|(_, w)| w.abs()).collect();
        sizes.sort_by(|a, b| b.total_cmp(a));
        let mut kept: Vec<f32> = cut.view().row(j).map(|(_, w)| w.abs()).collect();
        kept.sort_by(|a, b| b.total_cmp(a));
        assert_eq!(kept, sizes[..kept.len()]);
        assert_eq!(kept.len(), sizes.len().min(3));
    }
}

#[test]
fn too_few_sweeps_are_counted_and_a_cancelled_fit_stops() {
    let urm = matrix(6, 60, 60, 0.5, false);
    let p = Penalty {
        alpha: 1e-5,
        l1_ratio: 0.1,
    };
    let short = SlimParams {
        max_iter: 1,
        ..EXACT
    };
    assert!(fit(&urm, p, short, true).unconverged > 40);
    let progress = Progress::new();
    progress.cancel();
    let stopped = fit_path(urm.view(), &[p], EXACT, &progress);
    assert_eq!(stopped, Err(Error::Cancelled));
}

#[test]
fn parameters_outside_their_domain_are_named() {
    let urm = matrix(1, 5, 5, 0.5, false);
    let refused = |alpha, l1_ratio, params: SlimParams| {
        fit_path(
            urm.view(),
            &[Penalty { alpha, l1_ratio }],
            params,
            &Progress::new(),
        )
        .expect_err("must be refused")
        .to_string()
    };
    assert!(refused(-1.0, 0.5, EXACT).contains("alpha must be"));
    assert!(refused(1.0, 1.5, EXACT).contains("l1_ratio must be"));
    assert!(refused(1.0, 0.5, SlimParams { tol: 0.0, ..EXACT }).contains("tol must be"));
    assert!(refused(1.0, 0.5, SlimParams { topk: 0, ..EXACT }).contains("topk must be"));
}
