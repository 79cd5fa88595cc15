//! Metrics of top-N lists, one list at a time, at any number of cutoffs.
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
//! | `roc_auc` | fraction of (hit, miss) pairs in order; 1 without a miss, 0 without a hit |
//! | `precision_recall_min_den` | hits / min(len(T), len(L)) |
//! | `map_total` | as `map`, divided by len(T) |
//! | `map_cutoff` | as `map`, divided by k |
//! | `ndcg_graded` | as `ndcg`, a hit counting as much as its value in the test set |
//! | `novelty` | sum over L of -log2(fraction of interactions with the item) / number of items |
//! | `average_popularity` | mean over L of popularity / largest popularity |
//!
//! An empty `L` gives 0 everywhere.
//!
//! Source: the evaluator published with the GANMF paper (Dervishaj and Cremonesi, SAC 2022); NDCG
//! by Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 2002.
//! Deviation: `hit_rate` is the usual one, in `[0, 1]`. Means over users, and F1 of mean precision
//! and mean recall, are taken by the caller.
//!
//! Guarantee: sums over lists are exact ([`fixed_point`]), hence the same in any order, in blocks
//! and in shards.
//!
//! Cost: the list is stamped into an array as long as the catalogue and the test items are looked
//! up in it, so that what follows touches hits only: O(len(T) + width + hits x cutoffs) a list;
//! 4 bytes an item, and 4 more for each cutoff, for each thread.

pub mod fixed_point;
mod list;
mod measure;
mod metric;

pub use measure::{Measured, MetricsRequest, Popularity, measure};
pub use metric::{METRIC_NAMES, Metric};

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Axis, array};

    use super::*;
    use crate::base::{CsrMatrix, Progress, Result};

    /// Users 0 and 2 have test items; the values matter to `ndcg_graded` only.
    fn test_set() -> CsrMatrix {
        let values = Some(vec![1.0, 2.0, 4.0, 3.0]);
        CsrMatrix::try_new(8, vec![0, 3, 3, 4], vec![1, 3, 5, 0], values).expect("valid")
    }

    /// Items 0, 1, 2 with 2, 1, 1 users; the other items are cold.
    fn train_set() -> CsrMatrix {
        CsrMatrix::try_new(8, vec![0, 2, 3, 4], vec![0, 1, 0, 2], None).expect("valid")
    }

    fn measured(items: &Array2<i32>, users: &[i64], cutoffs: &[usize]) -> Result<Measured> {
        let popularity = Popularity::new(train_set().view()).expect("small");
        let request = MetricsRequest {
            metrics: &Metric::ALL,
            cutoffs,
            popularity: Some(&popularity),
            keep: true,
            count: true,
        };
        measure(
            items.view(),
            test_set().view(),
            users,
            request,
            &Progress::new(),
        )
    }

    fn refusal(items: Array2<i32>, users: &[i64], cutoffs: &[usize]) -> String {
        measured(&items, users, cutoffs)
            .expect_err("must be refused")
            .to_string()
    }

    #[test]
    fn a_list_worked_out_by_hand() {
        // Test items 1, 3, 5 with values 1, 2, 4; hits at ranks 2 and 3 of 4.
        let found = measured(&array![[7, 3, 1, 0]], &[0], &[4]).expect("valid");
        let log = |r: f64| 1.0 / (r + 1.0).log2();
        let precisions = 1.0 / 2.0 + 2.0 / 3.0;
        let expected = [
            0.5,
            2.0 / 3.0,
            precisions / 3.0,
            (log(2.0) + log(3.0)) / (log(1.0) + log(2.0) + log(3.0)),
            0.5,
            0.5 + 1.0 / 3.0,
            1.0,
            2.0,
            2.0 / 4.0,
            2.0 / 3.0,
            precisions / 3.0,
            precisions / 4.0,
            (2.0 * log(2.0) + log(3.0)) / (4.0 * log(1.0) + 2.0 * log(2.0) + log(3.0)),
            // Of 7, 3, 1, 0 the last two are warm, with a quarter and a half of all interactions.
            (2.0 + 1.0) / 8.0,
            (0.5 + 1.0) / 4.0,
        ];
        let values = found.per_list.expect("kept");
        for (at, (name, want)) in METRIC_NAMES.iter().zip(expected).enumerate() {
            let got = values[[at, 0, 0]];
            assert!(
                (got - want).abs() < 1e-15,
                "{name}: {got} instead of {want}"
            );
            assert_eq!(fixed_point::rounded(found.sums[at]), got);
            assert_eq!(Metric::named(name), Some(Metric::ALL[at]));
        }
        assert_eq!(Metric::named("ndgc"), None);
    }

    #[test]
    fn padding_shortens_the_list_and_an_empty_list_scores_zero() {
        let found = measured(&array![[1, -1, -1], [-1, -1, -1]], &[0, 2], &[3, 1]).expect("valid");
        assert_eq!(found.filled, 1);
        let m = found.per_list.expect("kept");
        assert_eq!(m[[0, 0, 0]], 1.0, "one hit in a list of one");
        assert_eq!(
            m[[2, 0, 0]],
            1.0,
            "the ideal is cut at the length of the list"
        );
        assert_eq!(m[[11, 0, 0]], 1.0 / 3.0, "map_cutoff divides by k itself");
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
        assert!(refusal(list(), &[3], &[3]).contains("users[0] is 3, outside 0..3"));
        assert!(refusal(list(), &[-1], &[3]).contains("users[0] is -1"));
        assert!(refusal(list(), &[0, 0], &[3]).contains("2 entries but items has 1 lists"));
        assert!(refusal(list(), &[0], &[0]).contains("cutoff 0 is outside 1..=3"));
        assert!(refusal(list(), &[0], &[4, 1]).contains("cutoff 4 is outside"));
        assert!(refusal(list(), &[0], &[2, 2]).contains("cutoff 2 is given twice"));
        assert!(refusal(list(), &[0], &[]).contains("cutoffs is empty"));
    }

    #[test]
    fn a_popularity_that_is_missing_or_of_other_items_is_refused() {
        let with = |popularity: Option<&Popularity>| {
            let request = MetricsRequest {
                metrics: &[Metric::Novelty],
                cutoffs: &[1],
                popularity,
                keep: false,
                count: false,
            };
            let (items, test) = (array![[0]], test_set());
            measure(items.view(), test.view(), &[0], request, &Progress::new())
                .expect_err("must be refused")
                .to_string()
        };
        assert!(with(None).contains("need train, which is missing"));
        let other = CsrMatrix::try_new(3, vec![0, 1], vec![2], None).expect("valid");
        let other = Popularity::new(other.view()).expect("small");
        assert!(with(Some(&other)).contains("train has 3 items but test has 8"));
    }

    #[test]
    fn counts_of_items_add_up_over_the_cutoffs() {
        let items = array![[0, 1, 2], [0, 2, -1]];
        let found = measured(&items, &[0, 2], &[3, 1, 2]).expect("valid");
        assert_eq!(
            found.counts.expect("counted"),
            array![
                [2, 1, 2, 0, 0, 0, 0, 0],
                [2, 0, 0, 0, 0, 0, 0, 0],
                [2, 1, 1, 0, 0, 0, 0, 0]
            ]
        );
    }

    #[test]
    fn a_user_without_test_items_is_left_out_but_the_list_is_checked() {
        let items = array![[0, 1, 2], [5, 3, 1], [0, 3, 4]];
        let all = measured(&items, &[2, 1, 0], &[3]).expect("valid");
        let without = array![[0, 1, 2], [0, 3, 4]];
        let without = measured(&without, &[2, 0], &[3]).expect("valid");
        assert_eq!(all.sums, without.sums);
        assert_eq!(all.counts, without.counts);
        assert_eq!((all.filled, without.filled), (2, 2));
        let values = all.per_list.expect("kept");
        assert!(values.index_axis(Axis(2), 1).iter().all(|v| v.is_nan()));
        let bad = array![[0, 1, 2], [5, 5, 1], [0, 3, 4]];
        assert!(refusal(bad, &[2, 1, 0], &[3]).contains("list 1 of items holds item 5 twice"));
    }

    #[test]
    fn no_lists_give_an_empty_answer() {
        let found = measured(&Array2::zeros((0, 5)), &[], &[5]).expect("valid");
        assert_eq!(
            found.per_list.expect("kept").dim(),
            (METRIC_NAMES.len(), 1, 0)
        );
        assert!(found.sums.iter().all(|&s| s == 0));
    }
}
