//! Samples, the forms of storage against each other, and the cuts.

use std::collections::BTreeSet;

use super::*;

fn urm() -> CsrMatrix {
    let mut rng = Rng::at(4, 0, 0);
    let (users, items) = (30usize, 17usize);
    let mut indptr = vec![0i64];
    let mut indices = Vec::new();
    for user in 0..users {
        for item in 0..items {
            // User 3 has nothing and user 5 everything; item 6 is cold.
            let keep = user == 5 || (user != 3 && item != 6 && rng.below(16) < item as u64);
            if keep {
                indices.push(item as i32);
            }
        }
        indptr.push(indices.len() as i64);
    }
    CsrMatrix::try_new(items, indptr, indices, None).expect("valid")
}

fn params() -> SlimBprParams {
    SlimBprParams {
        symmetric: true,
        sgd: Sgd::Adagrad,
        lambda_i: 1e-3,
        lambda_j: 2e-3,
        learning_rate: 0.05,
        published_quirks: false,
        seed: 11,
        storage: Storage::Dense,
    }
}

fn new(urm: &CsrMatrix, params: SlimBprParams) -> Result<SlimBpr> {
    SlimBpr::new(urm.view(), params, &Progress::new())
}

fn trained(params: SlimBprParams, samples: u64) -> SlimBpr {
    let urm = urm();
    let mut model = new(&urm, params).expect("valid");
    model.run(samples, &Progress::new()).expect("runs");
    model
}

fn cells(w: &CsrMatrix) -> Vec<(usize, usize, f32)> {
    let view = w.view();
    (0..view.n_rows())
        .flat_map(|r| view.row(r).map(move |(c, x)| (r, c, x)))
        .collect()
}

#[test]
fn samples_are_a_user_with_both_a_seen_and_an_unseen_item() {
    let urm = urm();
    let view = urm.view();
    let model = new(&urm, params()).expect("valid");
    let [drawn, positive, negative] = model.draws(0, 20_000, &Progress::new()).expect("draws");
    let mut users = [0f64; 30];
    for ((user, i), j) in drawn.into_iter().zip(positive).zip(negative) {
        let profile = view.cols(user as usize);
        assert!(profile.contains(&i) && !profile.contains(&j));
        users[user as usize] += 1.0;
    }
    assert_eq!((users[3], users[5]), (0.0, 0.0));
    let eligible: Vec<f64> = users.into_iter().filter(|&n| n > 0.0).collect();
    let expected = 20_000.0 / eligible.len() as f64;
    let chi2: f64 = eligible
        .iter()
        .map(|n| (n - expected).powi(2) / expected)
        .sum();
    // 27 degrees of freedom at most: 99.99% of true uniforms stay below 63.
    assert!(eligible.len() >= 25 && chi2 < 63.0, "{chi2} {eligible:?}");
}

#[test]
fn a_run_in_pieces_is_the_same_run() {
    let whole = trained(params(), 700);
    let urm = urm();
    let mut pieces = new(&urm, params()).expect("valid");
    for samples in [1, 99, 0, 600] {
        pieces.run(samples, &Progress::new()).expect("runs");
    }
    let progress = Progress::new();
    assert_eq!(whole.weights(17, &progress), pieces.weights(17, &progress));
    assert_eq!(
        whole.draws(40, 5, &progress),
        pieces.draws(40, 5, &progress)
    );
}

#[test]
fn a_hash_table_holds_the_same_bits_as_dense_cells() {
    for symmetric in [true, false] {
        for sgd in [Sgd::Plain, Sgd::Adagrad, Sgd::Adam] {
            let dense = SlimBprParams {
                symmetric,
                sgd,
                ..params()
            };
            let hashed = SlimBprParams {
                storage: Storage::Hashed(1 << 20),
                ..dense
            };
            let progress = Progress::new();
            for topk in [3, 17] {
                let a = trained(dense, 2_000)
                    .weights(topk, &progress)
                    .expect("cuts");
                let b = trained(hashed, 2_000)
                    .weights(topk, &progress)
                    .expect("cuts");
                assert!(a.view().nnz() >= 10);
                assert_eq!(a, b);
            }
        }
    }
}

#[test]
fn a_hash_table_never_outgrows_its_memory() {
    let urm = urm();
    let small = SlimBprParams {
        storage: Storage::Hashed(100),
        ..params()
    };
    let mut model = new(&urm, small).expect("valid");
    // A catalogue of 17 items fits the first table; more is asked for by hand.
    let State::Hashed(table) = &mut model.state else {
        panic!("another storage than was asked for");
    };
    let error = table.reserve(1_000).expect_err("must be refused");
    assert!(error.to_string().contains("outgrew the memory"));
}

#[test]
fn symmetric_weights_are_symmetric_and_the_diagonal_is_empty() {
    let w = cells(
        &trained(params(), 3_000)
            .weights(17, &Progress::new())
            .expect("cuts"),
    );
    let all: BTreeSet<(usize, usize, u32)> =
        w.iter().map(|&(r, c, x)| (r, c, x.to_bits())).collect();
    assert!(w.len() > 100);
    for &(r, c, x) in &w {
        assert_ne!(r, c);
        assert!(all.contains(&(c, r, x.to_bits())));
    }
}

#[test]
fn weights_that_are_not_symmetric_are_transposed_by_the_quirk_alone() {
    let ours = SlimBprParams {
        symmetric: false,
        lambda_j: 0.0,
        ..params()
    };
    let theirs = SlimBprParams {
        published_quirks: true,
        ..ours
    };
    let progress = Progress::new();
    for topk in [4, 17] {
        let a = trained(ours, 2_000).weights(topk, &progress).expect("cuts");
        let b = trained(theirs, 2_000)
            .weights(topk, &progress)
            .expect("cuts");
        assert_ne!(a, b);
        assert_eq!(a.view().transpose(&progress), Ok(b));
    }
}

#[test]
fn rows_are_cut_first_and_zeros_outrank_negative_weights() {
    let model = trained(params(), 3_000);
    let progress = Progress::new();
    let n = 17;
    let mut full = vec![vec![0f32; n]; n];
    for (r, c, x) in cells(&model.weights(n, &progress).expect("cuts")) {
        full[r][c] = x;
    }
    for topk in [1, 2, 5, 9, 16] {
        let mut kept = vec![vec![0f32; n]; n];
        for r in 0..n {
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by(|&a, &b| full[r][b].total_cmp(&full[r][a]));
            for &c in &order[..topk] {
                kept[r][c] = full[r][c];
            }
        }
        let mut expected = BTreeSet::new();
        for c in 0..n {
            let mut order: Vec<usize> = (0..n).filter(|&r| kept[r][c] != 0.0).collect();
            order.sort_by(|&a, &b| kept[b][c].total_cmp(&kept[a][c]));
            expected.extend(order.into_iter().take(topk).map(|r| (r, c)));
        }
        let found: BTreeSet<(usize, usize)> = cells(&model.weights(topk, &progress).expect("cuts"))
            .into_iter()
            .map(|(r, c, _)| (r, c))
            .collect();
        assert_eq!(found, expected, "topk {topk}");
    }
}

#[test]
fn what_cannot_be_learned_is_named() {
    let fails = |urm: &CsrMatrix, params: SlimBprParams| {
        new(urm, params).expect_err("must be refused").to_string()
    };
    let full = CsrMatrix::try_new(2, vec![0, 2, 2], vec![0, 1], None).expect("valid");
    assert!(fails(&full, params()).contains("no user who has some items and lacks others"));
    let learning_rate = 0.0;
    assert!(
        fails(
            &urm(),
            SlimBprParams {
                learning_rate,
                ..params()
            }
        )
        .contains("learning_rate must be")
    );
    let lambda_j = f64::NAN;
    assert!(
        fails(
            &urm(),
            SlimBprParams {
                lambda_j,
                ..params()
            }
        )
        .contains("lambda_j must be finite")
    );
    assert!(trained(params(), 1).weights(0, &Progress::new()).is_err());
}

#[test]
fn divergence_is_an_error_and_a_cancelled_run_stops() {
    let urm = urm();
    let wild = SlimBprParams {
        learning_rate: 1e30,
        lambda_i: 1e30,
        sgd: Sgd::Plain,
        ..params()
    };
    let mut model = new(&urm, wild).expect("valid");
    let error = model.run(10_000, &Progress::new()).expect_err("diverges");
    assert!(error.to_string().contains("diverged"));

    let progress = Progress::new();
    progress.cancel();
    let mut model = new(&urm, params()).expect("valid");
    assert_eq!(model.run(10_000, &progress), Err(Error::Cancelled));
    assert_eq!(model.weights(3, &progress), Err(Error::Cancelled));
}
