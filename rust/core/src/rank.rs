//! Exact top-N lists over the whole catalogue, never users x items in memory.
//!
//! Objective: for each user the `n` items of highest score among the candidates that the user has
//! not seen, best first, ties to the smaller item number; `-1` / `-inf` pad lists that run out of
//! items. Four forms of scores: item weights, factors, popularity, and dense blocks made elsewhere.
//!
//! Method: scores of one user (or of a tile of users, for factors, from a blocked matrix product)
//! are made in a buffer that stays in the cache, seen items are set to minus infinity, and the buffer
//! is scanned in short blocks against the score of the n-th best so far; only what passes is
//! collected. Items are visited in ascending order, so a tie can never displace an earlier item.
//! A score that is not finite is refused, naming the user.
//!
//! Cost: O(users x items) scanned for dense forms, O(users x n) in memory, plus one buffer per
//! thread: the catalogue for one user, or a tile of 64 users x 512 items for factors.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, Axis, Slice};

use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::rows::par_chunks;
use crate::sparse::CsrView;
use crate::topk::{Scored, keep_top, sort_top};

/// Users per unit of work, and rows of a tile of factors.
const USERS: usize = 64;
/// Items per tile of factors: the tile's scores (128 KiB) stay in the second-level cache.
const ITEMS: usize = 512;
/// Scores compared at once against the threshold.
const BLOCK: usize = 32;

/// Which lists are asked for; validated when it is made.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    users: &'a [i64],
    n: usize,
    n_items: usize,
    seen: Option<CsrView<'a>>,
    candidates: Option<&'a [i32]>,
}

/// Lists of `n` items for each user asked for, row after row.
#[derive(Debug, Clone, PartialEq)]
pub struct Lists {
    /// Item numbers, padded with -1.
    pub items: Vec<i32>,
    /// Their scores, padded with minus infinity.
    pub scores: Vec<f32>,
}

impl<'a> Request<'a> {
    /// Lists of length `n` for `users` out of `n_users`, over a catalogue of `n_items`.
    ///
    /// Items in the user's row of `seen` are left out; with `candidates` (ascending item numbers)
    /// only those are considered.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] naming the argument and the offending value.
    pub fn try_new(
        (n_users, n_items): (usize, usize),
        users: &'a [i64],
        n: usize,
        seen: Option<CsrView<'a>>,
        candidates: Option<&'a [i32]>,
    ) -> Result<Self> {
        if n == 0 || n > i32::MAX as usize {
            return Err(Error::invalid(format!(
                "n must be between 1 and {}, not {n}",
                i32::MAX
            )));
        }
        if let Some(user) = users.iter().find(|&&u| u < 0 || u as usize >= n_users) {
            return Err(Error::invalid(format!(
                "users holds {user}, outside 0..{n_users}"
            )));
        }
        if let Some(seen) = seen
            && (seen.n_rows() != n_users || seen.n_cols() != n_items)
        {
            return Err(Error::invalid(format!(
                "seen is {} x {}, but the model knows {n_users} users and {n_items} items",
                seen.n_rows(),
                seen.n_cols()
            )));
        }
        if let Some(candidates) = candidates {
            if let Some(item) = candidates.iter().find(|&&i| i < 0 || i as usize >= n_items) {
                return Err(Error::invalid(format!(
                    "candidates holds item {item}, outside 0..{n_items}"
                )));
            }
            if let Some([a, b]) = candidates.windows(2).find(|w| w[0] >= w[1]) {
                return Err(Error::invalid(format!(
                    "candidates must ascend without repetition, but {a} precedes {b}"
                )));
            }
        }
        Ok(Self {
            users,
            n,
            n_items,
            seen,
            candidates,
        })
    }

    /// The user at a position of the request.
    pub(crate) fn user(&self, at: usize) -> usize {
        self.users[at] as usize
    }

    fn seen_by(&self, user: usize) -> &'a [i32] {
        self.seen.map_or(&[], |seen| seen.cols(user))
    }

    /// Columns of the score buffer: all items, or the candidates in order.
    fn columns(&self) -> Columns<'a> {
        let position = self.candidates.map(|candidates| {
            let mut position = vec![-1; self.n_items];
            for (at, &item) in candidates.iter().enumerate() {
                position[item as usize] = at as i32;
            }
            position
        });
        Columns {
            candidates: self.candidates,
            position,
            len: self.candidates.map_or(self.n_items, <[i32]>::len),
        }
    }
}

/// The map between items and columns of a score buffer; both ascend together.
struct Columns<'a> {
    candidates: Option<&'a [i32]>,
    position: Option<Vec<i32>>,
    len: usize,
}

impl Columns<'_> {
    #[inline]
    fn item(&self, column: usize) -> i32 {
        self.candidates.map_or(column as i32, |c| c[column])
    }

    #[inline]
    fn column(&self, item: i32) -> Option<usize> {
        match &self.position {
            None => Some(item as usize),
            Some(position) => usize::try_from(position[item as usize]).ok(),
        }
    }
}

/// The best `n` of scores that arrive by ascending column.
struct Selector {
    n: usize,
    limit: usize,
    threshold: f32,
    kept: Vec<Scored>,
}

impl Selector {
    fn new(n: usize, n_columns: usize) -> Self {
        let n = n.min(n_columns);
        let limit = (4 * n).max(64);
        Self {
            n,
            limit,
            threshold: f32::NEG_INFINITY,
            kept: Vec::with_capacity(limit + BLOCK),
        }
    }

    /// Scan `scores`, which belong to the columns from `first` on.
    fn scan(&mut self, scores: &[f32], first: usize, columns: &Columns) {
        for (b, block) in scores.chunks(BLOCK).enumerate() {
            // A branch-free pass the compiler turns into a few vector comparisons.
            let above: u32 = block.iter().map(|&s| u32::from(s > self.threshold)).sum();
            if above == 0 {
                continue;
            }
            let start = first + b * BLOCK;
            for (at, &score) in block.iter().enumerate() {
                if score > self.threshold {
                    self.kept.push(Scored {
                        index: columns.item(start + at),
                        score,
                    });
                }
            }
            if self.kept.len() >= self.limit {
                keep_top(&mut self.kept, self.n);
                self.raise_threshold();
            }
        }
    }

    /// After `keep_top` the last entry is the n-th best, for it was selected there.
    fn raise_threshold(&mut self) {
        if self.kept.len() == self.n
            && let Some(last) = self.kept.last()
        {
            self.threshold = last.score;
        }
    }

    /// Write the list, best first, padded to its width, and start afresh.
    fn finish(&mut self, width: usize, lists: &mut Lists) {
        sort_top(&mut self.kept, self.n);
        // A zero is shown as it is, not as the minus zero some kernel left behind.
        lists.items.extend(self.kept.iter().map(|s| s.index));
        lists.scores.extend(self.kept.iter().map(|s| s.score + 0.0));
        let padding = width - self.kept.len();
        lists.items.extend(std::iter::repeat_n(-1, padding));
        lists
            .scores
            .extend(std::iter::repeat_n(f32::NEG_INFINITY, padding));
        self.kept.clear();
        self.threshold = f32::NEG_INFINITY;
    }
}

/// Fails if one of `scores` is NaN or infinite; a vectorised sum of zeros in the good case.
fn check_finite(scores: &[f32], user: i64) -> Result<()> {
    let sum: f32 = scores
        .chunks(BLOCK)
        .map(|block| block.iter().map(|s| s * 0.0).sum::<f32>())
        .sum();
    if sum == 0.0 {
        return Ok(());
    }
    Err(Error::NonFinite(format!(
        "user {user} has a score that is not finite"
    )))
}

fn join(parts: Vec<Lists>) -> Lists {
    let len = parts.iter().map(|p| p.items.len()).sum();
    let mut all = Lists {
        items: Vec::with_capacity(len),
        scores: Vec::with_capacity(len),
    };
    for part in parts {
        all.items.extend_from_slice(&part.items);
        all.scores.extend_from_slice(&part.scores);
    }
    all
}

/// One user's scores at a time, made by `score(user's position in the request, buffer)`.
pub(crate) fn rank_rows(
    request: &Request,
    progress: &Progress,
    score: impl Fn(usize, &mut [f32]) + Sync,
) -> Result<Lists> {
    let columns = request.columns();
    let parts = par_chunks(
        request.users.len(),
        USERS,
        progress,
        || {
            let all = vec![0f32; request.n_items];
            let candidates = vec![0f32; request.candidates.map_or(0, <[i32]>::len)];
            (all, candidates, Selector::new(request.n, columns.len))
        },
        |(all, some, selector), range| {
            let mut lists = Lists {
                items: Vec::with_capacity(range.len() * request.n),
                scores: Vec::with_capacity(range.len() * request.n),
            };
            for at in range {
                let user = request.users[at];
                score(at, all);
                check_finite(all, user)?;
                for &item in request.seen_by(user as usize) {
                    all[item as usize] = f32::NEG_INFINITY;
                }
                let scores = match request.candidates {
                    None => &*all,
                    Some(candidates) => {
                        for (slot, &item) in some.iter_mut().zip(candidates) {
                            *slot = all[item as usize];
                        }
                        &*some
                    }
                };
                selector.scan(scores, 0, &columns);
                selector.finish(request.n, &mut lists);
                progress.advance(1)?;
            }
            Ok(lists)
        },
    )?;
    Ok(join(parts))
}

/// Lists from item weights: the scores of a user are the profile times `weights`.
///
/// Rows of `weights` are history items. Contributions are added in the order of the profile, in
/// f32. Items the profile does not reach score zero and can fill a list.
///
/// # Errors
/// [`Error::InvalidArgument`] if the shapes do not fit, [`Error::NonFinite`], `Cancelled`.
pub fn rank_item_weights(
    weights: CsrView,
    profiles: CsrView,
    request: &Request,
    progress: &Progress,
) -> Result<Lists> {
    let n_items = request.n_items;
    if weights.n_rows() != n_items || weights.n_cols() != n_items || profiles.n_cols() != n_items {
        return Err(Error::invalid(format!(
            "weights is {} x {} and profiles has {} columns, but there are {n_items} items",
            weights.n_rows(),
            weights.n_cols(),
            profiles.n_cols()
        )));
    }
    check_users(request, profiles.n_rows(), "profiles")?;
    rank_rows(request, progress, |at, scores| {
        scores.fill(0.0);
        for (i, x) in profiles.row(request.users[at] as usize) {
            for (j, w) in weights.row(i) {
                scores[j] += x * w;
            }
        }
    })
}

/// Lists from rows of scores made elsewhere: row r belongs to the r-th user of the request.
///
/// # Errors
/// [`Error::InvalidArgument`] if the shape does not fit, [`Error::NonFinite`], `Cancelled`.
pub fn rank_scores(
    scores: ArrayView2<f32>,
    request: &Request,
    progress: &Progress,
) -> Result<Lists> {
    if scores.dim() != (request.users.len(), request.n_items) {
        return Err(Error::invalid(format!(
            "scores is {} x {}, but there are {} users asked for and {} items",
            scores.nrows(),
            scores.ncols(),
            request.users.len(),
            request.n_items
        )));
    }
    rank_rows(request, progress, |at, buffer| {
        for (slot, &score) in buffer.iter_mut().zip(scores.row(at)) {
            *slot = score;
        }
    })
}

/// Lists of the items of highest score, the same order for everybody.
///
/// # Errors
/// [`Error::InvalidArgument`] if the length does not fit, [`Error::NonFinite`], `Cancelled`.
pub fn rank_popularity(
    item_scores: &[f32],
    request: &Request,
    progress: &Progress,
) -> Result<Lists> {
    if item_scores.len() != request.n_items {
        return Err(Error::invalid(format!(
            "item_scores has length {}, but there are {} items",
            item_scores.len(),
            request.n_items
        )));
    }
    if let Some(item) = item_scores.iter().position(|s| !s.is_finite()) {
        return Err(Error::NonFinite(format!(
            "item_scores[{item}] is not finite"
        )));
    }
    let columns = request.columns();
    let mut order: Vec<Scored> = (0..columns.len)
        .map(|column| {
            let index = columns.item(column);
            Scored {
                index,
                score: item_scores[index as usize],
            }
        })
        .collect();
    order.sort_unstable_by(Scored::rank_order);
    let parts = par_chunks(
        request.users.len(),
        USERS,
        progress,
        || vec![false; request.n_items],
        |is_seen, range| {
            let mut lists = Lists {
                items: Vec::with_capacity(range.len() * request.n),
                scores: Vec::with_capacity(range.len() * request.n),
            };
            for at in range {
                let seen = request.seen_by(request.users[at] as usize);
                for &item in seen {
                    is_seen[item as usize] = true;
                }
                let start = lists.items.len();
                for s in order.iter().filter(|s| !is_seen[s.index as usize]) {
                    if lists.items.len() - start == request.n {
                        break;
                    }
                    lists.items.push(s.index);
                    lists.scores.push(s.score);
                }
                lists.items.resize(start + request.n, -1);
                lists.scores.resize(start + request.n, f32::NEG_INFINITY);
                for &item in seen {
                    is_seen[item as usize] = false;
                }
                progress.advance(1)?;
            }
            Ok(lists)
        },
    )?;
    Ok(join(parts))
}

/// Lists from factors: the score of a user and an item is the inner product of their rows.
///
/// Each score is summed over the factors in one order whatever the tile it lies in.
///
/// # Errors
/// [`Error::InvalidArgument`] if the shapes do not fit, [`Error::NonFinite`], `Cancelled`.
pub fn rank_factors(
    user_factors: ArrayView2<f32>,
    item_factors: ArrayView2<f32>,
    request: &Request,
    progress: &Progress,
) -> Result<Lists> {
    if user_factors.ncols() != item_factors.ncols() || item_factors.nrows() != request.n_items {
        return Err(Error::invalid(format!(
            "user_factors is {} x {} and item_factors {} x {}, but there are {} items",
            user_factors.nrows(),
            user_factors.ncols(),
            item_factors.nrows(),
            item_factors.ncols(),
            request.n_items
        )));
    }
    check_users(request, user_factors.nrows(), "user_factors")?;
    let columns = request.columns();
    let chosen;
    let item_factors = match request.candidates {
        None => item_factors,
        Some(candidates) => {
            let rows: Vec<usize> = candidates.iter().map(|&i| i as usize).collect();
            chosen = item_factors.select(Axis(0), &rows);
            chosen.view()
        }
    };
    let parts = par_chunks(
        request.users.len(),
        USERS,
        progress,
        || {
            let tile = Array2::<f32>::zeros((USERS, ITEMS));
            let selectors: Vec<Selector> = (0..USERS)
                .map(|_| Selector::new(request.n, columns.len))
                .collect();
            (tile, selectors)
        },
        |(tile, selectors), range| {
            let users = &request.users[range];
            let rows: Vec<usize> = users.iter().map(|&u| u as usize).collect();
            let left = user_factors.select(Axis(0), &rows);
            let mut cursors = vec![0; users.len()];
            for first in (0..columns.len).step_by(ITEMS) {
                progress.check()?;
                let width = ITEMS.min(columns.len - first);
                let right = item_factors.slice_axis(Axis(0), Slice::from(first..first + width));
                let mut out = tile.slice_axis_mut(Axis(0), Slice::from(..users.len()));
                out.slice_axis_inplace(Axis(1), Slice::from(..width));
                general_mat_mul(1.0, &left, &right.t(), 0.0, &mut out);
                for ((&user, mut row), (cursor, selector)) in users
                    .iter()
                    .zip(out.rows_mut())
                    .zip(cursors.iter_mut().zip(selectors.iter_mut()))
                {
                    let Some(scores) = row.as_slice_mut() else {
                        return Err(Error::invalid("a tile of scores is not contiguous"));
                    };
                    check_finite(scores, user)?;
                    let seen = request.seen_by(user as usize);
                    while let Some(&item) = seen.get(*cursor) {
                        match columns.column(item) {
                            Some(column) if column >= first + width => break,
                            Some(column) => scores[column - first] = f32::NEG_INFINITY,
                            None => {}
                        }
                        *cursor += 1;
                    }
                    selector.scan(scores, first, &columns);
                }
            }
            let mut lists = Lists {
                items: Vec::with_capacity(users.len() * request.n),
                scores: Vec::with_capacity(users.len() * request.n),
            };
            for selector in selectors.iter_mut().take(users.len()) {
                selector.finish(request.n, &mut lists);
            }
            progress.advance(users.len() as u64)?;
            Ok(lists)
        },
    )?;
    Ok(join(parts))
}

fn check_users(request: &Request, n_users: usize, name: &str) -> Result<()> {
    match request.users.iter().find(|&&u| u as usize >= n_users) {
        Some(user) => Err(Error::invalid(format!(
            "users holds {user}, but {name} has {n_users} rows"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use crate::sparse::CsrMatrix;

    fn random(rows: usize, cols: usize, stream: u64) -> Array2<f32> {
        let mut rng = Rng::at(1, stream, 0);
        // Few distinct values, so that ties are common.
        Array2::from_shape_fn((rows, cols), |_| rng.below(5) as f32 - 2.0)
    }

    fn seen(rows: usize, cols: usize) -> CsrMatrix {
        let mut indptr = vec![0];
        let mut indices = Vec::new();
        for row in 0..rows {
            let mut rng = Rng::at(2, 0, row as u64);
            indices.extend((0..cols as i32).filter(|_| rng.unit() < 0.3));
            indptr.push(indices.len() as i64);
        }
        CsrMatrix::try_new(cols, indptr, indices, None).expect("valid")
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
                    let factors =
                        rank_factors(p.view(), q.view(), &request, &progress).expect("ranks");
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
        let lists = rank_item_weights(weights.view(), profiles.view(), &request, &Progress::new())
            .expect("ranks");
        assert_eq!(lists, naive(&scores, &request));
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
}
