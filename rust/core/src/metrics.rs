//! Accuracy of recommendation lists, list by list.
//!
//! Objective: with `T` the test items of a user and `L` the first `k` places of a list, padding not
//! counted:
//!
//! | name | value |
//! |---|---|
//! | `precision` | hits / len(L) |
//! | `recall` | hits / len(T) |
//! | `map` | sum over hits of precision at the hit's rank / min(len(T), len(L)) |
//! | `ndcg` | sum over hits of 1 / log2(rank + 1) / the same for min(len(T), len(L)) hits in front |
//! | `mrr` | 1 / rank of the first hit, 0 without one |
//! | `arhr` | sum over hits of 1 / rank |
//! | `hit_rate` | 1 if there is a hit, else 0 |
//! | `mean_hits` | hits (the mean over users is what the GANMF paper calls hit rate) |
//! | `roc_auc` | share of (hit, miss) pairs in order; 1 without a miss, 0 without a hit |
//! | `precision_recall_min_den` | hits / min(len(T), len(L)) |
//!
//! An empty `L` gives 0 everywhere.
//!
//! Source: the evaluator published with the GANMF paper (Dervishaj and Cremonesi, SAC 2022); NDCG
//! by Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 2002.
//! Deviation: `hit_rate` is the usual one, in `[0, 1]`. Means over users, and F1 of mean precision
//! and mean recall, are taken by the caller.
//!
//! Cost: one walk along each list serves every cutoff: O(len(T) + width + cutoffs) a list; one
//! 8-byte mark an item for each thread.

use ndarray::{Array2, Array3, ArrayView1, ArrayView2, Axis};

use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::rows::par_chunks;
use crate::sparse::CsrView;

/// Names of the metrics, in the order of the first axis of [`list_metrics`].
pub const METRIC_NAMES: [&str; N_METRICS] = [
    "precision",
    "recall",
    "map",
    "ndcg",
    "mrr",
    "arhr",
    "hit_rate",
    "mean_hits",
    "roc_auc",
    "precision_recall_min_den",
];

const N_METRICS: usize = 10;
/// Lists per unit of parallel work.
const CHUNK: usize = 128;

/// Every metric of every list: `(metric, cutoff, list)`, metrics in the order of [`METRIC_NAMES`].
///
/// Row `l` of `items` is the list of `users[l]`, a row of `test`; lists end with any number of -1.
///
/// # Errors
/// [`Error::InvalidArgument`] if `users` and `items` differ in length; a cutoff is 0 or above the
/// width of the lists, or there is none; a user is out of range or has no test item; a list holds
/// an item that is out of range, an item twice, or an item after a -1.
pub fn list_metrics(
    items: ArrayView2<'_, i32>,
    test: CsrView<'_>,
    users: &[i64],
    cutoffs: &[usize],
    progress: &Progress,
) -> Result<Array3<f64>> {
    let (n_lists, width) = items.dim();
    if users.len() != n_lists {
        return Err(Error::invalid(format!(
            "users has {} entries but items has {n_lists} lists",
            users.len()
        )));
    }
    let order = ascending(cutoffs, width)?;
    let discounts = Discounts::new(width);
    let scratch = || Marks::new(test.n_cols());
    let chunks = par_chunks(n_lists, CHUNK, progress, scratch, |marks, range| {
        let mut out = Array3::zeros((N_METRICS, cutoffs.len(), range.len()));
        for (slot, list) in range.enumerate() {
            let wanted = test_items(test, users[list], list)?;
            let found = marks.check(list, items.row(list), wanted)?;
            let mut walk = Walk::new(wanted.len(), &discounts);
            for &at in &order {
                walk.advance(&found, cutoffs[at]);
                for (metric, value) in walk.values().into_iter().enumerate() {
                    out[[metric, at, slot]] = value;
                }
            }
            progress.advance(1)?;
        }
        Ok(out)
    })?;

    let mut flat = Vec::with_capacity(N_METRICS * cutoffs.len() * n_lists);
    for metric in 0..N_METRICS {
        for at in 0..cutoffs.len() {
            for chunk in &chunks {
                flat.extend(chunk.index_axis(Axis(0), metric).row(at));
            }
        }
    }
    let shape = (N_METRICS, cutoffs.len(), n_lists);
    Ok(Array3::from_shape_vec(shape, flat).expect("one value a metric, cutoff and list"))
}

/// How often each item stands in the first `cutoff` places of a list: `(cutoff, item)`.
///
/// # Errors
/// [`Error::InvalidArgument`] for a cutoff or a list that [`list_metrics`] would refuse.
pub fn item_counts(
    items: ArrayView2<'_, i32>,
    n_items: usize,
    cutoffs: &[usize],
    progress: &Progress,
) -> Result<Array2<i64>> {
    let order = ascending(cutoffs, items.ncols())?;
    let mut counts = Array2::zeros((cutoffs.len(), n_items));
    let mut marks = Marks::new(n_items);
    progress.start(items.nrows() as u64);
    for (list, row) in items.rows().into_iter().enumerate() {
        let filled = marks.check(list, row, &[])?.len();
        let mut start = 0;
        for &at in &order {
            let end = cutoffs[at].min(filled);
            for &item in row.iter().take(end).skip(start) {
                counts[[at, item as usize]] += 1;
            }
            start = end;
        }
        progress.advance(1)?;
    }
    // So far a count holds what the next smaller cutoff does not; sum up along the cutoffs.
    for pair in order.windows(2) {
        let smaller = counts.row(pair[0]).to_owned();
        let mut larger = counts.row_mut(pair[1]);
        larger += &smaller;
    }
    Ok(counts)
}

/// Positions of the cutoffs by ascending cutoff.
fn ascending(cutoffs: &[usize], width: usize) -> Result<Vec<usize>> {
    if cutoffs.is_empty() {
        return Err(Error::invalid("cutoffs is empty; it needs one at least"));
    }
    let mut order: Vec<usize> = (0..cutoffs.len()).collect();
    order.sort_by_key(|&at| cutoffs[at]);
    for (nth, &at) in order.iter().enumerate() {
        let cutoff = cutoffs[at];
        if cutoff == 0 || cutoff > width {
            return Err(Error::invalid(format!(
                "cutoff {cutoff} is outside 1..={width}, the width of the lists"
            )));
        }
        if nth > 0 && cutoffs[order[nth - 1]] == cutoff {
            return Err(Error::invalid(format!("cutoff {cutoff} is given twice")));
        }
    }
    Ok(order)
}

fn test_items(test: CsrView<'_>, user: i64, list: usize) -> Result<&[i32]> {
    let n_users = test.n_rows();
    match usize::try_from(user).ok().filter(|&u| u < n_users) {
        None => Err(Error::invalid(format!(
            "users[{list}] is {user}, outside 0..{n_users}"
        ))),
        Some(row) if test.row_len(row) == 0 => Err(Error::invalid(format!(
            "users[{list}] is {user}, who has no test item"
        ))),
        Some(row) => Ok(test.cols(row)),
    }
}

/// What was last seen of every item, stamped with the list, so that nothing is ever cleared.
struct Marks {
    last: Vec<u64>,
}

impl Marks {
    fn new(n_items: usize) -> Self {
        Self {
            last: vec![0; n_items],
        }
    }

    /// Check one list; true for a hit, one entry a place that is filled.
    ///
    /// Every call needs another `list`.
    fn check(
        &mut self,
        list: usize,
        row: ArrayView1<'_, i32>,
        wanted: &[i32],
    ) -> Result<Vec<bool>> {
        let is_wanted = 2 * list as u64 + 1;
        let is_listed = is_wanted + 1;
        for &item in wanted {
            self.last[item as usize] = is_wanted;
        }
        let n_items = self.last.len();
        let mut found = Vec::with_capacity(row.len());
        for (place, &item) in row.iter().enumerate() {
            if item == -1 {
                continue;
            }
            let problem = match usize::try_from(item).ok().filter(|&i| i < n_items) {
                None => format!("holds item {item}, outside 0..{n_items}"),
                Some(_) if found.len() < place => {
                    format!("holds item {item} at place {place}, after a -1")
                }
                Some(i) if self.last[i] == is_listed => format!("holds item {item} twice"),
                Some(i) => {
                    found.push(self.last[i] == is_wanted);
                    self.last[i] = is_listed;
                    continue;
                }
            };
            return Err(Error::invalid(format!("list {list} of items {problem}")));
        }
        Ok(found)
    }
}

/// The discount of each rank, and the best sum that a number of hits can reach.
struct Discounts {
    gain: Vec<f64>,
    ideal: Vec<f64>,
}

impl Discounts {
    fn new(width: usize) -> Self {
        let gain: Vec<f64> = (0..width).map(|r| 1.0 / (r as f64 + 2.0).log2()).collect();
        let mut ideal = vec![0.0];
        let mut sum = 0.0;
        for g in &gain {
            sum += g;
            ideal.push(sum);
        }
        Self { gain, ideal }
    }
}

/// Running sums along one list.
struct Walk<'a> {
    discounts: &'a Discounts,
    n_test: usize,
    place: usize,
    hits: usize,
    first_hit: Option<usize>,
    precisions: f64,
    gains: f64,
    reciprocals: f64,
    /// Pairs of a hit and a miss after it.
    ordered_pairs: usize,
}

impl<'a> Walk<'a> {
    fn new(n_test: usize, discounts: &'a Discounts) -> Self {
        Self {
            discounts,
            n_test,
            place: 0,
            hits: 0,
            first_hit: None,
            precisions: 0.0,
            gains: 0.0,
            reciprocals: 0.0,
            ordered_pairs: 0,
        }
    }

    /// Go on to the first `cutoff` places, or to the end of the list.
    fn advance(&mut self, found: &[bool], cutoff: usize) {
        while self.place < cutoff.min(found.len()) {
            let rank = self.place + 1;
            if found[self.place] {
                self.hits += 1;
                self.first_hit.get_or_insert(rank);
                self.precisions += self.hits as f64 / rank as f64;
                self.gains += self.discounts.gain[self.place];
                self.reciprocals += 1.0 / rank as f64;
            } else {
                self.ordered_pairs += self.hits;
            }
            self.place = rank;
        }
    }

    /// The metrics of the places so far, in the order of [`METRIC_NAMES`].
    fn values(&self) -> [f64; N_METRICS] {
        if self.place == 0 {
            return [0.0; N_METRICS];
        }
        let hits = self.hits as f64;
        let reachable = self.n_test.min(self.place);
        let misses = self.place - self.hits;
        let roc_auc = match (self.hits, misses) {
            (_, 0) => 1.0,
            (0, _) => 0.0,
            (h, m) => self.ordered_pairs as f64 / (h as f64 * m as f64),
        };
        [
            hits / self.place as f64,
            hits / self.n_test as f64,
            self.precisions / reachable as f64,
            self.gains / self.discounts.ideal[reachable],
            self.first_hit.map_or(0.0, |rank| 1.0 / rank as f64),
            self.reciprocals,
            f64::from(u8::from(self.hits > 0)),
            hits,
            roc_auc,
            hits / reachable as f64,
        ]
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::sparse::CsrMatrix;

    fn test_set() -> CsrMatrix {
        CsrMatrix::try_new(8, vec![0, 3, 3, 4], vec![1, 3, 5, 0], None).expect("valid")
    }

    fn measure(items: &Array2<i32>, users: &[i64], cutoffs: &[usize]) -> Result<Array3<f64>> {
        list_metrics(
            items.view(),
            test_set().view(),
            users,
            cutoffs,
            &Progress::new(),
        )
    }

    fn refusal(items: Array2<i32>, users: &[i64], cutoffs: &[usize]) -> String {
        measure(&items, users, cutoffs)
            .expect_err("must be refused")
            .to_string()
    }

    #[test]
    fn a_list_worked_out_by_hand() {
        // Test items 1, 3, 5; hits at ranks 2 and 3 of 4.
        let m = measure(&array![[7, 3, 1, 0]], &[0], &[4]).expect("valid");
        let log = |r: f64| 1.0 / (r + 1.0).log2();
        let expected = [
            0.5,
            2.0 / 3.0,
            (1.0 / 2.0 + 2.0 / 3.0) / 3.0,
            (log(2.0) + log(3.0)) / (log(1.0) + log(2.0) + log(3.0)),
            0.5,
            0.5 + 1.0 / 3.0,
            1.0,
            2.0,
            2.0 / 4.0,
            2.0 / 3.0,
        ];
        for (name, (got, want)) in METRIC_NAMES.iter().zip(m.iter().zip(expected)) {
            assert!(
                (got - want).abs() < 1e-15,
                "{name}: {got} instead of {want}"
            );
        }
    }

    #[test]
    fn padding_shortens_the_list_and_an_empty_list_scores_zero() {
        let m = measure(&array![[1, -1, -1], [-1, -1, -1]], &[0, 2], &[3, 1]).expect("valid");
        assert_eq!(m[[0, 0, 0]], 1.0, "one hit in a list of one");
        assert_eq!(
            m[[2, 0, 0]],
            1.0,
            "the ideal is cut at the length of the list"
        );
        let first_list = m.index_axis(Axis(2), 0);
        assert_eq!(first_list.column(0), first_list.column(1));
        assert!(m.index_axis(Axis(2), 1).iter().all(|&v| v == 0.0));
    }

    #[test]
    fn bad_lists_are_refused_by_name() {
        let users = [2, 0];
        let with = |bad: [i32; 3]| refusal(array![[0, 1, 2], bad], &users, &[3]);
        assert!(with([1, 2, 1]).contains("list 1 of items holds item 1 twice"));
        assert!(with([6, 2, 6]).contains("holds item 6 twice"));
        assert!(with([1, 2, 8]).contains("item 8, outside 0..8"));
        assert!(with([1, -2, 3]).contains("item -2, outside"));
        assert!(with([1, -1, 3]).contains("item 3 at place 2, after a -1"));
    }

    #[test]
    fn bad_users_and_cutoffs_are_refused_by_value() {
        let list = || array![[0, 1, 2]];
        assert!(refusal(list(), &[1], &[3]).contains("users[0] is 1, who has no test item"));
        assert!(refusal(list(), &[3], &[3]).contains("users[0] is 3, outside 0..3"));
        assert!(refusal(list(), &[-1], &[3]).contains("users[0] is -1"));
        assert!(refusal(list(), &[0, 0], &[3]).contains("2 entries but items has 1 lists"));
        assert!(refusal(list(), &[0], &[0]).contains("cutoff 0 is outside 1..=3"));
        assert!(refusal(list(), &[0], &[4, 1]).contains("cutoff 4 is outside"));
        assert!(refusal(list(), &[0], &[2, 2]).contains("cutoff 2 is given twice"));
        assert!(refusal(list(), &[0], &[]).contains("cutoffs is empty"));
    }

    #[test]
    fn counts_of_items_add_up_over_the_cutoffs() {
        let items = array![[0, 1, 2], [0, 2, -1], [1, 0, 3]];
        let counts = item_counts(items.view(), 5, &[3, 1, 2], &Progress::new()).expect("valid");
        assert_eq!(
            counts,
            array![[3, 2, 2, 1, 0], [2, 1, 0, 0, 0], [3, 2, 1, 0, 0]]
        );
        let refused = item_counts(items.view(), 3, &[1], &Progress::new()).expect_err("refused");
        assert!(refused.to_string().contains("list 2 of items holds item 3"));
    }

    #[test]
    fn no_lists_give_an_empty_answer() {
        let m = measure(&Array2::zeros((0, 5)), &[], &[5]).expect("valid");
        assert_eq!(m.dim(), (N_METRICS, 1, 0));
    }
}
