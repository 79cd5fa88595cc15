//! Sets of unobserved items, and draws by weights, for a batch of users.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ganmf_benches::power_law;
use ganmf_core::Progress;
use ganmf_core::base::rng::Rng;
use ganmf_core::sampling::{Key, Masks, draw_items, mask_uniform, mask_weighted};

const ITEMS: usize = 17_000;
const BATCH: usize = 256;
const KEY: Key = Key { seed: 1, stream: 0 };

fn sampling(c: &mut Criterion) {
    let urm = power_law(2_000, ITEMS, 90_000);
    let rows: Vec<i64> = (0..BATCH as i64).collect();
    let mut rng = Rng::at(2, 0, 0);
    // As softmax of numbers between 0 and 1 gives them.
    let weights: Vec<f32> = (0..BATCH * ITEMS)
        .map(|_| rng.unit().exp() as f32)
        .collect();
    let mut out = vec![0.0f32; BATCH * ITEMS];
    let progress = Progress::new();
    let masks = Masks::try_new(urm.view(), &rows, 0.5, false, KEY).expect("valid");

    let mut group = c.benchmark_group("256 users of 17k items");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(3))
        .throughput(Throughput::Elements((BATCH * ITEMS) as u64));
    group.bench_function("uniform sets of half the items", |b| {
        b.iter(|| mask_uniform(&masks, &mut out, &progress));
    });
    group.bench_function("weighted sets of half the items", |b| {
        b.iter(|| mask_weighted(&masks, &weights, &mut out, &progress));
    });
    group.bench_function("100 draws for each user", |b| {
        let counts = vec![100; BATCH];
        b.iter(|| draw_items(&weights, ITEMS, &rows, &counts, KEY, &progress));
    });
    group.finish();
}

criterion_group!(benches, sampling);
criterion_main!(benches);
