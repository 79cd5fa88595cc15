//! Laws that splits and metrics keep on any data.

use std::collections::BTreeSet;

use ganmf_core::metrics::{METRIC_NAMES, item_counts, list_metrics};
use ganmf_core::sparse::CsrMatrix;
use ganmf_core::split::{PaperSplits, paper_protocol};
use ganmf_core::{CsrView, Progress};
use ndarray::{Array2, Array3, Axis, s};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::Index;

const N_ITEMS: usize = 30;

fn on<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .expect("a pool")
        .install(work)
}

fn matrix(rows: &[BTreeSet<i32>], with_values: bool) -> CsrMatrix {
    let mut indptr = vec![0];
    let mut indices = Vec::new();
    for row in rows {
        indices.extend(row);
        indptr.push(indices.len() as i64);
    }
    let values = with_values.then(|| (0..indices.len()).map(|v| v as f32 + 0.5).collect());
    CsrMatrix::try_new(N_ITEMS, indptr, indices, values).expect("sets are sorted rows")
}

fn any_rows() -> impl Strategy<Value = Vec<BTreeSet<i32>>> {
    vec(btree_set(0..N_ITEMS as i32, 0..N_ITEMS), 1..40)
}

/// `(row, column, value)` of every cell, under the names of the matrix that was split.
fn cells(set: CsrView<'_>, s: &PaperSplits) -> Vec<(i64, i64, u32)> {
    let mut out = Vec::new();
    for row in 0..set.n_rows() {
        out.extend(
            set.row(row)
                .map(|(col, value)| (s.users[row], s.items[col], value.to_bits())),
        );
    }
    out
}

fn joined(sets: &[&CsrMatrix], s: &PaperSplits) -> Vec<(i64, i64, u32)> {
    let mut all: Vec<_> = sets.iter().flat_map(|m| cells(m.view(), s)).collect();
    all.sort_unstable();
    all
}

proptest! {
    #[test]
    fn the_five_sets_partition_the_kept_interactions(
        rows in any_rows(), seed: u64, with_values: bool,
    ) {
        let urm = matrix(&rows, with_values);
        let split = paper_protocol(urm.view(), seed, &Progress::new());
        if rows.iter().all(|r| r.len() < 2) {
            prop_assert!(split.is_err());
            return Ok(());
        }
        let split = split.expect("somebody has two interactions");

        let mut kept = Vec::new();
        for (user, row) in rows.iter().enumerate().filter(|(_, r)| r.len() >= 2) {
            let values = urm.view().row(user);
            kept.extend(row.iter().zip(values).map(|(&item, (_, v))| {
                (user as i64, i64::from(item), v.to_bits())
            }));
        }
        // Sorted lists with repetition: a cell in two sets would show.
        prop_assert_eq!(&joined(&[&split.train, &split.test], &split), &kept);
        prop_assert_eq!(
            joined(&[&split.train_small, &split.validation, &split.early_stop], &split),
            joined(&[&split.train], &split)
        );
        let touched: BTreeSet<i64> = kept.iter().map(|c| c.1).collect();
        prop_assert!(split.items.iter().eq(&touched));
        for set in [&split.train, &split.test, &split.train_small] {
            prop_assert_eq!(set.view().values().is_some(), with_values);
            // What the kernel asserts by construction, proven again from outside.
            let (n_cols, indptr, indices, values) = set.clone().into_parts();
            prop_assert!(CsrMatrix::try_new(n_cols, indptr, indices, values).is_ok());
        }
    }

    #[test]
    fn every_kept_user_is_on_both_sides_and_later_cuts_are_exact(rows in any_rows(), seed: u64) {
        let urm = matrix(&rows, false);
        let Ok(split) = paper_protocol(urm.view(), seed, &Progress::new()) else {
            return Ok(());
        };
        for row in 0..split.users.len() {
            let n = split.train.view().row_len(row);
            prop_assert!(n >= 1 && split.test.view().row_len(row) >= 1);
            let rest = (n * 3 / 4).max(1);
            prop_assert_eq!(split.validation.view().row_len(row), n - rest);
            let small = (rest * 17 / 20).max(1);
            prop_assert_eq!(split.early_stop.view().row_len(row), rest - small);
            prop_assert_eq!(split.train_small.view().row_len(row), small);
        }
    }

    #[test]
    fn threads_change_neither_splits_nor_metrics(
        rows in any_rows(), seed: u64, (lists, test) in lists_with_test(),
    ) {
        let urm = matrix(&rows, true);
        let split = |threads| on(threads, || paper_protocol(urm.view(), seed, &Progress::new()));
        prop_assert_eq!(split(1), split(3));
        let one = on(1, || measure(&lists, &test, &[1, 7, WIDTH]));
        let two = on(3, || measure(&lists, &test, &[1, 7, WIDTH]));
        prop_assert!(one.iter().map(|v| v.to_bits()).eq(two.iter().map(|v| v.to_bits())));
    }
}

const WIDTH: usize = 12;

/// Lists of `WIDTH` places, padded from a random length on, and test sets of one item at least.
fn lists_with_test() -> impl Strategy<Value = (Array2<i32>, Vec<BTreeSet<i32>>)> {
    let one = (
        Just((0..N_ITEMS as i32).collect::<Vec<i32>>()).prop_shuffle(),
        0..=WIDTH,
        btree_set(0..N_ITEMS as i32, 1..N_ITEMS),
    );
    vec(one, 1..300).prop_map(|all| {
        let mut lists = Array2::from_elem((all.len(), WIDTH), -1);
        let mut test = Vec::new();
        for (mut row, (items, filled, wanted)) in lists.rows_mut().into_iter().zip(all) {
            for (place, item) in row.iter_mut().zip(&items[..filled]) {
                *place = *item;
            }
            test.push(wanted);
        }
        (lists, test)
    })
}

/// A full list with a test set.
fn one_list() -> impl Strategy<Value = (Vec<i32>, BTreeSet<i32>)> {
    (
        Just((0..N_ITEMS as i32).collect::<Vec<i32>>()).prop_shuffle(),
        btree_set(0..N_ITEMS as i32, 1..N_ITEMS),
    )
        .prop_map(|(items, wanted)| (items[..WIDTH].to_vec(), wanted))
}

fn measure(lists: &Array2<i32>, test: &[BTreeSet<i32>], cutoffs: &[usize]) -> Array3<f64> {
    let users: Vec<i64> = (0..test.len() as i64).collect();
    let test = matrix(test, false);
    list_metrics(lists.view(), test.view(), &users, cutoffs, &Progress::new()).expect("valid")
}

fn measure_one(list: &[i32], wanted: &BTreeSet<i32>, cutoff: usize) -> Vec<f64> {
    let lists = Array2::from_shape_vec((1, list.len()), list.to_vec()).expect("one row");
    let values = measure(&lists, std::slice::from_ref(wanted), &[cutoff]);
    values.index_axis(Axis(1), 0).column(0).to_vec()
}

fn place_of(name: &str) -> usize {
    METRIC_NAMES
        .iter()
        .position(|&n| n == name)
        .expect("a known metric")
}

/// Every metric from its definition, with no running sums.
fn naive(list: &[i32], wanted: &BTreeSet<i32>, cutoff: usize) -> [f64; 10] {
    let list: Vec<i32> = list
        .iter()
        .copied()
        .take(cutoff)
        .filter(|&i| i >= 0)
        .collect();
    if list.is_empty() {
        return [0.0; 10];
    }
    let relevant: Vec<bool> = list.iter().map(|i| wanted.contains(i)).collect();
    let n_hits = |upto: usize| relevant[..upto].iter().filter(|&&r| r).count() as f64;
    let ranks: Vec<usize> = (1..=list.len()).filter(|&r| relevant[r - 1]).collect();
    let misses: Vec<usize> = (1..=list.len()).filter(|&r| !relevant[r - 1]).collect();
    let least = list.len().min(wanted.len());
    let gain = |r: usize| 1.0 / ((r + 1) as f64).log2();
    let hits = n_hits(list.len());
    let in_order: usize = ranks
        .iter()
        .map(|r| misses.iter().filter(|m| r < m).count())
        .sum();
    let auc = if misses.is_empty() {
        1.0
    } else if ranks.is_empty() {
        0.0
    } else {
        in_order as f64 / (ranks.len() * misses.len()) as f64
    };
    [
        hits / list.len() as f64,
        hits / wanted.len() as f64,
        ranks.iter().map(|&r| n_hits(r) / r as f64).sum::<f64>() / least as f64,
        ranks.iter().map(|&r| gain(r)).sum::<f64>() / (1..=least).map(gain).sum::<f64>(),
        ranks.first().map_or(0.0, |&r| 1.0 / r as f64),
        ranks.iter().map(|&r| 1.0 / r as f64).sum(),
        f64::from(u8::from(hits > 0.0)),
        hits,
        auc,
        hits / least as f64,
    ]
}

proptest! {
    #[test]
    fn metrics_equal_their_definitions_at_cutoffs_in_any_order(
        (lists, test) in lists_with_test(),
        cutoffs in Just((1..=WIDTH).collect::<Vec<usize>>()).prop_shuffle(),
        n_cutoffs in 1..=WIDTH,
    ) {
        let cutoffs = &cutoffs[..n_cutoffs];
        let got = measure(&lists, &test, cutoffs);
        for (l, row) in lists.rows().into_iter().enumerate() {
            for (c, &cutoff) in cutoffs.iter().enumerate() {
                let want = naive(&row.to_vec(), &test[l], cutoff);
                for (m, name) in METRIC_NAMES.iter().enumerate() {
                    let value = got[[m, c, l]];
                    prop_assert!((value - want[m]).abs() < 1e-12, "{name}@{cutoff}: {value}");
                }
            }
        }
    }

    #[test]
    fn a_perfect_ranking_scores_one((list, wanted) in one_list(), cutoff in 1..=WIDTH) {
        let rest = list.iter().filter(|i| !wanted.contains(i));
        let perfect: Vec<i32> = wanted.iter().chain(rest).copied().take(WIDTH).collect();
        let values = measure_one(&perfect, &wanted, cutoff);
        for name in ["map", "ndcg", "mrr", "hit_rate", "roc_auc", "precision_recall_min_den"] {
            prop_assert!((values[place_of(name)] - 1.0).abs() < 1e-12, "{name}");
        }
    }

    #[test]
    fn moving_a_hit_up_never_hurts(
        (list, mut wanted) in one_list(), from in 1..WIDTH, to: Index, cutoff in 1..=WIDTH,
    ) {
        let to = to.index(from);
        wanted.insert(list[from]);
        let mut better = list.clone();
        better[to..=from].rotate_right(1);
        let (before, after) = (
            measure_one(&list, &wanted, cutoff),
            measure_one(&better, &wanted, cutoff),
        );
        for (name, (b, a)) in METRIC_NAMES.iter().zip(before.iter().zip(&after)) {
            // Inside one list the area under the curve also counts the misses, which a hit that
            // enters from beyond the cutoff may push out; the others only know hits.
            if *name != "roc_auc" {
                prop_assert!(a >= &(b - 1e-12), "{name}: {b} -> {a}");
            }
        }
    }

    #[test]
    fn items_beyond_the_cutoff_do_not_matter((list, wanted) in one_list(), cutoff in 1..WIDTH) {
        let mut reversed = list.clone();
        reversed[cutoff..].reverse();
        prop_assert_eq!(
            measure_one(&list, &wanted, cutoff),
            measure_one(&reversed, &wanted, cutoff)
        );
        prop_assert_eq!(
            measure_one(&list, &wanted, cutoff),
            measure_one(&list[..cutoff], &wanted, cutoff)
        );
    }

    #[test]
    fn counts_of_items_add_up_to_the_filled_places((lists, _) in lists_with_test()) {
        let cutoffs = [WIDTH, 1, 5];
        let counts = item_counts(lists.view(), N_ITEMS, &cutoffs, &Progress::new())
            .expect("valid lists");
        for (c, &cutoff) in cutoffs.iter().enumerate() {
            for item in 0..N_ITEMS {
                let there = lists.slice(s![.., ..cutoff]);
                let want = there.iter().filter(|&&i| i == item as i32).count() as i64;
                prop_assert_eq!(counts[[c, item]], want);
            }
        }
    }
}
