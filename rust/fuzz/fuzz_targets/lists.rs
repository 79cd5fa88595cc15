//! Any lists, users and cutoffs are measured or refused, and what is a share lies between 0 and 1.
#![no_main]

use arbitrary::Arbitrary;
use ganmf_core::Progress;
use ganmf_core::metrics::{Metric, MetricsRequest, Popularity, measure};
use ganmf_fuzz::Matrix;
use libfuzzer_sys::fuzz_target;
use ndarray::Array2;

#[derive(Debug, Arbitrary)]
struct Input {
    test: Matrix,
    train: Option<Matrix>,
    items: Vec<i8>,
    wild: Option<(u8, i32)>,
    width: u8,
    users: Option<Vec<i64>>,
    cutoffs: Vec<u8>,
    keep: bool,
    count: bool,
}

fuzz_target!(|input: Input| {
    let width = usize::from(input.width % 24);
    let mut items: Vec<i32> = input.items.iter().map(|&i| i32::from(i).max(-1)).collect();
    if let Some((at, item)) = input.wild
        && let Some(slot) = items.get_mut(usize::from(at))
    {
        *slot = item;
    }
    let n_lists = if width == 0 { 3 } else { items.len() / width };
    items.truncate(n_lists * width);
    let items = Array2::from_shape_vec((n_lists, width), items).expect("whole lists");
    let test = input.test.0.view();
    let users = input.users.clone().unwrap_or_else(|| {
        (0..n_lists)
            .map(|l| (l % test.n_rows().max(1)) as i64)
            .collect()
    });
    let cutoffs: Vec<usize> = input.cutoffs.iter().map(|&k| k.into()).collect();
    let popularity = input
        .train
        .as_ref()
        .map(|t| Popularity::new(t.0.view()).expect("small"));
    let metrics: Vec<Metric> = Metric::ALL
        .into_iter()
        .filter(|m| popularity.is_some() || !m.needs_popularity())
        .collect();
    let request = MetricsRequest {
        metrics: &metrics,
        cutoffs: &cutoffs,
        popularity: popularity.as_ref(),
        keep: input.keep,
        count: input.count,
    };
    for items in [items.view(), items.clone().reversed_axes().view()] {
        let Ok(found) = measure(items, test, &users, request, &Progress::new()) else {
            continue;
        };
        assert!(found.filled <= items.nrows());
        assert_eq!(found.sums.len(), metrics.len() * cutoffs.len());
        assert!(found.sums.iter().all(|&sum| sum >= 0));
        let shares = [
            Metric::Precision,
            Metric::Recall,
            Metric::Map,
            Metric::Ndcg,
            Metric::HitRate,
        ];
        if let Some(values) = found.per_list {
            for (metric, values) in metrics.iter().zip(values.outer_iter()) {
                let share = shares.contains(metric);
                let sound = |v: &f64| v.is_nan() || (*v >= 0.0 && (!share || *v <= 1.0 + 1e-9));
                assert!(values.iter().all(sound), "{metric:?} {values}");
            }
        }
        if let Some(counts) = found.counts {
            assert_eq!(counts.dim(), (cutoffs.len(), test.n_cols()));
        }
    }
});
