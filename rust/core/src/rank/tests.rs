use ndarray::{Array2, Axis};

use super::*;
use crate::base::Error;
use crate::base::rng::Rng;
use crate::base::testing::random_rows;
use crate::base::topk::Scored;
use crate::base::{CsrMatrix, Progress, Result};
use crate::published;

fn random(rows: usize, cols: usize, stream: u64) -> Array2<f32> {
    let mut rng = Rng::at(1, stream, 0);
    // Few distinct values, so that ties are common.
    Array2::from_shape_fn((rows, cols), |_| rng.below(5) as f32 - 2.0)
}

fn seen(rows: usize, cols: usize) -> CsrMatrix {
    random_rows(2, (rows, cols), 0.3)
}

fn leaving_out(seen: &CsrMatrix) -> Filter<'_> {
    Filter {
        seen: Some(seen.view()),
        ..Filter::default()
    }
}

fn rank_by_factors(p: &Array2<f32>, q: &Array2<f32>, request: &Request) -> Result<Lists> {
    let index = FactorIndex::new(q.view()).expect("memory");
    index.rank(p.view(), q.view(), Rows::ByUser, request, &Progress::new())
}

/// Sort everything, the definition.
fn naive(scores: &Array2<f32>, request: &Request) -> Lists {
    let mut lists = Lists {
        items: Vec::new(),
        scores: Vec::new(),
    };
    for at in 0..request.users.len() {
        let columns = request.columns(at);
        let mut entries: Vec<Scored> = (0..columns.len)
            .map(|column| columns.item(column))
            .filter(|&item| !request.left_out(at).any(|other| other == item))
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
    let own = random_rows(6, (n_users, n_items), 0.3);
    let index = FactorIndex::new(q.view()).expect("memory");
    let popular: Vec<f32> = q.column(0).to_vec();
    let same = Array2::from_shape_fn((n_users, n_items), |(_, i)| popular[i]);
    let order = popularity_order(&popular).expect("finite");
    for n in [1, 20, 900, 1200] {
        for filter in filters(&seen, &own, &some) {
            let request = Request::try_new((n_users, n_items), &users, n, filter).expect("valid");
            let expected = naive(&reversed, &request);
            let progress = Progress::new();
            let blocks = rank_scores(reversed.view(), &request, &progress).expect("ranks");
            assert_eq!(blocks, expected, "scores, n = {n}");
            let factors = index
                .rank(p.view(), q.view(), Rows::ByUser, &request, &progress)
                .expect("ranks");
            assert_eq!(factors, expected, "factors, n = {n}");
            let ranked = rank_popularity(&popular, &order, &request, &progress);
            assert_eq!(
                ranked.expect("ranks"),
                naive(&same, &request),
                "popularity, n = {n}"
            );
        }
    }
}

/// Every way to narrow a request.
fn filters<'a>(
    seen: &'a CsrMatrix,
    own: &'a CsrMatrix,
    some: &'a [i32],
) -> impl Iterator<Item = Filter<'a>> {
    let narrowed = [
        None,
        Some(Items::Same(some)),
        Some(Items::Same(&some[..0])),
        Some(Items::Same(&some[..5])),
        Some(Items::Each(own.view())),
    ];
    let excluded = [
        None,
        Some(Items::Same(&some[1..4])),
        Some(Items::Each(own.view())),
    ];
    [None, Some(seen.view())].into_iter().flat_map(move |seen| {
        narrowed.into_iter().flat_map(move |candidates| {
            excluded.into_iter().map(move |excluded| Filter {
                seen,
                excluded,
                candidates,
            })
        })
    })
}

#[test]
fn one_user_alone_gets_the_list_of_many_bit_for_bit() {
    let (n_users, n_items, k) = (70, 1100, 7);
    let mut rng = Rng::at(4, 0, 0);
    let mut normal = |rows| Array2::from_shape_fn((rows, k), |_| rng.normal() as f32);
    let (p, q) = (normal(n_users), normal(n_items));
    let profiles = random_rows(5, (n_users, n_items), 0.01);
    let weights = random_weights(n_items);
    let (factors, product) = (
        FactorIndex::new(q.view()).expect("memory"),
        ProductIndex::default(),
    );
    let own = random_rows(6, (n_users, n_items), 0.05);
    let some: Vec<i32> = (0..n_items as i32).filter(|i| i % 7 != 3).collect();
    let users: Vec<i64> = (0..n_users as i64).rev().collect();
    let progress = Progress::new();
    let both = |users: &[i64], filter| {
        let request = Request::try_new((n_users, n_items), users, 20, filter).expect("valid");
        [
            factors.rank(p.view(), q.view(), Rows::ByUser, &request, &progress),
            product.rank(profiles.view(), weights.view(), &request, &progress),
        ]
        .map(|lists| {
            let lists = lists.expect("ranks");
            let bits = lists.scores.iter().map(|x| x.to_bits());
            lists.items.iter().copied().zip(bits).collect::<Vec<_>>()
        })
    };
    for filter in filters(&profiles, &own, &some) {
        let all = both(&users, filter);
        for at in [0, 33, 69] {
            let filter = Filter {
                seen: filter.seen,
                candidates: of_user(filter.candidates, at),
                excluded: of_user(filter.excluded, at),
            };
            let one = both(&users[at..=at], filter);
            for (one, all) in one.iter().zip(&all) {
                assert_eq!(one[..], all[at * 20..(at + 1) * 20]);
            }
        }
    }
}

#[test]
fn one_user_alone_gets_all_items_that_are_left() {
    let mut rng = Rng::at(12, 0, 0);
    for n_items in [3, 40, 71, 130] {
        let mut normal = |rows| Array2::from_shape_fn((rows, 19), |_| rng.normal() as f32);
        let (p, q) = (normal(20), normal(n_items));
        let index = FactorIndex::new(q.view()).expect("memory");
        for left_out in [0, n_items / 3] {
            let excluded: Vec<i32> = (0..left_out as i32).map(|i| 3 * i).collect();
            let filter = Filter {
                excluded: Some(Items::Same(&excluded)),
                ..Filter::default()
            };
            // As many as there are, about as many, and half of them.
            let left = n_items - left_out;
            for n in [left / 2, left - 1, left, left + 1, n_items] {
                let n = n.max(1);
                assert_alone_as_together(&index, (&p, &q), n, filter);
            }
        }
    }
}

#[test]
fn one_user_alone_gets_what_is_left_of_a_large_catalogue_without_its_best() {
    let n_items = 40_000;
    let mut rng = Rng::at(13, 0, 0);
    let mut normal = |rows| Array2::from_shape_fn((rows, 5), |_| rng.normal() as f32);
    let (p, q) = (normal(10), normal(n_items));
    let index = FactorIndex::new(q.view()).expect("memory");
    for n_best in [15, 50, 900] {
        // What anybody likes best.
        let mut excluded: Vec<i32> = Vec::new();
        for user in p.rows() {
            let scores = q.dot(&user);
            let mut order: Vec<i32> = (0..n_items as i32).collect();
            order.sort_unstable_by(|&a, &b| scores[b as usize].total_cmp(&scores[a as usize]));
            excluded.extend(&order[..n_best]);
        }
        excluded.sort_unstable();
        excluded.dedup();
        let filter = Filter {
            excluded: Some(Items::Same(&excluded)),
            ..Filter::default()
        };
        for n in [1, 20] {
            assert_alone_as_together(&index, (&p, &q), n, filter);
        }
    }
}

/// Every user has the same list alone as with all others.
fn assert_alone_as_together(
    index: &FactorIndex,
    (p, q): (&Array2<f32>, &Array2<f32>),
    n: usize,
    filter: Filter,
) {
    let users: Vec<i64> = (0..p.nrows() as i64).collect();
    let rank = |users: &[i64]| {
        let shape = (p.nrows(), q.nrows());
        let request = Request::try_new(shape, users, n, filter).expect("valid");
        let lists = index.rank(p.view(), q.view(), Rows::ByUser, &request, &Progress::new());
        lists.expect("ranks")
    };
    let all = rank(&users);
    for at in 0..users.len() {
        let one = rank(&users[at..=at]);
        let place = at * n..(at + 1) * n;
        assert_eq!(one.items, all.items[place.clone()], "user {at}, n {n}");
        assert_eq!(one.scores, all.scores[place], "user {at}, n {n}");
    }
}

#[test]
fn rounding_factors_to_bytes_leaves_out_no_item_of_a_list() {
    for (n_items, k) in [(3000, 19), (1500, 1), (1500, 600)] {
        rounding_leaves_out_no_item(n_items, k);
    }
}

fn rounding_leaves_out_no_item(n_items: usize, k: usize) {
    let mut rng = Rng::at(9, 0, 0);
    let normal = Array2::from_shape_fn((n_items, k), |_| rng.normal() as f32);
    // Scores that are nearly equal, of any size, too small to be normal, exact in bytes, and zero.
    let kinds = [
        normal.mapv(|x| 1.0 + x * 1e-6),
        Array2::from_shape_fn(
            (n_items, k),
            |(i, f)| {
                if f == 0 { 1e4 } else { normal[(i, f)] }
            },
        ),
        Array2::from_shape_fn((n_items, k), |(i, f)| {
            normal[(i, f)] * 10f32.powi(i as i32 % 9 - 4)
        }),
        normal.mapv(|x| x * 1e-21),
        normal.mapv(|x| x * 1e-40),
        normal.mapv(|x| x * 1e17),
        normal.mapv(|x| (x * 40.0).round()),
        normal.mapv(f32::round),
        Array2::zeros((n_items, k)),
    ];
    for q in &kinds {
        let index = FactorIndex::new(q.view()).expect("memory");
        // Some like what is like an item, others what is not.
        let p = Array2::from_shape_fn((40, k), |(u, f)| {
            let sign = if u % 2 == 0 { 1.0 } else { -1.0 };
            sign * (q[(u * 31, f)] + 0.3 * q[(u, f)])
        });
        for n in [1, 10, 400] {
            assert_alone_as_together(&index, (&p, q), n, Filter::default());
        }
    }
}

#[test]
fn a_factor_that_is_not_finite_is_refused_for_one_user_too() {
    for odd in [f32::NAN, f32::INFINITY] {
        let mut q = random(500, 4, 2);
        q[(321, 2)] = odd;
        let p = Array2::ones((1, 4));
        let request = Request::try_new((1, 500), &[0], 5, Filter::default()).expect("valid");
        assert!(matches!(
            rank_by_factors(&p, &q, &request),
            Err(Error::NonFinite(_))
        ));
    }
}

fn of_user(items: Option<Items<'_>>, at: usize) -> Option<Items<'_>> {
    items.map(|items| Items::Same(items.of(at)))
}

/// Weights of both signs at random places.
fn random_weights(n_items: usize) -> CsrMatrix {
    let pattern = random_rows(3, (n_items, n_items), 0.05);
    let cells = pattern.view();
    let mut rng = Rng::at(3, 0, 0);
    let values = (0..cells.nnz()).map(|_| rng.unit() as f32 - 0.2).collect();
    CsrMatrix::try_new(
        n_items,
        cells.indptr().to_vec(),
        cells.indices().to_vec(),
        Some(values),
    )
    .expect("valid")
}

#[test]
fn the_published_order_only_moves_equal_scores() {
    let (n_users, n_items) = (30, 400);
    let scores = random(n_users, n_items, 3);
    let seen = seen(n_users, n_items);
    let users: Vec<i64> = (0..n_users as i64).collect();
    for n in [1, 20, 60, 500] {
        let request =
            Request::try_new((n_users, n_items), &users, n, leaving_out(&seen)).expect("valid");
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
    let request =
        Request::try_new((n_users, n_items), &users, 10, leaving_out(&profiles)).expect("valid");
    let index = ProductIndex::default();
    let lists = index.rank(profiles.view(), weights.view(), &request, &Progress::new());
    assert_eq!(lists.expect("ranks"), naive(&scores, &request));
}

#[test]
fn many_users_get_the_lists_that_few_get() {
    // A thousand users or more with binary profiles have a way of their own.
    let (n_users, n_items) = (1300, 150);
    let profiles = seen(n_users, n_items);
    let weights = random_weights(n_items);
    let users: Vec<i64> = (0..n_users as i64).rev().collect();
    let some: Vec<i32> = (0..n_items as i32).filter(|i| i % 7 != 3).collect();
    for candidates in [None, Some(&some[..]), Some(&some[..5])] {
        for seen in [None, Some(profiles.view())] {
            let lists = |users| {
                let filter = Filter {
                    seen,
                    candidates: candidates.map(Items::Same),
                    excluded: None,
                };
                let request =
                    Request::try_new((n_users, n_items), users, 20, filter).expect("valid");
                ProductIndex::default()
                    .rank(profiles.view(), weights.view(), &request, &Progress::new())
                    .expect("ranks")
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
    let request = Request::try_new((n_users, 2), &users, 1, Filter::default()).expect("valid");
    let index = ProductIndex::default();
    let error = index.rank(profiles.view(), weights.view(), &request, &Progress::new());
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
        let request =
            Request::try_new((n_users, n_items), &users, n, leaving_out(&seen)).expect("valid");
        let lists = rank_by_factors(&p, &q, &request);
        // Halves and small whole numbers: the plain product is exact.
        assert_eq!(lists.expect("ranks"), naive(&p.dot(&q.t()), &request));
    }
}

#[test]
fn a_score_that_is_not_finite_is_refused_naming_the_user() {
    let mut p = random(70, 2, 1);
    p[(66, 0)] = f32::NAN;
    let q = random(50, 2, 2);
    let request = Request::try_new((70, 50), &[3, 66], 5, Filter::default()).expect("valid");
    assert_eq!(
        rank_by_factors(&p, &q, &request),
        Err(Error::NonFinite(
            "user 66 has a score that is not finite".into()
        ))
    );
}

#[test]
fn requests_outside_their_domain_are_named() {
    let message = |users: &[i64], n, candidates: Option<&[i32]>| {
        let filter = Filter {
            candidates: candidates.map(Items::Same),
            ..Filter::default()
        };
        Request::try_new((3, 4), users, n, filter)
            .expect_err("must be refused")
            .to_string()
    };
    assert!(message(&[0], 0, None).contains("n must be between 1"));
    assert!(message(&[3], 1, None).contains("users holds 3, outside 0..3"));
    assert!(message(&[0], 1, Some(&[4])).contains("item 4"));
    assert!(message(&[0], 1, Some(&[2, 2])).contains("2 precedes 2"));
    let one_row = seen(1, 4);
    let filter = Filter {
        excluded: Some(Items::Each(one_row.view())),
        ..Filter::default()
    };
    let error = Request::try_new((3, 4), &[0, 1], 1, filter).expect_err("must be refused");
    assert!(
        error
            .to_string()
            .contains("excluded is 1 x 4, but there are 2")
    );
}
