//! Splitting interactions.

use criterion::{Criterion, criterion_group, criterion_main};
use ganmf_benches::per_interaction;
use ganmf_core::Progress;
use ganmf_core::split::paper_protocol;

fn five_sets(c: &mut Criterion) {
    per_interaction(c, "paper_protocol", |urm| {
        paper_protocol(urm.view(), 1337, &Progress::new())
    });
}

criterion_group!(benches, five_sets);
criterion_main!(benches);
