use ndarray::{Array2, Axis};

use super::*;
use crate::base::rng::Rng;
use crate::base::testing::random_rows;
use crate::base::topk::Scored;
use crate::base::{CsrMatrix, Error, Progress};
use crate::published;

fn random(rows: usize, cols: usize, stream: u64) -> Array2<f32> {
    let mut rng = Rng::at(1, stream, 0);
    // Few distinct values, so that ties are common.
    Array2::from_shape_fn((rows, cols), |_| rng.below(5) as f32 - 2.0)
}

fn seen(rows: usize, cols: usize) -> CsrMatrix {
    random_rows(2, (rows, cols), 0.3)
}

/// Sort everything, the definition.
fn naive(scores: &Array2<f32>, request: &Request) -> Lists {
    let mut lists = Lists {
        items: Vec::new(),
        scores: Vec::new(),
    };
    for (at, &user) in request.users.iter().enumerate() {
        let seen = request.seen_by(user as usize);
        let mut entries: Vec<Scored> = (0..request.n_items as i32)
            .filter(|i| !seen.contains(i) && request.candidates.is_none_or(|c| c.contains(i)))
            .map(|index| Scored {
                index,
                score: scores[(at, index as usize)],
            })
            .collect();
        entries.sort_by(Scored::rank_order);
        for k in 0..request.n {
            lists.items.push(entries.get(k).map_or(-1, |s| s.index));
            lists
                .scores
                .push(entries.get(k).map_or(f32::NEG_INFINITY, |s| s.score));
        }
    }
    lists
}

#[test]
fn every_form_agrees_with_sorting_everything() {
    let (n_users, n_items, k) = (70, 1100, 3);
    let (p, q) = (random(n_users, k, 1), random(n_items, k, 2));
    let dense = p.dot(&q.t());
    let seen = seen(n_users, n_items);
    let users: Vec<i64> = (0..n_users as i64).rev().collect();
    let some: Vec<i32> = (0..n_items as i32).filter(|i| i % 7 != 3).collect();
    let reversed = dense.select(
        Axis(0),
        &users.iter().map(|&u| u as usize).collect::<Vec<_>>(),
    );
    for n in [1, 20, 900, 1200] {
        for candidates in [None, Some(&some[..]), Some(&some[..0]), Some(&some[..5])] {
            for seen in [None, Some(seen.view())] {
                let request = Request::try_new((n_users, n_items), &users, n, seen, candidates)
                    .expect("valid");
                let expected = naive(&reversed, &request);
                let progress = Progress::new();
                let blocks = rank_scores(reversed.view(), &request, &progress).expect("ranks");
                assert_eq!(blocks, expected, "scores, n = {n}");
                let factors = rank_factors(p.view(), q.view(), &request, &progress).expect("ranks");
                assert_eq!(factors, expected, "factors, n = {n}");
                let popular: Vec<f32> = q.column(0).to_vec();
                let same = Array2::from_shape_fn((n_users, n_items), |(_, i)| popular[i]);
                assert_eq!(
                    rank_popularity(&popular, &request, &progress).expect("ranks"),
                    naive(&same, &request),
                    "popularity, n = {n}"
                );
            }
        }
    }
}

#[test]
fn the_published_order_only_moves_equal_scores() {
    let (n_users, n_items) = (30, 400);
    let scores = random(n_users, n_items, 3);
    let seen = seen(n_users, n_items);
    let users: Vec<i64> = (0..n_users as i64).collect();
    for n in [1, 20, 60, 500] {
        let request = Request::try_new((n_users, n_items), &users, n, Some(seen.view()), None)
            .expect("valid");
        let ours = rank_scores(scores.view(), &request, &Progress::new()).expect("ranks");
        let theirs =
            published::rank_scores(scores.view(), &request, &Progress::new()).expect("ranks");
        assert_eq!(ours.scores, theirs.scores);
        for (at, (&item, &score)) in theirs.items.iter().zip(&theirs.scores).enumerate() {
            let user = at / n;
            assert!(item < 0 || scores[(user, item as usize)] == score);
            assert!(!seen.view().cols(user).contains(&item));
        }
        assert!(
            n == 500 || ours.items != theirs.items,
            "ties fall in another order"
        );
    }
}

#[test]
fn item_weights_agree_with_the_dense_product() {
    let (n_users, n_items) = (40, 90);
    let (profiles, weights) = (seen(n_users, n_items), seen(n_items, n_items));
    let dense = |m: &CsrMatrix| {
        Array2::from_shape_fn((m.view().n_rows(), m.view().n_cols()), |(r, c)| {
            f32::from(m.view().cols(r).contains(&(c as i32)))
        })
    };
    let scores = dense(&profiles).dot(&dense(&weights));
    let users: Vec<i64> = (0..n_users as i64).collect();
    let request = Request::try_new((n_users, n_items), &users, 10, Some(profiles.view()), None)
        .expect("valid");
    let lists =
        rank_product(profiles.view(), weights.view(), &request, &Progress::new()).expect("ranks");
    assert_eq!(lists, naive(&scores, &request));
}

#[test]
fn many_users_get_the_lists_that_few_get() {
    // A thousand users or more with binary profiles have a way of their own.
    let (n_users, n_items) = (1300, 150);
    let profiles = seen(n_users, n_items);
    let pattern = seen(n_items, n_items);
    let mut rng = Rng::at(3, 0, 0);
    let values: Vec<f32> = (0..pattern.view().nnz())
        .map(|_| rng.unit() as f32 - 0.2)
        .collect();
    let cells = pattern.view();
    let weights = CsrMatrix::try_new(
        n_items,
        (0..=n_items as i64)
            .map(|r| (0..r as usize).map(|r| cells.row_len(r) as i64).sum())
            .collect(),
        cells.indices().to_vec(),
        Some(values),
    )
    .expect("valid");
    let users: Vec<i64> = (0..n_users as i64).rev().collect();
    let some: Vec<i32> = (0..n_items as i32).filter(|i| i % 7 != 3).collect();
    for candidates in [None, Some(&some[..]), Some(&some[..5])] {
        for seen in [None, Some(profiles.view())] {
            let lists = |users| {
                let request = Request::try_new((n_users, n_items), users, 20, seen, candidates)
                    .expect("valid");
                let progress = Progress::new();
                rank_product(profiles.view(), weights.view(), &request, &progress).expect("ranks")
            };
            let all = lists(&users);
            for (nth, few) in users.chunks(130).enumerate() {
                let (few, at) = (lists(few), nth * 130 * 20..(nth + 1) * 130 * 20);
                assert_eq!(few.items, all.items[at.clone()]);
                let bits = |s: &[f32]| s.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&few.scores), bits(&all.scores[at]));
            }
        }
    }
}

#[test]
fn sums_that_overflow_are_refused_for_many_users_too() {
    let n_users = 1100;
    let mut cells: Vec<Vec<i32>> = vec![vec![0]; n_users];
    cells[1001] = vec![0, 1];
    let indptr = std::iter::once(0)
        .chain(cells.iter().scan(0, |end, c| {
            *end += c.len() as i64;
            Some(*end)
        }))
        .collect();
    let profiles = CsrMatrix::try_new(2, indptr, cells.concat(), None).expect("valid");
    let weights =
        CsrMatrix::try_new(2, vec![0, 1, 2], vec![1, 1], Some(vec![f32::MAX; 2])).expect("valid");
    let users: Vec<i64> = (0..n_users as i64).collect();
    let request = Request::try_new((n_users, 2), &users, 1, None, None).expect("valid");
    let error = rank_product(profiles.view(), weights.view(), &request, &Progress::new());
    let message = "user 1001 has a score that is not finite";
    assert_eq!(error, Err(Error::NonFinite(message.into())));
}

#[test]
fn leaving_out_short_items_changes_no_list() {
    // Lengths that fall quickly, and many equal scores at the cut.
    let (n_users, n_items, k) = (90, 3000, 6);
    let p = random(n_users, k, 4);
    let mut q = random(n_items, k, 5);
    for (i, mut row) in q.rows_mut().into_iter().enumerate() {
        let scale = 0.5f32.powi((i * 7 % n_items / 200) as i32);
        row.mapv_inplace(|x| x * scale);
    }
    let seen = seen(n_users, n_items);
    let users: Vec<i64> = (0..n_users as i64).collect();
    for n in [1, 20] {
        let request = Request::try_new((n_users, n_items), &users, n, Some(seen.view()), None)
            .expect("valid");
        let lists = rank_factors(p.view(), q.view(), &request, &Progress::new());
        // Halves and small whole numbers: the plain product is exact.
        assert_eq!(lists.expect("ranks"), naive(&p.dot(&q.t()), &request));
    }
}

#[test]
fn a_score_that_is_not_finite_is_refused_naming_the_user() {
    let mut p = random(70, 2, 1);
    p[(66, 0)] = f32::NAN;
    let q = random(50, 2, 2);
    let request = Request::try_new((70, 50), &[3, 66], 5, None, None).expect("valid");
    let error = rank_factors(p.view(), q.view(), &request, &Progress::new());
    assert_eq!(
        error,
        Err(Error::NonFinite(
            "user 66 has a score that is not finite".into()
        ))
    );
}

#[test]
fn requests_outside_their_domain_are_named() {
    let message = |users: &[i64], n, candidates: Option<&[i32]>| {
        Request::try_new((3, 4), users, n, None, candidates)
            .expect_err("must be refused")
            .to_string()
    };
    assert!(message(&[0], 0, None).contains("n must be between 1"));
    assert!(message(&[3], 1, None).contains("users holds 3, outside 0..3"));
    assert!(message(&[0], 1, Some(&[4])).contains("item 4"));
    assert!(message(&[0], 1, Some(&[2, 2])).contains("2 precedes 2"));
}
