use super::*;
use crate::base::CsrMatrix;
use crate::base::rng::Rng;
use crate::base::testing::on_threads;

fn matrix(users: usize, items: usize, share: f64, weighted: bool) -> CsrMatrix {
    let (mut indptr, mut indices, mut values) = (vec![0i64], Vec::new(), Vec::new());
    for u in 0..users {
        for i in 0..items {
            let at = (u * items + i) as u64;
            if u % 11 != 3 && i % 13 != 5 && Rng::at(1, 0, at).unit() < share {
                indices.push(i as i32);
                values.push(0.5 + Rng::at(1, 1, at).unit() as f32);
            }
        }
        indptr.push(indices.len() as i64);
    }
    CsrMatrix::try_new(items, indptr, indices, weighted.then_some(values)).expect("valid")
}

/// The largest miss of the conditions for the minimum: `(G B)_ij + l2 B_ij = G_ij` off the
/// diagonal.
fn miss(urm: &CsrMatrix, b: &[f32], l2: f64) -> f64 {
    let urm = urm.view();
    let n = urm.n_cols();
    let mut gram = vec![0f64; n * n];
    for u in 0..urm.n_rows() {
        for (i, x) in urm.row(u) {
            for (k, y) in urm.row(u) {
                gram[i * n + k] += f64::from(x) * f64::from(y);
            }
        }
    }
    let mut worst = 0f64;
    for i in 0..n {
        assert_eq!(b[i * n + i], 0.0);
        for j in (0..n).filter(|&j| j != i) {
            let product: f64 = (0..n)
                .map(|k| gram[i * n + k] * f64::from(b[k * n + j]))
                .sum();
            worst = worst.max((product + l2 * f64::from(b[i * n + j]) - gram[i * n + j]).abs());
        }
    }
    worst / gram.iter().fold(1f64, |a, &g| a.max(g))
}

#[test]
fn weights_solve_the_normal_equations_over_several_tiles() {
    for (users, items, weighted, l2) in [
        (90, 300, false, 20.0),
        (400, 290, true, 50.0),
        (300, 70, false, 0.01),
        (1, 1, false, 1.0),
        (5, 1, false, 1.0),
        (1, 5, true, 1.0),
    ] {
        let urm = matrix(users, items, 0.2, weighted);
        let b = fit_primal(urm.view(), l2, 0.0, &Progress::new()).expect("fits");
        assert!(
            miss(&urm, &b, l2) < 1e-5,
            "{users} x {items}: {}",
            miss(&urm, &b, l2)
        );
    }
}

#[test]
fn both_precisions_are_used_and_agree() {
    let urm = matrix(300, 280, 0.2, false);
    let p = Progress::new();
    let items = urm.view().transpose(&p).expect("small");
    let bound = |l2| condition(urm.view(), items.view(), l2).expect("small");
    assert!(bound(100.0) < CONDITION && bound(1e-3) > CONDITION);
    let single = primal_inverse(urm.view(), items.view(), 100.0, |x| x as f32, &p).expect("f32");
    let double = primal_inverse(urm.view(), items.view(), 100.0, |x| x, &p).expect("f64");
    let single = weights(single, f64::from, |_| 1.0, &p).expect("weights");
    let double = weights(double, |x| x, |_| 1.0, &p).expect("weights");
    let largest = double.iter().fold(0f32, |a, b| a.max(b.abs()));
    for (a, b) in single.iter().zip(&double) {
        assert!((a - b).abs() < 1e-5 * largest, "{a} and {b}");
    }
}

#[test]
fn the_dual_form_scores_as_the_primal_one() {
    let urm = matrix(270, 310, 0.15, true);
    let l2 = 7.0;
    let n = 310;
    let b = fit_primal(urm.view(), l2, 0.0, &Progress::new()).expect("fits");
    let dual = fit_dual(urm.view(), l2, &Progress::new()).expect("fits");
    for u in (0..270).step_by(17) {
        let mut projected = vec![0f64; n];
        for v in 0..270 {
            for (i, x) in urm.view().row(v) {
                projected[i] += f64::from(dual.inverse[u * 270 + v]) * f64::from(x);
            }
        }
        let mut own = vec![0f64; n];
        let mut direct = vec![0f64; n];
        for (i, x) in urm.view().row(u) {
            own[i] = f64::from(x);
            for j in 0..n {
                direct[j] += f64::from(x) * f64::from(b[i * n + j]);
            }
        }
        for j in 0..n {
            let score = own[j] - projected[j] / f64::from(dual.diagonal[j]);
            assert!(
                (score - direct[j]).abs() < 1e-4,
                "{score} and {}",
                direct[j]
            );
        }
    }
}

#[test]
fn thread_count_does_not_change_the_result() {
    let urm = matrix(300, 520, 0.1, false);
    let with = |threads| {
        on_threads(threads, || {
            (
                fit_primal(urm.view(), 30.0, 0.0, &Progress::new()).expect("fits"),
                fit_dual(urm.view(), 30.0, &Progress::new()).expect("fits"),
            )
        })
    };
    let one = with(1);
    assert_eq!(one, with(2));
    assert_eq!(one, with(3));
}

#[test]
fn a_cancelled_fit_stops_and_l2_is_checked() {
    let urm = matrix(30, 40, 0.2, false);
    let progress = Progress::new();
    progress.cancel();
    assert_eq!(
        fit_primal(urm.view(), 1.0, 0.0, &progress),
        Err(Error::Cancelled)
    );
    assert_eq!(fit_dual(urm.view(), 1.0, &progress), Err(Error::Cancelled));
    for l2 in [0.0, -1.0, f64::NAN] {
        let refused =
            fit_primal(urm.view(), l2, 0.0, &Progress::new()).expect_err("must be refused");
        assert!(refused.to_string().contains("l2 must be"));
    }
}

#[test]
fn a_relaxed_diagonal_is_the_free_solution_or_at_its_bound() {
    let urm = matrix(300, 60, 0.2, false);
    let (p, l2, n) = (Progress::new(), 40.0, 60);
    let strict = fit_primal(urm.view(), l2, 0.0, &p).expect("fits");
    let free = fit_primal(urm.view(), l2, 1.0, &p).expect("fits");
    let own = |b: &[f32], j: usize| b[j * n + j];
    let mut bounds: Vec<f32> = (0..n).map(|j| own(&free, j)).collect();
    bounds.sort_by(f32::total_cmp);
    let bound = f64::from(bounds[n / 2]);
    let relaxed = fit_primal(urm.view(), l2, bound, &p).expect("fits");
    for j in 0..n {
        assert!((0.0..1.0).contains(&own(&free, j)));
        let is_free = f64::from(own(&free, j)) <= bound;
        for i in (0..n).filter(|&i| i != j) {
            let wanted = if is_free {
                free[i * n + j]
            } else {
                strict[i * n + j] * (1.0 - bound) as f32
            };
            assert!((relaxed[i * n + j] - wanted).abs() < 1e-6);
        }
        let wanted = own(&free, j).min(bound as f32);
        assert!((own(&relaxed, j) - wanted).abs() < 1e-6);
    }
    for bad in [-0.1, 1.1, f64::NAN] {
        fit_primal(urm.view(), l2, bad, &p).expect_err("must be refused");
    }
}
