//! Splitting interactions.

use criterion::{Criterion, criterion_group, criterion_main};
use ganmf_benches::per_interaction;
use ganmf_core::Progress;
use ganmf_core::split::{Size, divide, holdout, k_core, k_fold, latest_of_users, paper_protocol};

fn splits(c: &mut Criterion) {
    let p = Progress::new();
    per_interaction(c, "paper_protocol", |urm| {
        paper_protocol(urm.view(), 1337, &p)
    });
    per_interaction(c, "holdout of 20% per user, both sides", |urm| {
        let labels = holdout(urm.view(), Size::Fraction(0.2), true, 1, &p).expect("valid");
        divide(urm.view(), &labels, 2, &p)
    });
    per_interaction(c, "holdout of 20% of all, labels", |urm| {
        holdout(urm.view(), Size::Fraction(0.2), false, 1, &p)
    });
    per_interaction(c, "5 folds per user, labels", |urm| {
        k_fold(urm.view(), 5, true, 1, &p)
    });
    per_interaction(c, "the latest 20% per user, labels", |urm| {
        let times: Vec<i64> = urm
            .view()
            .indices()
            .iter()
            .map(|&c| i64::from(c) % 97)
            .collect();
        latest_of_users(urm.view(), &times, Size::Fraction(0.2), &p)
    });
    per_interaction(c, "10-core", |urm| k_core(urm.view(), 10, 10, &p));
}

criterion_group!(benches, splits);
criterion_main!(benches);
