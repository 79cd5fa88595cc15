//! Laws that splits and metrics keep on any data.

use std::collections::BTreeSet;

use crate::metrics::{METRIC_NAMES, Measured, Metric, MetricsRequest, Popularity};
use crate::split::{
    PaperSplits, Size, cold_users, cut_at, cut_for, divide, holdout, k_core, k_fold,
    latest_of_users, leave_k_out, paper_protocol,
};
use crate::{CsrMatrix, CsrView, Progress};
use ndarray::{Array2, Array3, Axis, Slice};
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

/// Metrics that look at hits alone.
const N_METRICS: usize = 13;

fn request(cutoffs: &[usize]) -> MetricsRequest<'_> {
    MetricsRequest {
        metrics: &Metric::ALL[..N_METRICS],
        cutoffs,
        popularity: None,
        keep: true,
        count: true,
    }
}

fn measured(lists: &Array2<i32>, test: &[BTreeSet<i32>], cutoffs: &[usize]) -> Measured {
    let users: Vec<i64> = (0..test.len() as i64).collect();
    let test = matrix(test, false);
    let (lists, test) = (lists.view(), test.view());
    crate::metrics::measure(lists, test, &users, request(cutoffs), &Progress::new()).expect("valid")
}

fn measure(lists: &Array2<i32>, test: &[BTreeSet<i32>], cutoffs: &[usize]) -> Array3<f64> {
    measured(lists, test, cutoffs).per_list.expect("kept")
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
fn naive(list: &[i32], wanted: &BTreeSet<i32>, cutoff: usize) -> [f64; N_METRICS] {
    let list: Vec<i32> = list
        .iter()
        .copied()
        .take(cutoff)
        .filter(|&i| i >= 0)
        .collect();
    if list.is_empty() {
        return [0.0; N_METRICS];
    }
    let relevant: Vec<bool> = list.iter().map(|i| wanted.contains(i)).collect();
    let n_hits = |upto: usize| relevant[..upto].iter().filter(|&&r| r).count() as f64;
    let ranks: Vec<usize> = (1..=list.len()).filter(|&r| relevant[r - 1]).collect();
    let misses: Vec<usize> = (1..=list.len()).filter(|&r| !relevant[r - 1]).collect();
    let least = list.len().min(wanted.len());
    let precisions = ranks.iter().map(|&r| n_hits(r) / r as f64).sum::<f64>();
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
        precisions / least as f64,
        ranks.iter().map(|&r| gain(r)).sum::<f64>() / (1..=least).map(gain).sum::<f64>(),
        ranks.first().map_or(0.0, |&r| 1.0 / r as f64),
        ranks.iter().map(|&r| 1.0 / r as f64).sum(),
        f64::from(u8::from(hits > 0.0)),
        hits,
        auc,
        hits / least as f64,
        precisions / wanted.len() as f64,
        precisions / cutoff as f64,
        ranks.iter().map(|&r| gain(r)).sum::<f64>() / (1..=least).map(gain).sum::<f64>(),
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
                for (m, name) in METRIC_NAMES[..N_METRICS].iter().enumerate() {
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
        let all = vec![BTreeSet::from([0]); lists.nrows()];
        let counts = measured(&lists, &all, &cutoffs).counts.expect("counted");
        for (c, &cutoff) in cutoffs.iter().enumerate() {
            for item in 0..N_ITEMS {
                let there = lists.slice_axis(Axis(1), Slice::from(..cutoff));
                let want = there.iter().filter(|&&i| i == item as i32).count() as i64;
                prop_assert_eq!(counts[[c, item]], want);
            }
        }
    }
}

/// A list of few items and which of them are hits, with values.
fn graded() -> impl Strategy<Value = (Vec<i32>, Vec<(i32, f32)>)> {
    (
        Just((0..N_ITEMS as i32).collect::<Vec<i32>>()).prop_shuffle(),
        btree_set(0..N_ITEMS as i32, 1..N_ITEMS),
        vec(0u8..6, N_ITEMS),
    )
        .prop_map(|(items, wanted, values)| {
            let test = wanted
                .into_iter()
                .map(|i| (i, f32::from(values[i as usize])));
            (items[..WIDTH].to_vec(), test.collect())
        })
}

proptest! {
    #[test]
    fn graded_ndcg_is_its_definition((list, test) in graded(), cutoff in 1..=WIDTH) {
        let (cols, values): (Vec<i32>, Vec<f32>) = test.iter().copied().unzip();
        let indptr = vec![0, cols.len() as i64];
        let csr = CsrMatrix::try_new(N_ITEMS, indptr, cols, Some(values.clone())).expect("valid");
        let lists = Array2::from_shape_vec((1, WIDTH), list.clone()).expect("one row");
        let cutoffs = [cutoff];
        let wanted = MetricsRequest { metrics: &[Metric::NdcgGraded], ..request(&cutoffs) };
        let progress = Progress::new();
        let got = crate::metrics::measure(lists.view(), csr.view(), &[0], wanted, &progress);
        let gain = |rank: usize, value: f32| f64::from(value) / ((rank + 2) as f64).log2();
        let value_of = |item: i32| test.iter().find(|t| t.0 == item).map_or(0.0, |t| t.1);
        let reached: f64 =
            list[..cutoff].iter().enumerate().map(|(r, &i)| gain(r, value_of(i))).sum();
        let mut best = values;
        best.sort_by(|a, b| b.total_cmp(a));
        let ideal: f64 = best.iter().take(cutoff).enumerate().map(|(r, &v)| gain(r, v)).sum();
        let got = got.expect("valid").per_list.expect("kept")[[0, 0, 0]];
        let wanted = if ideal > 0.0 { reached / ideal } else { 0.0 };
        prop_assert!((got - wanted).abs() < 1e-12);
    }

    #[test]
    fn shards_in_any_order_add_up_to_the_same_bits(
        (lists, test) in lists_with_test(), at: Index, threads in 1usize..4,
    ) {
        let cutoffs = [1, 5, WIDTH];
        let cut = at.index(lists.nrows());
        let whole = on(threads, || measured(&lists, &test, &cutoffs));
        let shard = |from: usize, to: usize| {
            measured(&lists.slice_axis(Axis(0), Slice::from(from..to)).to_owned(), &test[from..to], &cutoffs)
        };
        let (a, b) = (shard(0, cut), shard(cut, lists.nrows()));
        let sums: Vec<i128> = b.sums.iter().zip(&a.sums).map(|(b, a)| b + a).collect();
        prop_assert_eq!(&whole.sums, &sums);
        prop_assert_eq!(whole.counts, Some(b.counts.expect("counted") + a.counts.expect("counted")));
        prop_assert_eq!(whole.filled, a.filled + b.filled);
    }

    #[test]
    fn relabelling_users_and_items_changes_nothing(
        (lists, test) in lists_with_test(),
        renamed in Just((0..N_ITEMS as i32).collect::<Vec<i32>>()).prop_shuffle(),
    ) {
        let cutoffs = [2, WIDTH];
        let before = measured(&lists, &test, &cutoffs);
        let name = |i: i32| if i < 0 { i } else { renamed[i as usize] };
        let mut there = lists.mapv(name);
        let mut wanted: Vec<BTreeSet<i32>> =
            test.iter().map(|t| t.iter().map(|&i| name(i)).collect()).collect();
        // Users in the opposite order.
        there.invert_axis(Axis(0));
        wanted.reverse();
        let after = measured(&there, &wanted, &cutoffs);
        prop_assert_eq!(&before.sums, &after.sums);
        let (old, new) = (before.counts.expect("counted"), after.counts.expect("counted"));
        for item in 0..N_ITEMS {
            prop_assert_eq!(old.column(item), new.column(renamed[item] as usize));
        }
    }

    #[test]
    fn novelty_and_popularity_are_their_definitions(
        (lists, test) in lists_with_test(), train in any_rows(), cutoff in 1..=WIDTH,
    ) {
        let train = matrix(&train, false);
        let popularity = Popularity::new(train.view()).expect("small");
        let wanted = MetricsRequest {
            metrics: &[Metric::Novelty, Metric::AveragePopularity],
            popularity: Some(&popularity),
            ..request(std::slice::from_ref(&cutoff))
        };
        let users: Vec<i64> = (0..test.len() as i64).collect();
        let csr = matrix(&test, false);
        let progress = Progress::new();
        let got = crate::metrics::measure(lists.view(), csr.view(), &users, wanted, &progress)
            .expect("valid").per_list.expect("kept");
        let users_of = train.view().col_counts().expect("small");
        let most = f64::from(*users_of.iter().max().expect("items")).max(1.0);
        for (l, row) in lists.rows().into_iter().enumerate() {
            let row: Vec<usize> =
                row.iter().take(cutoff).filter(|&&i| i >= 0).map(|&i| i as usize).collect();
            let warm = row.iter().filter(|&&i| users_of[i] > 0);
            let surprise: f64 = warm
                .map(|&i| -(f64::from(users_of[i]) / train.view().nnz() as f64).log2())
                .sum();
            let popular: f64 = row.iter().map(|&i| f64::from(users_of[i]) / most).sum();
            prop_assert!((got[[0, 0, l]] - surprise / N_ITEMS as f64).abs() < 1e-12);
            prop_assert!((got[[1, 0, l]] - popular / row.len().max(1) as f64).abs() < 1e-12);
        }
    }
}

/// Every cell with its value is in exactly one of the parts.
fn part_one_another(urm: &CsrMatrix, labels: &[u8], n_parts: usize) -> Vec<CsrMatrix> {
    let parts = divide(urm.view(), labels, n_parts, &Progress::new()).expect("valid labels");
    let mut found: Vec<_> = Vec::new();
    for part in &parts {
        assert_eq!(
            (part.view().n_rows(), part.view().n_cols()),
            (urm.view().n_rows(), N_ITEMS)
        );
        for row in 0..part.view().n_rows() {
            found.extend(part.view().row(row).map(|(c, v)| (row, c, v.to_bits())));
        }
    }
    found.sort_unstable();
    let all: Vec<_> = (0..urm.view().n_rows())
        .flat_map(|r| urm.view().row(r).map(move |(c, v)| (r, c, v.to_bits())))
        .collect();
    assert_eq!(found, all);
    parts
}

proptest! {
    #[test]
    fn every_rule_parts_the_cells_and_keeps_its_promise(
        rows in any_rows(), seed: u64, share in 0.01f64..0.99, k in 1usize..5, with_values: bool,
    ) {
        let urm = matrix(&rows, with_values);
        let p = Progress::new();
        let view = urm.view();
        for size in [Size::Fraction(share), Size::Count(k)] {
            let labels = holdout(view, size, true, seed, &p).expect("valid");
            let parts = part_one_another(&urm, &labels, 2);
            for row in (0..view.n_rows()).filter(|&r| view.row_len(r) >= 2) {
                prop_assert!(parts.iter().all(|m| m.view().row_len(row) >= 1));
            }
            if let Ok(labels) = holdout(view, size, false, seed, &p) {
                part_one_another(&urm, &labels, 2);
            }
        }
        let labels = leave_k_out(view, k, seed, &p).expect("valid");
        let parts = part_one_another(&urm, &labels, 2);
        for row in 0..view.n_rows() {
            let held = if view.row_len(row) > k { k } else { 0 };
            prop_assert_eq!(parts[1].view().row_len(row), held);
        }
        for per_user in [true, false] {
            let labels = k_fold(view, k + 1, per_user, seed, &p).expect("valid");
            let parts = part_one_another(&urm, &labels, k + 1);
            let sizes: Vec<usize> = parts.iter().map(|m| m.view().nnz()).collect();
            if !per_user {
                prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
            }
        }
        if let Ok((labels, cold)) = cold_users(view, Size::Count(k), Size::Fraction(share), seed, &p) {
            let parts = part_one_another(&urm, &labels, 3);
            prop_assert_eq!(cold.len(), k);
            for row in 0..view.n_rows() {
                let lens = [0, 1, 2].map(|l: usize| parts[l].view().row_len(row));
                if cold.contains(&(row as i64)) {
                    prop_assert!(lens[0] == 0 && lens[1] >= 1 && lens[2] >= 1);
                } else {
                    prop_assert_eq!(lens[1] + lens[2], 0);
                }
            }
        }
    }

    #[test]
    fn what_is_held_out_by_time_is_never_older(
        rows in any_rows(), times in vec(-5i64..6, N_ITEMS * 40), share in 0.01f64..0.99,
    ) {
        let urm = matrix(&rows, false);
        let view = urm.view();
        let times = &times[..view.nnz()];
        let p = Progress::new();
        let labels = latest_of_users(view, times, Size::Fraction(share), &p).expect("valid");
        part_one_another(&urm, &labels, 2);
        let side = |range: std::ops::Range<usize>, label: u8| {
            range.filter(|&at| labels[at] == label).map(|at| times[at]).collect::<Vec<_>>()
        };
        for row in (0..view.n_rows()).filter(|&r| view.row_len(r) >= 2) {
            let (kept, held) = (side(view.range(row), 0), side(view.range(row), 1));
            prop_assert!(kept.iter().max().unwrap() <= held.iter().min().unwrap());
        }
        if let Ok(cut) = cut_for(times, Size::Fraction(share)) {
            let labels = cut_at(view, times, cut, &p).expect("both sides");
            part_one_another(&urm, &labels, 2);
            for (&label, &time) in labels.iter().zip(times) {
                prop_assert_eq!(label == 1, time >= cut);
            }
            let held = times.iter().filter(|&&t| t >= cut).count();
            let wanted = (times.len() as f64 * share + 0.5).floor() as usize;
            prop_assert!(held >= wanted.clamp(1, times.len() - 1));
        }
    }

    #[test]
    fn threads_change_no_split(rows in any_rows(), seed: u64, k in 1usize..4) {
        let urm = matrix(&rows, false);
        let all = |threads| on(threads, || {
            let p = Progress::new();
            (
                holdout(urm.view(), Size::Fraction(0.3), true, seed, &p),
                leave_k_out(urm.view(), k, seed, &p),
                k_fold(urm.view(), k + 1, true, seed, &p),
                cold_users(urm.view(), Size::Count(k), Size::Count(1), seed, &p),
                k_core(urm.view(), k, k, &p),
            )
        });
        prop_assert_eq!(all(1), all(3));
    }
}
