//! Models fitted on any matrix, whatever its values, end: in weights that are finite or an error.
#![no_main]

use arbitrary::Arbitrary;
use ganmf_core::models::ease;
use ganmf_core::models::ials::{self, Confidence, IalsParams, Solver};
use ganmf_core::models::random_walk::{P3Params, fit_p3};
use ganmf_core::models::slim_bpr::{Sgd, SlimBpr, SlimBprParams, Storage};
use ganmf_core::models::slim_elastic_net::{Penalty, SlimParams, fit_path};
use ganmf_core::neighbours::pair_counts::stored::PairCounts;
use ganmf_core::neighbours::similarity::{FromDistance, Kind, Similarity};
use ganmf_core::neighbours::weighting::{Weighting, weighted};
use ganmf_core::neighbours::{KnnParams, neighbours};
use ganmf_core::{CsrMatrix, Progress, Result, published};
use ganmf_fuzz::Matrix;
use libfuzzer_sys::fuzz_target;
use ndarray::Array2;

#[derive(Debug, Arbitrary)]
struct Input {
    urm: Matrix,
    model: u8,
    kind: u8,
    topk: u64,
    few: Option<u8>,
    numbers: [f64; 3],
    tame: bool,
    flags: [bool; 3],
    factors: Vec<f32>,
}

fuzz_target!(|input: Input| {
    let (urm, p) = (input.urm.0.view(), Progress::new());
    let topk = input.few.map_or(input.topk as usize, usize::from);
    let [a, b, c] = input
        .numbers
        .map(|x| if input.tame { x.abs() % 3.0 } else { x });
    let [normalize, average, flag] = input.flags;
    let finite = |weights: Result<CsrMatrix>| {
        if let Ok(weights) = weights {
            let values = weights.view().values().unwrap_or(&[]).to_vec();
            assert!(values.iter().all(|x| !x.is_nan()), "{values:?}");
        }
    };
    let modes = [FromDistance::Lin, FromDistance::Log, FromDistance::Exp];
    let kind = match input.kind % 6 {
        0 => Kind::Cosine { normalize },
        1 => Kind::Asymmetric {
            alpha: a,
            normalize,
        },
        2 => Kind::Jaccard,
        3 => Kind::Dice,
        4 => Kind::Tversky { alpha: a, beta: b },
        _ => Kind::Euclidean {
            normalize,
            average,
            mode: modes[usize::from(input.kind / 6) % 3],
        },
    };
    match input.model % 7 {
        0 => {
            let weighting = if flag {
                Weighting::TfIdf
            } else {
                Weighting::Bm25
            };
            let own = weighted(urm, weighting).expect("small");
            if let Ok(similarity) = Similarity::try_new(kind, c) {
                let params = KnnParams { topk, similarity };
                for urm in [urm, own.view()] {
                    let _ = neighbours(urm, params, &p);
                }
                let _ = published::neighbours::neighbours(urm, params, &p);
                let counts = PairCounts::new(urm, &p).expect("small");
                let by_target = counts.neighbours(params, &p);
                let by_item = counts.item_weights(params, &p);
                let turned = by_target.and_then(|w| w.view().transpose(&p));
                assert_eq!(turned, by_item);
            }
        }
        1 => {
            let params = P3Params {
                topk,
                alpha: a,
                beta: b,
                normalize_similarity: normalize,
                prune_columns: flag,
            };
            let _ = fit_p3(urm, params, &p);
            let _ = published::random_walk::fit_p3(urm, params, &p);
        }
        2 => {
            let penalties = [
                Penalty {
                    alpha: a,
                    l1_ratio: b,
                },
                Penalty {
                    alpha: c,
                    l1_ratio: 0.1,
                },
            ];
            let params = SlimParams {
                topk,
                positive_only: flag,
                tol: 1e-4,
                max_iter: 200,
            };
            for fit in fit_path(urm, &penalties, params, &p).into_iter().flatten() {
                finite(Ok(fit.weights));
            }
        }
        3 => {
            if let Ok(weights) = ease::fit_primal(urm, a, b, &p) {
                assert_eq!(weights.len(), urm.n_cols().pow(2));
            }
            let _ = ease::fit_dual(urm, a, &p);
        }
        4 => {
            let storage = [Storage::Dense, Storage::Hashed(1 << 20)][usize::from(average)];
            let params = SlimBprParams {
                symmetric: flag,
                sgd: [Sgd::Plain, Sgd::Adagrad, Sgd::Adam][usize::from(input.kind) % 3],
                lambda_i: a,
                lambda_j: b,
                learning_rate: c,
                published_quirks: normalize,
                seed: 1,
                storage,
            };
            if let Ok(mut model) = SlimBpr::new(urm, params, &p) {
                let _ = model.run(200, &p);
                let _ = model.weights(topk, &p);
            }
        }
        _ => {
            let k = usize::from(input.kind % 20);
            let mut cycle = input.factors.iter().copied().chain([0.5]).cycle();
            let mut some = |rows: usize| {
                let of = cycle.by_ref().take(rows * k).collect();
                Array2::from_shape_vec((rows, k), of).expect("as many as asked for")
            };
            let (users, items) = (some(urm.n_rows()), some(urm.n_cols()));
            let params = IalsParams {
                alpha: a,
                confidence: if normalize {
                    Confidence::Linear
                } else {
                    Confidence::Log { epsilon: b }
                },
                reg: c,
                reg_exponent: if average { 0.0 } else { 1.0 },
                solver: if flag {
                    Solver::Cholesky
                } else {
                    Solver::ConjugateGradient(3)
                },
            };
            if let Ok(solved) = ials::half_step(urm, items.view(), Some(users.view()), &params, &p)
            {
                assert!(solved.iter().all(|x| x.is_finite()));
            }
            let turned = urm.transpose(&p).expect("small");
            let _ = ials::loss(urm, turned.view(), users.view(), items.view(), &params, &p);
        }
    }
});
