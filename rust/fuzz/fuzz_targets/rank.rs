//! Any request over any scores is refused or gives lists: of candidates, unseen, once, best first.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use ganmf_core::models::random::rank_random;
use ganmf_core::published;
use ganmf_core::rank::{Lists, Request, rank_factors, rank_popularity, rank_product, rank_scores};
use ganmf_core::{CsrMatrix, Progress};
use ganmf_fuzz::Matrix;
use libfuzzer_sys::fuzz_target;
use ndarray::Array2;

#[derive(Debug)]
struct Input {
    profiles: CsrMatrix,
    weights: CsrMatrix,
    seen: Option<CsrMatrix>,
    users: Vec<i64>,
    n: u32,
    candidates: Option<Vec<i32>>,
    numbers: Vec<f32>,
    n_factors: usize,
}

impl<'a> Arbitrary<'a> for Input {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let (n_users, n_items) = (u.int_in_range(1..=20)?, u.int_in_range(1..=70)?);
        let profiles = Matrix::of_shape((n_users, n_items), u)?.0;
        let weights = Matrix::of_shape((n_items, n_items), u)?.0;
        let seen = bool::arbitrary(u)?.then(|| Matrix::of_shape((n_users, n_items), u));
        let wild = bool::arbitrary(u)?;
        let mut users = Vec::<i64>::arbitrary(u)?;
        let mut candidates = Option::<Vec<i32>>::arbitrary(u)?;
        if !wild {
            users
                .iter_mut()
                .for_each(|x| *x = x.rem_euclid(n_users as i64));
            if let Some(items) = &mut candidates {
                items
                    .iter_mut()
                    .for_each(|x| *x = x.rem_euclid(n_items as i32));
                items.sort_unstable();
                items.dedup();
            }
        }
        // Two thousand lists take the path for many users.
        if u8::arbitrary(u)? == 7 {
            users = (0..2000).map(|at| at % n_users as i64).collect();
        }
        let n = if wild {
            u32::arbitrary(u)?
        } else {
            u.int_in_range(0..=90)?
        };
        let tame = bool::arbitrary(u)?;
        let mut numbers = Vec::<f32>::arbitrary(u)?;
        numbers.push(1.0);
        if tame {
            numbers
                .iter_mut()
                .for_each(|x| *x = if x.is_finite() { *x } else { 0.0 });
        }
        Ok(Self {
            profiles,
            weights,
            seen: seen.transpose()?.map(|m| m.0),
            users,
            n: n.min(1 << 20),
            candidates,
            numbers,
            n_factors: u.int_in_range(0..=9)?,
        })
    }
}

fn check(lists: &Lists, input: &Input) {
    let n = input.n as usize;
    let lists = lists.items.chunks(n).zip(lists.scores.chunks(n));
    for ((items, scores), &user) in lists.zip(&input.users) {
        let filled = items.iter().position(|&i| i < 0).unwrap_or(n);
        assert!(items[filled..].iter().all(|&i| i == -1));
        assert!(scores[filled..].iter().all(|&s| s == f32::NEG_INFINITY));
        assert!(
            scores[..filled].iter().all(|s| s.is_finite()) && scores.is_sorted_by(|a, b| a >= b)
        );
        for (at, item) in items[..filled].iter().enumerate() {
            assert!(!items[..at].contains(item));
            let seen = input
                .seen
                .as_ref()
                .map_or(&[][..], |s| s.view().cols(user as usize));
            assert!(!seen.contains(item));
            assert!(input.candidates.as_ref().is_none_or(|c| c.contains(item)));
        }
    }
}

fuzz_target!(|input: Input| {
    let p = Progress::new();
    let (profiles, weights) = (input.profiles.view(), input.weights.view());
    let (n_users, n_items) = (profiles.n_rows(), profiles.n_cols());
    let seen = input.seen.as_ref().map(CsrMatrix::view);
    let (users, candidates) = (&input.users, input.candidates.as_deref());
    let request = Request::try_new(
        (n_users, n_items),
        users,
        input.n as usize,
        seen,
        candidates,
    );
    let Ok(request) = request else {
        return;
    };
    let mut numbers = input.numbers.iter().copied().cycle();
    let mut some = |rows: usize, cols: usize| {
        let of = numbers.by_ref().take(rows * cols).collect();
        Array2::from_shape_vec((rows, cols), of).expect("as many as asked for")
    };
    let scores = some(users.len().max(1), n_items);
    let (of_users, of_items) = (
        some(n_users, input.n_factors),
        some(n_items, input.n_factors),
    );
    let transposed = some(n_items, users.len()).reversed_axes();
    let all = [
        rank_product(profiles, weights, &request, &p),
        rank_popularity(scores.row(0).as_slice().unwrap_or(&[]), &request, &p),
        rank_scores(scores.view(), &request, &p),
        rank_scores(transposed.view(), &request, &p),
        published::rank_scores(scores.view(), &request, &p),
        rank_factors(of_users.view(), of_items.view(), &request, &p),
        rank_random(3, &request, &p),
    ];
    for lists in all.iter().flatten() {
        check(lists, &input);
    }
});
