use ndarray::Array2;

use super::*;
use crate::base::testing::on_threads;

/// A path of four vertices and a triangle that hangs on it, with a loop.
fn edges() -> (Vec<i64>, Vec<i32>) {
    let rows: [&[i32]; 6] = [&[1], &[0, 2], &[1, 3], &[2, 4, 5], &[3, 5], &[3, 4, 5]];
    let mut indptr = vec![0];
    let mut indices = Vec::new();
    for row in rows {
        indices.extend_from_slice(row);
        indptr.push(indices.len() as i64);
    }
    (indptr, indices)
}

fn vectors() -> Array2<f32> {
    Array2::from_shape_fn((6, 4), |(v, k)| ((v * 7 + k * 5) % 11) as f32 / 9.0 - 0.5)
}

fn params(published: bool) -> GraphGanParams {
    let pass = PassParams {
        epochs: 3,
        learning_rate: 0.01,
        reg: 0.01,
    };
    GraphGanParams {
        d: pass,
        g: pass,
        samples: 5,
        batch_size: 4,
        published,
        seed: 3,
    }
}

fn model(params: GraphGanParams) -> GraphGan {
    let (indptr, indices) = edges();
    let (start, zero) = (vectors(), Array2::zeros((6, 4)));
    let of = || AdamState {
        table: start.view(),
        moments: [zero.view(), zero.view()],
        steps: 0,
    };
    let from = State {
        g: of(),
        d: of(),
        removed: &[][..],
        round: 0,
    };
    let view = CsrView::try_new(6, &indptr, &indices, None).unwrap();
    GraphGan::new(view, params, &from).unwrap()
}

#[test]
fn walks_end_as_often_as_the_graph_softmax_says() {
    let mut p = params(false);
    p.samples = 40_000;
    let m = model(p);
    let drawn = m.draws(&Progress::new()).unwrap();
    // The tree of vertex 2: 1 and 3 hang on it, 0 on 1, 4 and 5 on 3.
    let x = vectors();
    let s = |v: usize, w: usize| {
        let dot: f32 = (0..3).map(|k| x[[v, k]] * x[[w, k]]).sum();
        f64::from(dot + x[[w, 3]]).exp()
    };
    let p =
        |v: usize, w: usize, among: &[usize]| s(v, w) / among.iter().map(|&o| s(v, o)).sum::<f64>();
    let (at_2, at_1, at_3) = ([1, 3], [2, 0], [2, 4, 5]);
    let expected = [
        p(2, 1, &at_2) * p(1, 0, &at_1),
        p(2, 1, &at_2) * p(1, 2, &at_1),
        0.0,
        p(2, 3, &at_2) * p(3, 2, &at_3),
        p(2, 3, &at_2) * p(3, 4, &at_3),
        p(2, 3, &at_2) * p(3, 5, &at_3),
    ];
    assert!((expected.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    for (vertex, share) in expected.into_iter().enumerate() {
        let n = drawn.iter().filter(|&&d| d == (2, vertex as u32)).count();
        assert!((n as f64 / 40_000.0 - share).abs() < 0.01, "{vertex}");
    }
}

#[test]
fn missed_steps_are_those_that_every_row_would_have_made() {
    let (start, first, second) = (
        vectors(),
        vectors() / 50.0,
        vectors().mapv(|x| x * x / 900.0),
    );
    let from = |steps| AdamState {
        table: start.view(),
        moments: [first.view(), second.view()],
        steps,
    };
    let (mut lazy, mut eager) = (
        Adam::new("x", 0.01, &from(7)).unwrap(),
        Adam::new("x", 0.01, &from(7)).unwrap(),
    );
    for step in 0..400 {
        let row = step % 5;
        lazy.catch_up(row);
        lazy.sums.of(row)[1] += 0.5;
        eager.sums.of(row)[1] += 0.5;
        for other in 0..6 {
            eager.sums.of(other);
        }
        lazy.step().unwrap();
        eager.step().unwrap();
    }
    lazy.settle();
    eager.settle();
    let (a, b) = (lazy.state("x").unwrap(), eager.state("x").unwrap());
    assert!((&a.table - &b.table).iter().all(|d| d.abs() < 1e-6));
    for (a, b) in a.moments.iter().zip(&b.moments) {
        assert!((a - b).iter().all(|d| d.abs() < 1e-6));
    }
    assert!((&a.table - &start).iter().any(|d| d.abs() > 0.01));
}

#[test]
fn rounds_do_not_depend_on_the_number_of_threads() {
    for published in [false, true] {
        let run = |threads| {
            on_threads(threads, || {
                let mut m = model(params(published));
                for _ in 0..3 {
                    m.run(&Progress::new()).unwrap();
                }
                let state = m.state().unwrap();
                (state.g.table, state.d.table, state.removed)
            })
        };
        assert_eq!(run(1), run(4));
    }
}

#[test]
fn as_released_the_root_is_taken_from_its_neighbours_for_good() {
    let mut m = model(params(true));
    m.run(&Progress::new()).unwrap();
    let (indptr, _) = edges();
    // From 0 every walk passes 1, at which 0 is no choice then; 1 meets the leaf 0, or 2 beyond it.
    assert_eq!(m.removed[indptr[0] as usize], 1);
    assert_eq!(m.removed[indptr[1] as usize], 0);
    let mut plain = model(params(false));
    plain.run(&Progress::new()).unwrap();
    assert!(plain.removed.iter().all(|&r| r == 0));
}

#[test]
fn what_cannot_be_is_refused() {
    let (start, zero) = (vectors(), Array2::zeros((6, 4)));
    let of = || AdamState {
        table: start.view(),
        moments: [zero.view(), zero.view()],
        steps: 0,
    };
    let refused = |n_cols, indptr: &[i64], indices: &[i32], removed: &[u8]| {
        let view = CsrView::try_new(n_cols, indptr, indices, None).unwrap();
        let from = State {
            g: of(),
            d: of(),
            removed,
            round: 0,
        };
        GraphGan::new(view, params(false), &from)
            .unwrap_err()
            .to_string()
    };
    let (indptr, indices) = edges();
    assert!(refused(7, &indptr, &indices, &[]).contains("6 x 7, not square"));
    assert!(refused(6, &indptr, &indices, &[1]).contains("do not fit 13 entries"));
    assert!(refused(3, &[0, 1, 1, 1], &[0], &[]).contains("no edge"));
    assert!(refused(2, &[0, 1, 2], &[1, 0], &[]).contains("6 rows of 4 columns, for 2"));
}
