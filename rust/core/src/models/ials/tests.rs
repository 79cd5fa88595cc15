//! Normal equations, the objective, and the two solvers against each other.

use crate::base::testing::on_threads;
use ndarray::{Array1, Array2, Axis, Slice};
use proptest::prelude::*;

use super::*;
use crate::base::CsrMatrix;
use crate::base::rng::Rng;

fn params(solver: Solver) -> IalsParams {
    IalsParams {
        alpha: 3.0,
        confidence: Confidence::Linear,
        reg: 0.1,
        reg_exponent: 0.0,
        solver,
    }
}

fn factors(rows: usize, k: usize, stream: u64) -> Array2<f32> {
    let mut rng = Rng::at(5, stream, 0);
    Array2::from_shape_fn((rows, k), |_| rng.normal() as f32)
}

fn matrix(dense: &Array2<f32>) -> CsrMatrix {
    let mut indptr = vec![0];
    let (mut indices, mut values) = (Vec::new(), Vec::new());
    for row in dense.rows() {
        for (c, &x) in row.iter().enumerate().filter(|(_, x)| **x > 0.0) {
            indices.push(c as i32);
            values.push(x);
        }
        indptr.push(indices.len() as i64);
    }
    CsrMatrix::try_new(dense.ncols(), indptr, indices, Some(values)).expect("valid")
}

fn random_matrix(rows: usize, cols: usize, density: f64) -> Array2<f32> {
    let mut rng = Rng::at(9, rows as u64, cols as u64);
    Array2::from_shape_fn((rows, cols), |_| {
        if rng.unit() < density {
            (rng.unit() * 4.0 + 0.5) as f32
        } else {
            0.0
        }
    })
}

fn excess(p: &IalsParams, r: f32) -> f64 {
    match p.confidence {
        Confidence::Linear => p.alpha * f64::from(r),
        Confidence::Log { epsilon } => p.alpha * (1.0 + f64::from(r) / epsilon).ln(),
    }
}

fn reg_of<'a>(p: &IalsParams, row: impl Iterator<Item = &'a f32>) -> f64 {
    let total: f64 = row
        .map(|&r| 1.0 + if r > 0.0 { excess(p, r) } else { 0.0 })
        .sum();
    p.reg * total.powf(p.reg_exponent)
}

/// The gradient of a row's objective at `x`, written densely, relative to the right side.
fn gradient(row: &Array1<f32>, y: &Array2<f32>, x: &[f32], p: &IalsParams) -> f64 {
    let k = y.ncols();
    let reg = reg_of(p, row.iter());
    let (mut worst, mut size) = (0f64, 0f64);
    for j in 0..k {
        let (mut g, mut b) = (reg * f64::from(x[j]), 0.0);
        for (i, &r) in row.iter().enumerate() {
            let (c, target) = if r > 0.0 {
                (1.0 + excess(p, r), 1.0)
            } else {
                (1.0, 0.0)
            };
            let score: f64 = (0..k).map(|l| f64::from(x[l]) * f64::from(y[[i, l]])).sum();
            g += c * (score - target) * f64::from(y[[i, j]]);
            b += c * target * f64::from(y[[i, j]]);
        }
        worst = worst.max(g.abs());
        size = size.max(b.abs());
    }
    worst / size.max(1e-12)
}

fn dense_loss(r: &Array2<f32>, x: &Array2<f32>, y: &Array2<f32>, p: &IalsParams) -> f64 {
    let mut sum = 0.0;
    for ((u, i), &v) in r.indexed_iter() {
        let score: f64 = (0..x.ncols())
            .map(|l| f64::from(x[[u, l]]) * f64::from(y[[i, l]]))
            .sum();
        sum += if v > 0.0 {
            (1.0 + excess(p, v)) * (1.0 - score).powi(2)
        } else {
            score * score
        };
    }
    let squares =
        |row: ndarray::ArrayView1<f32>| row.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
    for u in 0..r.nrows() {
        sum += reg_of(p, r.row(u).iter()) * squares(x.row(u));
    }
    for i in 0..r.ncols() {
        sum += reg_of(p, r.column(i).iter()) * squares(y.row(i));
    }
    sum
}

fn step(
    r: &Array2<f32>,
    y: &Array2<f32>,
    start: Option<&Array2<f32>>,
    p: &IalsParams,
) -> Array2<f32> {
    let csr = matrix(r);
    half_step(
        csr.view(),
        y.view(),
        start.map(|s| s.view()),
        p,
        &Progress::new(),
    )
    .expect("solves")
}

fn variants(solver: Solver) -> [IalsParams; 3] {
    let base = params(solver);
    [
        base,
        IalsParams {
            reg_exponent: 0.7,
            ..base
        },
        IalsParams {
            confidence: Confidence::Log { epsilon: 0.3 },
            alpha: 20.0,
            ..base
        },
    ]
}

#[test]
fn the_exact_solver_satisfies_the_normal_equations_of_short_and_long_rows() {
    // K lies between the lengths of the rows, so both ways of the exact solver are taken.
    for (rows, cols, density, k) in [(40, 60, 0.3, 18), (9, 700, 0.9, 33), (5, 6, 0.5, 16)] {
        let r = random_matrix(rows, cols, density);
        let y = factors(cols, k, 1);
        for p in variants(Solver::Cholesky) {
            let x = step(&r, &y, None, &p);
            for (u, row) in r.rows().into_iter().enumerate() {
                let x = x.row(u).to_vec();
                if row.iter().all(|&v| v == 0.0) {
                    assert!(x.iter().all(|&v| v == 0.0));
                } else {
                    let g = gradient(&row.to_owned(), &y, &x, &p);
                    assert!(g < 2e-4, "row {u} of {rows} x {cols}: {g}");
                }
            }
        }
    }
}

#[test]
fn conjugate_gradient_converges_to_the_exact_answer() {
    let r = random_matrix(50, 80, 0.25);
    let y = factors(80, 20, 2);
    for (exact, cg) in variants(Solver::Cholesky)
        .into_iter()
        .zip(variants(Solver::ConjugateGradient(40)))
    {
        let a = step(&r, &y, None, &exact);
        for start in [None, Some(factors(50, 20, 3))] {
            let b = step(&r, &y, start.as_ref(), &cg);
            let apart = (&a - &b).iter().fold(0f32, |m, x| m.max(x.abs()));
            let size = a.iter().fold(0f32, |m, x| m.max(x.abs()));
            assert!(apart < 1e-4 * size, "{apart} of {size}");
        }
    }
}

#[test]
fn conjugate_gradient_that_starts_at_the_answer_stays_there() {
    // More rows than factors and more factors than rows, with and without padding.
    for (rows, k) in [(70, 16), (10, 48), (70, 19)] {
        let r = random_matrix(rows, 80, 0.25);
        let y = factors(80, k, 2);
        let exact = step(&r, &y, None, &params(Solver::Cholesky));
        let again = step(&r, &y, Some(&exact), &params(Solver::ConjugateGradient(1)));
        let apart = (&exact - &again).iter().fold(0f32, |m, x| m.max(x.abs()));
        assert!(apart < 1e-4, "{rows} x {k}: {apart}");
    }
}

#[test]
fn every_half_step_lowers_the_objective_with_either_solver() {
    let r = random_matrix(60, 45, 0.2);
    let (users, items) = (matrix(&r), matrix(&r.t().to_owned()));
    for solver in [Solver::Cholesky, Solver::ConjugateGradient(2)] {
        for p in variants(solver) {
            let value = |x: &Array2<f32>, y: &Array2<f32>| {
                let progress = Progress::new();
                loss(
                    users.view(),
                    items.view(),
                    x.view(),
                    y.view(),
                    &p,
                    &progress,
                )
                .expect("a number")
            };
            let (mut x, mut y) = (factors(60, 12, 4), factors(45, 12, 5));
            let mut last = value(&x, &y);
            for _ in 0..4 {
                x = step(&r, &y, Some(&x), &p);
                let after_users = value(&x, &y);
                assert!(after_users < last, "{after_users} after {last}");
                y = step(&r.t().to_owned(), &x, Some(&y), &p);
                last = value(&x, &y);
                assert!(last < after_users, "{last} after {after_users}");
            }
        }
    }
}

#[test]
fn thread_count_does_not_change_the_result() {
    let r = random_matrix(300, 500, 0.1);
    let y = factors(500, 24, 6);
    for solver in [Solver::Cholesky, Solver::ConjugateGradient(3)] {
        let with = |threads| {
            on_threads(threads, || {
                step(&r, &y, Some(&factors(300, 24, 7)), &params(solver))
            })
        };
        let one = with(1);
        assert_eq!(one, with(2));
        assert_eq!(one, with(5));
    }
}

#[test]
fn an_exact_row_has_the_same_bits_alone() {
    let dense = random_matrix(70, 40, 0.2);
    let y = factors(40, 9, 5);
    for p in variants(Solver::Cholesky) {
        let all = step(&dense, &y, None, &p);
        for row in 0..70 {
            let alone = dense.slice_axis(Axis(0), Slice::from(row..=row)).to_owned();
            assert_eq!(step(&alone, &y, None, &p).row(0), all.row(row));
        }
    }
}

#[test]
fn a_cancelled_half_step_stops() {
    let r = matrix(&random_matrix(30, 30, 0.2));
    let y = factors(30, 4, 8);
    let progress = Progress::new();
    progress.cancel();
    let result = half_step(
        r.view(),
        y.view(),
        None,
        &params(Solver::Cholesky),
        &progress,
    );
    assert_eq!(result, Err(Error::Cancelled));
}

#[test]
fn what_cannot_be_solved_is_named() {
    let r = matrix(&random_matrix(5, 7, 0.5));
    let y = factors(7, 3, 8);
    let fails = |p: IalsParams, y: &Array2<f32>| {
        half_step(r.view(), y.view(), None, &p, &Progress::new())
            .expect_err("must be refused")
            .to_string()
    };
    let base = params(Solver::Cholesky);
    assert!(fails(IalsParams { reg: 0.0, ..base }, &y).contains("reg must be"));
    let alpha = f64::NAN;
    assert!(fails(IalsParams { alpha, ..base }, &y).contains("alpha must be finite"));
    assert!(fails(params(Solver::ConjugateGradient(0)), &y).contains("cg_steps"));
    assert!(fails(base, &factors(6, 3, 8)).contains("fixed is 6 x 3, not 7 x 3"));
    let mut bad = y.clone();
    bad[[2, 1]] = f32::INFINITY;
    assert!(fails(base, &bad).contains("finite"));
}

#[test]
fn factors_of_lower_rank_than_k_are_no_obstacle() {
    // Y has rank 2 but four columns: the Gram matrix is singular.
    let narrow = factors(30, 2, 9);
    let y = Array2::from_shape_fn((30, 4), |(i, j)| narrow[[i, j % 2]]);
    let r = random_matrix(20, 30, 0.3);
    let p = IalsParams {
        reg: 1e-4,
        ..params(Solver::Cholesky)
    };
    let x = step(&r, &y, None, &p);
    for (u, row) in r.rows().into_iter().enumerate() {
        assert!(gradient(&row.to_owned(), &y, &x.row(u).to_vec(), &p) < 1e-3);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn small_matrices_of_every_shape_are_solved(
        rows in 1usize..6, cols in 1usize..6, k in 1usize..20, bits in any::<u64>(),
        binary in any::<bool>(), exponent in 0.0f64..1.0,
    ) {
        let r = Array2::from_shape_fn((rows, cols), |(u, i)| {
            let at = (u * cols + i) as u32;
            if bits.rotate_right(at) & 1 == 0 { 0.0 } else if binary { 1.0 } else { at as f32 + 1.0 }
        });
        let y = factors(cols, k, bits);
        let exact = IalsParams { reg_exponent: exponent, ..params(Solver::Cholesky) };
        let cg = IalsParams { solver: Solver::ConjugateGradient(25), ..exact };
        let (a, b) = (step(&r, &y, None, &exact), step(&r, &y, None, &cg));
        for (u, row) in r.rows().into_iter().enumerate() {
            for x in [&a, &b] {
                let x = x.row(u).to_vec();
                if row.iter().any(|&v| v > 0.0) {
                    prop_assert!(gradient(&row.to_owned(), &y, &x, &exact) < 1e-3);
                } else {
                    prop_assert!(x.iter().all(|&v| v == 0.0));
                }
            }
        }
        let (users, items) = (matrix(&r), matrix(&r.t().to_owned()));
        let ours = loss(users.view(), items.view(), a.view(), y.view(), &exact, &Progress::new());
        let dense = dense_loss(&r, &a, &y, &exact);
        prop_assert!((ours.expect("a number") - dense).abs() < 1e-4 * dense.max(1.0));
    }
}
