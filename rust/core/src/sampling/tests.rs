//! The laws of the samples, and what is refused.

use super::*;
use crate::base::CsrMatrix;
use crate::base::testing::on_threads;

const KEY: Key = Key { seed: 3, stream: 1 };

fn urm(n_cols: usize, rows: &[&[i32]], values: Option<Vec<f32>>) -> CsrMatrix {
    let mut indptr = vec![0];
    for row in rows {
        indptr.push(indptr[indptr.len() - 1] + row.len() as i64);
    }
    CsrMatrix::try_new(n_cols, indptr, rows.concat(), values).expect("valid")
}

fn uniform(urm: &CsrMatrix, rows: &[i64], ratio: f64, key: Key) -> Vec<f32> {
    let masks = Masks::try_new(urm.view(), rows, ratio, false, key).expect("valid");
    let mut out = vec![f32::NAN; rows.len() * urm.view().n_cols()];
    mask_uniform(&masks, &mut out, &Progress::new()).expect("fills");
    out
}

#[test]
fn exactly_the_floor_of_the_share_is_sampled_and_never_an_observed_item() {
    let n = 203;
    let full: Vec<i32> = (0..n).collect();
    let most: Vec<i32> = (0..n).filter(|i| i % 29 != 3).collect();
    let urm = urm(n as usize, &[&[], &[5], &[0, 100, 202], &most, &full], None);
    for ratio in [0.0, 1e-3, 0.02, 0.3, 0.5, 0.77, 0.995, 0.999, 1.0] {
        for (weighted, stream) in [(false, 0), (false, 1), (true, 0)] {
            let rows = [0, 1, 2, 3, 4];
            let key = Key { seed: 8, stream };
            let masks = Masks::try_new(urm.view(), &rows, ratio, false, key).expect("valid");
            let mut out = vec![f32::NAN; 5 * n as usize];
            if weighted {
                let weights: Vec<f32> = (0..out.len()).map(|i| 1.0 + (i % 7) as f32).collect();
                mask_weighted(&masks, &weights, &mut out, &Progress::new()).expect("fills");
            } else {
                mask_uniform(&masks, &mut out, &Progress::new()).expect("fills");
            }
            for (row, mask) in out.chunks(n as usize).enumerate() {
                let view = urm.view();
                let observed = view.cols(row);
                let unobserved = n as usize - observed.len();
                let wanted = (unobserved as f64 * ratio).floor() as usize;
                assert!(mask.iter().all(|&x| x == 0.0 || x == 1.0));
                let ones = mask.iter().filter(|&&x| x == 1.0).count();
                assert_eq!(ones, wanted, "ratio {ratio}, row {row}");
                assert!(observed.iter().all(|&i| mask[i as usize] == 0.0));
            }
        }
    }
}

#[test]
fn observed_cells_keep_their_values_when_asked_to() {
    let urm = urm(6, &[&[1, 4]], Some(vec![2.5, 3.0]));
    let masks = Masks::try_new(urm.view(), &[0], 0.0, true, KEY).expect("valid");
    let mut out = vec![9.0; 6];
    mask_uniform(&masks, &mut out, &Progress::new()).expect("fills");
    assert_eq!(out, [0.0, 2.5, 0.0, 0.0, 3.0, 0.0]);
}

/// Chi-squared of observed counts against expected ones.
fn chi2(counts: &[f64], expected: &[f64]) -> f64 {
    counts
        .iter()
        .zip(expected)
        .map(|(c, e)| (c - e).powi(2) / e)
        .sum()
}

#[test]
fn every_subset_is_equally_likely() {
    // 3 of 6 unobserved items: 20 subsets; the observed item 2 sits among them.
    let urm = urm(7, &[&[2]], None);
    let mut counts = std::collections::HashMap::new();
    let runs = 40_000u64;
    for stream in 0..runs {
        let mask = uniform(&urm, &[0], 0.5, Key { seed: 1, stream });
        let set = mask
            .iter()
            .fold(0u32, |set, &x| 2 * set + u32::from(x > 0.0));
        *counts.entry(set).or_insert(0.0) += 1.0;
    }
    assert_eq!(counts.len(), 20);
    let counts: Vec<f64> = counts.into_values().collect();
    // 99.99% of uniform ones stay below 50.8 with 19 degrees of freedom.
    let distance = chi2(&counts, &[runs as f64 / 20.0; 20]);
    assert!(distance < 50.8, "{distance}");
}

#[test]
fn weighted_subsets_follow_successive_draws() {
    // Two of three items with weights 1, 2, 5, one after the other without replacement.
    let w = [1.0f64, 2.0, 5.0];
    let total: f64 = w.iter().sum();
    let pair = |a: usize, b: usize| {
        w[a] / total * w[b] / (total - w[a]) + w[b] / total * w[a] / (total - w[b])
    };
    let expected = [pair(1, 2), pair(0, 2), pair(0, 1)];
    let urm = urm(4, &[&[1]], None);
    let runs = 40_000u64;
    let mut without = [0.0; 3];
    for stream in 0..runs {
        let key = Key { seed: 2, stream };
        let masks = Masks::try_new(urm.view(), &[0], 0.7, false, key).expect("valid");
        let mut out = [0.0; 4];
        let weights = [1.0, f32::NAN, 2.0, 5.0];
        mask_weighted(&masks, &weights, &mut out, &Progress::new()).expect("fills");
        let left = [out[0], out[2], out[3]].iter().position(|&x| x == 0.0);
        without[left.expect("one is left out")] += 1.0;
    }
    let expected = expected.map(|p| p * runs as f64);
    // 99.99% stay below 18.4 with 2 degrees of freedom.
    assert!(chi2(&without, &expected) < 18.4, "{without:?} {expected:?}");
}

#[test]
fn the_logarithm_is_one() {
    let mut x = 2f64.powi(-53);
    while x <= 1.0 {
        let near = [x, x * 1.3, x * std::f64::consts::SQRT_2, x * 1.999];
        for x in near {
            assert!((ln(x) - x.ln()).abs() <= 1e-10 * x.ln().abs(), "{x}");
        }
        x *= 2.0;
    }
    let close = 1.0 - 2f64.powi(-50);
    assert!((ln(close) / close.ln() - 1.0).abs() < 1e-9);
}

#[test]
fn draws_over_many_pieces_follow_their_weights() {
    let weights: Vec<f32> = (0..200).map(|i| (i % 4) as f32).collect();
    let runs = 150_000;
    let items = draw_items(&weights, 200, &[0], &[runs], KEY, &Progress::new()).expect("ok");
    let mut counts = vec![0.0; 200];
    for item in items {
        counts[item as usize] += 1.0;
    }
    let total: f32 = weights.iter().sum();
    let (seen, wanted): (Vec<f64>, Vec<f64>) = counts
        .iter()
        .zip(&weights)
        .filter(|(_, w)| **w > 0.0)
        .map(|(&c, &w)| (c, f64::from(w / total) * runs as f64))
        .unzip();
    assert_eq!(seen.iter().sum::<f64>(), runs as f64);
    // 99.99% stay below 221 with 149 degrees of freedom.
    assert!(chi2(&seen, &wanted) < 221.0);
}

#[test]
fn draws_follow_their_weights() {
    let weights = [0.0f32, 1.0, 0.0, 2.0, 3.0, 0.0];
    let items = draw_items(&weights, 6, &[7], &[60_000], KEY, &Progress::new()).expect("draws");
    let mut counts = [0.0; 6];
    for item in items {
        counts[item as usize] += 1.0;
    }
    assert_eq!(counts[0] + counts[2] + counts[5], 0.0);
    let seen = [counts[1], counts[3], counts[4]];
    let distance = chi2(&seen, &[10_000.0, 20_000.0, 30_000.0]);
    assert!(distance < 18.4, "{counts:?}");
}

#[test]
fn neither_threads_nor_batches_change_a_set() {
    let urm = urm(500, &[&[1, 3], &[], &[499], &[7]], None);
    let view = urm.view();
    let rows = [0, 1, 2, 3];
    let weights: Vec<f32> = (0..2000).map(|i| 1.0 + (i % 11) as f32).collect();
    let all = |threads| {
        on_threads(threads, || {
            let masks = Masks::try_new(view, &rows, 0.4, false, KEY).expect("valid");
            let mut weighted = vec![0.0; 2000];
            mask_weighted(&masks, &weights, &mut weighted, &Progress::new()).expect("ok");
            let counts = [3, 0, 5, 1];
            let drawn = draw_items(&weights, 500, &rows, &counts, KEY, &Progress::new());
            (
                uniform(&urm, &rows, 0.4, KEY),
                weighted,
                drawn.expect("draws"),
            )
        })
    };
    let one = all(1);
    assert_eq!(one, all(2));
    assert_eq!(one, all(3));
    assert_eq!(one.0[1000..1500], uniform(&urm, &[2], 0.4, KEY));
    assert_ne!(one.0, uniform(&urm, &rows, 0.4, Key { seed: 3, stream: 2 }));
}

#[test]
fn what_cannot_be_sampled_is_refused_by_name() {
    let urm = urm(3, &[&[0], &[]], None);
    let refused = |ratio, rows: &[i64]| {
        Masks::try_new(urm.view(), rows, ratio, false, KEY)
            .expect_err("refused")
            .to_string()
    };
    assert!(refused(1.5, &[0]).contains("ratio must be between 0 and 1, not 1.5"));
    assert!(refused(f64::NAN, &[0]).contains("not NaN"));
    assert!(refused(0.5, &[2]).contains("row 2 does not exist"));
    assert!(refused(0.5, &[-1]).contains("row -1 does not exist"));
    let masks = Masks::try_new(urm.view(), &[0, 1], 0.5, false, KEY).expect("valid");
    let progress = Progress::new();
    let message = mask_uniform(&masks, &mut [0.0; 5], &progress).expect_err("refused");
    assert!(message.to_string().contains("out has 5 cells"));
    let weights = [1.0, -1.0, 1.0, 1.0, 1.0, 1.0];
    let message = mask_weighted(&masks, &weights, &mut [0.0; 6], &progress).expect_err("no");
    assert!(message.to_string().contains("item 1 for row 0"));
    let draw = |weights: &[f32], counts: &[i64]| {
        draw_items(weights, 2, &[4], counts, KEY, &progress)
            .expect_err("refused")
            .to_string()
    };
    assert!(draw(&[0.0, 0.0], &[1]).contains("all weights of row 4 are zero"));
    assert!(draw(&[0.0, f32::NAN], &[1]).contains("item 1 for row 4"));
    assert!(draw(&[0.0, 1.0], &[-1]).contains("not -1"));
    assert!(draw(&[1.0], &[1]).contains("1 weights of 2 items"));
}

#[test]
fn a_cancelled_run_stops() {
    let urm = urm(3, &[&[0]], None);
    let progress = Progress::new();
    progress.cancel();
    let masks = Masks::try_new(urm.view(), &[0], 0.5, false, KEY).expect("valid");
    let stopped = mask_uniform(&masks, &mut [0.0; 3], &progress);
    assert_eq!(stopped, Err(Error::Cancelled));
    let drawn = draw_items(&[1.0; 3], 3, &[0], &[1], KEY, &progress);
    assert_eq!(drawn, Err(Error::Cancelled));
}
