//! Any sizes, labels and times split a matrix into parts that together are the matrix, or are
//! refused.
#![no_main]

use arbitrary::Arbitrary;
use ganmf_core::split::{self, Size};
use ganmf_core::{CsrView, Progress};
use ganmf_fuzz::Matrix;
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
enum Amount {
    Fraction(f64),
    Percent(u8),
    Count(u64),
    Few(u8),
}

impl Amount {
    fn size(&self) -> Size {
        match *self {
            Self::Fraction(f) => Size::Fraction(f),
            Self::Percent(p) => Size::Fraction(f64::from(p) / 200.0),
            Self::Count(n) => Size::Count(n as usize),
            Self::Few(n) => Size::Count(n.into()),
        }
    }
}

#[derive(Debug, Arbitrary)]
struct Input {
    urm: Matrix,
    labels: Vec<u8>,
    times: Vec<i64>,
    sizes: [Amount; 2],
    n: u8,
    bounds: [u8; 2],
    cut: i64,
    seed: u64,
    per_user: bool,
}

/// The parts of any labels below `n` hold every cell once.
fn divided(urm: CsrView, labels: &[u8], n: usize) {
    let parts = split::divide(urm, labels, n, &Progress::new()).expect("labels below n");
    let stored: usize = parts.iter().map(|part| part.view().nnz()).sum();
    assert_eq!(stored, urm.nnz());
    for row in 0..urm.n_rows() {
        let of_row: usize = parts.iter().map(|part| part.view().row_len(row)).sum();
        assert_eq!(of_row, urm.row_len(row));
    }
}

fuzz_target!(|input: Input| {
    let (urm, p) = (input.urm.0.view(), Progress::new());
    let (size, other) = (input.sizes[0].size(), input.sizes[1].size());
    let _ = split::divide(urm, &input.labels, input.n.into(), &p);
    let _ = split::part(urm, &input.labels, input.n, &p);
    let _ = split::latest_of_users(urm, &input.times, size, &p);
    let _ = split::looks_ahead(urm, &input.labels, &input.times, &p);
    let _ = split::cut_at(urm, &input.times, input.cut, &p);
    let mut labels = input.labels.clone();
    labels.resize(urm.nnz(), 3);
    let mut times = input.times.clone();
    times.resize(urm.nnz(), 5);
    divided(urm, &labels, 256);
    let two = [
        split::holdout(urm, size, input.per_user, input.seed, &p),
        split::leave_k_out(urm, usize::from(input.n), input.seed, &p),
        split::latest_of_users(urm, &times, size, &p),
        split::cut_for(&times, size).and_then(|cut| split::cut_at(urm, &times, cut, &p)),
        split::cut_at(urm, &times, input.cut, &p),
    ];
    for labels in two.into_iter().flatten() {
        divided(urm, &labels, 2);
        split::looks_ahead(urm, &labels, &times, &p).expect("one label and time a cell");
    }
    let n = usize::from(input.n);
    if let Ok(labels) = split::k_fold(urm, n, input.per_user, input.seed, &p) {
        divided(urm, &labels, n);
    }
    if let Ok((labels, rows)) = split::cold_users(urm, size, other, input.seed, &p) {
        divided(urm, &labels, 3);
        assert!(!rows.is_empty() && rows.is_sorted());
    }
    if let Ok(sets) = split::paper_protocol(urm, input.seed, &p) {
        let kept = sets
            .users
            .iter()
            .map(|&u| urm.row_len(u as usize))
            .sum::<usize>();
        assert_eq!(sets.train.view().nnz() + sets.test.view().nnz(), kept);
    }
    let [of_user, of_item] = input.bounds.map(usize::from);
    if let Ok(core) = split::k_core(urm, of_user, of_item, &p) {
        let core = core.urm.view();
        assert!((0..core.n_rows()).all(|u| core.row_len(u) >= of_user.max(1)));
        let counts = core.col_counts().expect("small");
        assert!(counts.iter().all(|&c| c as usize >= of_item.max(1)));
    }
});
