//! Any arrays are a matrix or refused; what is made of them obeys the laws of one.
#![no_main]

use arbitrary::Arbitrary;
use ganmf_core::base::csr_builder::CsrBuilder;
use ganmf_core::base::sparse::Duplicates;
use ganmf_core::{CsrMatrix, CsrView, Progress};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Input {
    n_rows: u32,
    n_cols: u32,
    pointers: Vec<i8>,
    indices: Vec<i8>,
    /// Index arrays with these numbers in place of small ones.
    wild: Vec<(u8, i32)>,
    values: Option<Vec<f32>>,
    duplicates: u8,
    chunk: u8,
}

fn check(matrix: &CsrMatrix) {
    let (view, p) = (matrix.view(), Progress::new());
    let by_col = view.transpose(&p).expect("small");
    let back = by_col.view().transpose(&p).expect("small");
    assert_eq!(&back, matrix);
    let counts = view.col_counts().expect("small");
    assert_eq!(counts.iter().sum::<u32>() as usize, view.nnz());
    for row in 0..view.n_rows() {
        assert_eq!(view.row(row).count(), view.row_len(row));
        assert!(view.cols(row).is_sorted());
    }
    let (n_cols, indptr, indices, values) = back.into_parts();
    CsrView::try_new(n_cols, &indptr, &indices, values.as_deref()).expect("valid");
}

fuzz_target!(|input: Input| {
    let p = Progress::new();
    // Small shapes, since absurd ones are refused by their memory, and a few beyond 32 bits.
    let side = |n: u32| match n % 64 {
        63 => usize::try_from(i64::from(n) << 20).unwrap_or(0),
        n => n as usize,
    };
    let shape = (side(input.n_rows), side(input.n_cols));
    let mut pointers: Vec<i64> = input.pointers.iter().map(|&x| x.into()).collect();
    let mut indices: Vec<i32> = input.indices.iter().map(|&x| x.into()).collect();
    for &(at, x) in &input.wild {
        let at = usize::from(at);
        if let Some(slot) = indices.get_mut(at) {
            *slot = x;
        } else if let Some(slot) = pointers.get_mut(at) {
            *slot = i64::from(x) << 31;
        }
    }
    let values = input.values.as_deref();
    if let Ok(view) = CsrView::try_new(shape.1, &pointers, &indices, values)
        && shape.1 < 1 << 20
    {
        check(
            &CsrMatrix::try_new(
                shape.1,
                pointers.clone(),
                indices.clone(),
                values.map(<[_]>::to_vec),
            )
            .expect("as the view"),
        );
        assert!(view.nnz() == indices.len());
    }
    if shape.0.max(shape.1) >= 1 << 20 {
        return;
    }
    let (rows, cols) = indices.split_at(indices.len() / 2);
    let duplicates = [Duplicates::Error, Duplicates::Sum, Duplicates::First];
    let duplicates = duplicates[usize::from(input.duplicates) % 3];
    if let Ok(matrix) = CsrMatrix::from_coo(shape, rows, cols, values, duplicates, &p) {
        check(&matrix);
    }
    if let Ok(mut builder) = CsrBuilder::new(shape.0, shape.1) {
        let chunk = usize::from(input.chunk % 8) + 1;
        let counted = rows.chunks(chunk).try_for_each(|r| builder.count(r));
        let filled = counted.and_then(|()| {
            let mut pairs = rows.chunks(chunk).zip(cols.chunks(chunk));
            pairs.try_for_each(|(r, c)| builder.fill(r, c))
        });
        if filled.is_ok()
            && let Ok(built) = builder.finish(&p)
        {
            check(&built);
            if rows.len() == cols.len() {
                let first = Duplicates::First;
                assert_eq!(
                    Ok(built),
                    CsrMatrix::from_coo(shape, rows, cols, None, first, &p)
                );
            }
        }
    }
});
