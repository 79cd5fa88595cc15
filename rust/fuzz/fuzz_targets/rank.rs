//! Any request over any scores is refused or gives lists: of candidates, unseen, once, best first.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use ganmf_core::models::random::rank_random;
use ganmf_core::published;
use ganmf_core::rank::{
    FactorIndex, Filter, Items, Lists, ProductIndex, Request, Rows, popularity_order,
    rank_popularity, rank_scores,
};
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
    /// Left out for each user of the request.
    excluded: Option<CsrMatrix>,
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
        let excluded = bool::arbitrary(u)?.then(|| Matrix::of_shape((users.len(), n_items), u));
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
        // Longer lists are refused only where there is no memory for them.
        let n = n.min((1 << 20) / users.len().max(1) as u32);
        Ok(Self {
            profiles,
            weights,
            seen: seen.transpose()?.map(|m| m.0),
            users,
            n,
            candidates,
            excluded: excluded.transpose()?.map(|m| m.0),
            numbers,
            n_factors: u.int_in_range(0..=9)?,
        })
    }
}

fn check(lists: &Lists, input: &Input) {
    let n = input.n as usize;
    let lists = lists.items.chunks(n).zip(lists.scores.chunks(n));
    for (position, ((items, scores), &user)) in lists.zip(&input.users).enumerate() {
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
            let excluded = input
                .excluded
                .as_ref()
                .map_or(&[][..], |e| e.view().cols(position));
            assert!(!excluded.contains(item));
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
    let filter = Filter {
        seen,
        excluded: input.excluded.as_ref().map(|e| Items::Each(e.view())),
        candidates: candidates.map(Items::Same),
    };
    let request = Request::try_new((n_users, n_items), users, input.n as usize, filter);
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
    let by_popularity = scores.row(0).to_vec();
    let by_factors = |request: &Request| {
        let index = FactorIndex::new(of_items.view())?;
        index.rank(of_users.view(), of_items.view(), Rows::ByUser, request, &p)
    };
    let by_weights =
        |request: &Request| ProductIndex::default().rank(profiles, weights, request, &p);
    let all = [
        by_weights(&request),
        popularity_order(&by_popularity)
            .and_then(|order| rank_popularity(&by_popularity, &order, &request, &p)),
        rank_scores(scores.view(), &request, &p),
        rank_scores(transposed.view(), &request, &p),
        published::rank_scores(scores.view(), &request, &p),
        by_factors(&request),
        rank_random(3, &request, &p),
    ];
    // A user alone takes another path, to the same bits.
    if let (Some(user), None) = (users.first(), filter.excluded) {
        let alone = Request::try_new((n_users, n_items), &users[..1], input.n as usize, filter);
        let alone = alone.expect("part of a valid request");
        for (one, all) in [by_weights(&alone), by_factors(&alone)]
            .iter()
            .zip([&all[0], &all[5]])
        {
            if let (Ok(one), Ok(all)) = (one, all) {
                let n = input.n as usize;
                assert_eq!(one.items, all.items[..n], "user {user}");
                let bits = |scores: &[f32]| scores.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&one.scores), bits(&all.scores[..n]), "user {user}");
            }
        }
    }
    for lists in all.iter().flatten() {
        check(lists, &input);
    }
});
