//! Sparse rows from a log that passes by twice.

use criterion::{Criterion, criterion_group, criterion_main};
use ganmf_benches::per_interaction;
use ganmf_core::Progress;
use ganmf_core::base::csr_builder::CsrBuilder;

const CHUNK: usize = 1 << 16;

fn two_passes(c: &mut Criterion) {
    per_interaction(c, "CsrBuilder", |urm| {
        let view = urm.view();
        // Item by item, so that rows are filled out of order, as a log does.
        let by_item = view.transpose(&Progress::new()).expect("fits into memory");
        let by_item = by_item.view();
        let cols: Vec<i32> = (0..by_item.n_rows())
            .flat_map(|item| std::iter::repeat_n(item as i32, by_item.row_len(item)))
            .collect();
        let rows = by_item.indices();
        let mut builder = CsrBuilder::new(view.n_rows(), view.n_cols())?;
        for chunk in rows.chunks(CHUNK) {
            builder.count(chunk)?;
        }
        for (rows, cols) in rows.chunks(CHUNK).zip(cols.chunks(CHUNK)) {
            builder.fill(rows, cols)?;
        }
        builder.finish(&Progress::new())
    });
}

criterion_group!(benches, two_passes);
criterion_main!(benches);
