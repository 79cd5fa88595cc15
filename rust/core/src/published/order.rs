//! The order of equal scores in the published lists.
//!
//! The GANMF paper's figures come from NumPy 1.x: `argpartition` cuts a list and `argsort` orders
//! it. Neither is stable, so among equal scores the outcome hangs on the exact sequence of swaps of
//! introselect (median of three, median of medians as the fallback) and introsort (median of three,
//! insertion up to 16, heapsort as the fallback). Both are deterministic: the same swaps give the
//! same lists, and with them the published figures to the last digit, ties included.
//!
//! Source: D. R. Musser, "Introspective sorting and selection algorithms", Software: Practice and
//! Experience 27(8), 1997, with the pivots and cut-offs that NumPy documents; newer releases use
//! vector instructions where the processor has them and order ties in another way again.
//! Deviation: none; the tests hold permutations that NumPy 1.23 returned.
//!
//! Cost: O(n) for a cut, O(n log n) for a sort, as there. Values must not be NaN.

use crate::base::Result;
use crate::base::memory::collected;

/// Ranges of up to this many entries are sorted by insertion.
const SMALL: usize = 16;

/// Positions of `values`, arranged so that the one at `kth` is in its sorted place, none before it
/// is greater and none after it is smaller. `values` is not empty and `kth` is below its length.
pub(super) fn argpartition<T: Copy + PartialOrd>(values: &[T], kth: usize) -> Result<Vec<usize>> {
    let mut at = collected(0..values.len(), "places of an order")?;
    introselect(values, &mut at, kth);
    Ok(at)
}

/// Positions of `values` in ascending order.
pub(super) fn argsort<T: Copy + PartialOrd>(values: &[T]) -> Result<Vec<usize>> {
    let mut at = collected(0..values.len(), "places of an order")?;
    introsort(values, &mut at);
    Ok(at)
}

/// Positions of the `k` smallest `values` in the order of the published lists: cut, then sorted.
pub(super) fn smallest<T: Copy + PartialOrd>(
    values: &[T],
    kth: usize,
    k: usize,
) -> Result<Vec<usize>> {
    let mut cut = argpartition(values, kth)?;
    cut.truncate(k);
    let kept = collected(cut.iter().map(|&at| values[at]), "values of an order")?;
    let mut order = argsort(&kept)?;
    for at in &mut order {
        *at = cut[*at];
    }
    Ok(order)
}

fn twice_log2(n: usize) -> i32 {
    2 * n.checked_ilog2().unwrap_or(0) as i32
}

fn introselect<T: Copy + PartialOrd>(v: &[T], at: &mut [usize], kth: usize) {
    let n = at.len();
    if kth < 3 {
        select_by_minima(v, at, kth + 1);
        return;
    }
    if kth == n - 1 {
        // The last of the maxima goes to the end.
        let mut last = 0;
        for k in 1..n {
            if v[at[k]] >= v[at[last]] {
                last = k;
            }
        }
        at.swap(kth, last);
        return;
    }
    let (mut low, mut high) = (0, n - 1);
    let mut depth = twice_log2(n);
    while low + 1 < high {
        let (mut left, mut right) = (low + 1, high);
        if depth > 0 || right - left < 5 {
            median_of_three_to_low(v, at, low, high);
        } else {
            let middle = left + median_of_medians(v, &mut at[left..right]);
            at.swap(middle, low);
            // This pivot leaves no sentinels, so the scan starts one step further out.
            left -= 1;
            right += 1;
        }
        depth -= 1;
        partition(v, at, v[at[low]], &mut left, &mut right);
        at.swap(low, right);
        if right >= kth {
            high = right.saturating_sub(1);
        }
        if right <= kth {
            low = left;
        }
    }
    if high == low + 1 && v[at[high]] < v[at[low]] {
        at.swap(high, low);
    }
}

/// Selection sort of the first `k`: cheapest for the very first places.
fn select_by_minima<T: Copy + PartialOrd>(v: &[T], at: &mut [usize], k: usize) {
    for i in 0..k {
        let mut least = i;
        for j in i + 1..at.len() {
            if v[at[j]] < v[at[least]] {
                least = j;
            }
        }
        at.swap(i, least);
    }
}

/// The median of the ends and the middle to `low`, the least of the three to `low + 1`.
fn median_of_three_to_low<T: Copy + PartialOrd>(
    v: &[T],
    at: &mut [usize],
    low: usize,
    high: usize,
) {
    let mid = low + (high - low) / 2;
    for (a, b) in [(high, mid), (high, low), (low, mid)] {
        if v[at[a]] < v[at[b]] {
            at.swap(a, b);
        }
    }
    at.swap(mid, low + 1);
}

/// Smaller values to the left, greater ones to the right; sentinels at both ends stop the scans.
fn partition<T: Copy + PartialOrd>(
    v: &[T],
    at: &mut [usize],
    pivot: T,
    left: &mut usize,
    right: &mut usize,
) {
    loop {
        *left += 1;
        while v[at[*left]] < pivot {
            *left += 1;
        }
        *right -= 1;
        while pivot < v[at[*right]] {
            *right -= 1;
        }
        if *right < *left {
            return;
        }
        at.swap(*left, *right);
    }
}

/// Where the median of the medians of groups of five was put.
fn median_of_medians<T: Copy + PartialOrd>(v: &[T], at: &mut [usize]) -> usize {
    let groups = at.len() / 5;
    for group in 0..groups {
        let start = 5 * group;
        let median = start + median_of_five(v, &mut at[start..start + 5]);
        at.swap(median, group);
    }
    if groups > 2 {
        introselect(v, &mut at[..groups], groups / 2);
    }
    groups / 2
}

fn median_of_five<T: Copy + PartialOrd>(v: &[T], at: &mut [usize]) -> usize {
    for (a, b) in [(1, 0), (4, 3), (3, 0), (4, 1), (2, 1)] {
        if v[at[a]] < v[at[b]] {
            at.swap(a, b);
        }
    }
    if v[at[3]] < v[at[2]] {
        if v[at[3]] < v[at[1]] { 1 } else { 3 }
    } else {
        2
    }
}

fn introsort<T: Copy + PartialOrd>(v: &[T], at: &mut [usize]) {
    if at.len() < 2 {
        return;
    }
    let mut pending = vec![(0, at.len() - 1, twice_log2(at.len()))];
    while let Some((mut low, mut high, mut depth)) = pending.pop() {
        if depth < 0 {
            heapsort(v, &mut at[low..=high]);
            continue;
        }
        let mut is_sorted = false;
        while high - low >= SMALL {
            let split = split(v, at, low, high);
            depth -= 1;
            // The longer side waits.
            if split - low < high - split {
                pending.push((split + 1, high, depth));
                is_sorted = split == low;
                high = split.saturating_sub(1);
            } else {
                if split > low {
                    pending.push((low, split - 1, depth));
                }
                is_sorted = split == high;
                low = split + 1;
            }
            if is_sorted {
                break;
            }
        }
        if !is_sorted {
            insertion_sort(v, &mut at[low..=high]);
        }
    }
}

/// Split around the median of three; the place of the pivot.
fn split<T: Copy + PartialOrd>(v: &[T], at: &mut [usize], low: usize, high: usize) -> usize {
    let mid = low + (high - low) / 2;
    for (a, b) in [(mid, low), (high, mid), (mid, low)] {
        if v[at[a]] < v[at[b]] {
            at.swap(a, b);
        }
    }
    let pivot = v[at[mid]];
    let (mut left, mut right) = (low, high - 1);
    at.swap(mid, right);
    loop {
        left += 1;
        while v[at[left]] < pivot {
            left += 1;
        }
        right -= 1;
        while pivot < v[at[right]] {
            right -= 1;
        }
        if left >= right {
            break;
        }
        at.swap(left, right);
    }
    at.swap(left, high - 1);
    left
}

fn insertion_sort<T: Copy + PartialOrd>(v: &[T], at: &mut [usize]) {
    for i in 1..at.len() {
        let moving = at[i];
        let mut j = i;
        while j > 0 && v[moving] < v[at[j - 1]] {
            at[j] = at[j - 1];
            j -= 1;
        }
        at[j] = moving;
    }
}

fn heapsort<T: Copy + PartialOrd>(v: &[T], at: &mut [usize]) {
    // Heap positions count from one.
    let sift = |at: &mut [usize], moving: usize, from: usize, n: usize| {
        let (mut i, mut j) = (from, 2 * from);
        while j <= n {
            if j < n && v[at[j - 1]] < v[at[j]] {
                j += 1;
            }
            if v[moving] >= v[at[j - 1]] {
                break;
            }
            at[i - 1] = at[j - 1];
            i = j;
            j *= 2;
        }
        at[i - 1] = moving;
    };
    let n = at.len();
    for from in (1..=n / 2).rev() {
        let moving = at[from - 1];
        sift(at, moving, from, n);
    }
    for end in (1..n).rev() {
        let moving = at[end];
        at[end] = at[0];
        sift(at, moving, 1, end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FNV over the positions.
    fn fingerprint(at: &[usize]) -> u64 {
        at.iter().fold(14_695_981_039_346_656_037, |hash, &x| {
            (hash ^ x as u64).wrapping_mul(1_099_511_628_211)
        })
    }

    /// Few distinct values, in an order that is easy to write down in any language.
    fn quadratic((n, a, b, m): (usize, usize, usize, usize)) -> Vec<f64> {
        (0..n).map(|i| ((i * a + i * i * b) % m) as f64).collect()
    }

    /// Every median of three is a bad pivot here, so that the fallbacks have to step in.
    fn killer(n: usize) -> Vec<f64> {
        let mut v = vec![0.0; n];
        let k = n / 2;
        for i in 1..=k {
            if i % 2 == 1 {
                v[i - 1] = i as f64;
                v[i] = (k + i) as f64;
            }
            v[k + i - 1] = 2.0 * i as f64;
        }
        v
    }

    #[test]
    fn permutations_are_those_of_numpy() {
        // (n, a, b, m), kth, fingerprints of numpy 1.23.5's argpartition and argsort.
        let cases = [
            (
                (5, 3, 1, 3),
                2,
                0x1622_abc0_2c5d_9ae7,
                0x0d6e_f6c0_276c_e529,
            ),
            (
                (40, 7, 3, 5),
                4,
                0x60dc_9e4f_9fb8_adc9,
                0x9510_cd0d_3b78_fd3f,
            ),
            (
                (40, 7, 3, 5),
                39,
                0xc9d0_11fe_5fc0_5907,
                0x9510_cd0d_3b78_fd3f,
            ),
            (
                (100, 13, 5, 7),
                10,
                0x1f2e_df11_b688_f6d9,
                0xfa87_e316_f9d8_56e7,
            ),
            (
                (1000, 31, 17, 11),
                50,
                0xa21e_dc44_5fbd_b6e9,
                0xee72_f4b1_15b0_6063,
            ),
            (
                (1000, 31, 17, 400),
                999,
                0xe7a9_dceb_54e4_5ef5,
                0xf9ee_a32f_49ab_b941,
            ),
            (
                (5000, 101, 7, 2),
                543,
                0x5031_fb3e_364b_0f31,
                0x5031_9a97_a0ed_47db,
            ),
            (
                (5000, 101, 7, 900),
                2500,
                0x0e73_01a4_a25d_ae49,
                0x8bc3_32f2_f7ad_32b1,
            ),
            (
                (20000, 11, 3, 50),
                50,
                0x1612_620a_c0ef_bdd7,
                0x364c_a19f_3660_0153,
            ),
        ];
        for (shape, kth, cut, sorted) in cases {
            let v = quadratic(shape);
            assert_eq!(
                fingerprint(&argpartition(&v, kth).expect("small")),
                cut,
                "cut of {shape:?} at {kth}"
            );
            let order = argsort(&v).expect("small");
            assert_eq!(fingerprint(&order), sorted, "order of {shape:?}");
        }
    }

    #[test]
    fn fallbacks_are_those_of_numpy() {
        let cases = [
            (2000, 1000, 0x500e_aa6e_728d_526b, 0x7d6b_3768_2835_5c39),
            (4096, 100, 0x2cb2_4130_84c2_778d, 0x0c25_5bec_1110_9b25),
            (4096, 3000, 0xa841_e09b_57e1_682b, 0x0c25_5bec_1110_9b25),
        ];
        for (n, kth, cut, sorted) in cases {
            let v = killer(n);
            assert_eq!(
                fingerprint(&argpartition(&v, kth).expect("small")),
                cut,
                "cut of {n} at {kth}"
            );
            let order = argsort(&v).expect("small");
            assert_eq!(fingerprint(&order), sorted, "order of {n}");
        }
    }

    #[test]
    fn the_smallest_are_cut_and_sorted() {
        let v = [3.0, 1.0, 2.0, 1.0, 0.0, 5.0];
        let best = smallest(&v, 3, 3).expect("small");
        let values: Vec<f64> = best.iter().map(|&at| v[at]).collect();
        assert_eq!(values, [0.0, 1.0, 1.0]);
    }
}
