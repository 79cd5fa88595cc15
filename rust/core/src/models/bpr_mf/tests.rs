use ndarray::Array2;

use super::*;
use crate::base::testing::on_threads;

const PARAMS: BprMfParams = BprMfParams {
    rule: Rule::Adagrad,
    learning_rate: 0.05,
    reg: 0.01,
    candidates: 2,
    batch_size: 1,
    in_order: false,
    drop_last: false,
    adversary: None,
    seed: 3,
};

fn factors(n: usize, last: Option<f32>) -> Array2<f32> {
    Array2::from_shape_fn((n, 4), |(r, c)| match last {
        Some(last) if c == 3 => last,
        _ => Rng::at(9, n as u64, (r * 4 + c) as u64).normal() as f32 * 0.1,
    })
}

fn urm() -> ([i64; 6], [i32; 11]) {
    ([0, 3, 3, 5, 7, 11], [0, 2, 5, 1, 2, 0, 6, 1, 3, 4, 5])
}

fn after(params: BprMfParams, epochs: usize) -> State<Array2<f32>> {
    let (indptr, indices) = urm();
    let view = CsrView::try_new(7, &indptr, &indices, None).unwrap();
    let (users, items) = (factors(5, Some(1.0)), factors(7, None));
    let from = State {
        users: users.view(),
        items: items.view(),
        squares: None,
        epoch: 0,
    };
    let progress = Progress::new();
    let mut model = BprMf::new(view, params, &from, &progress).unwrap();
    for _ in 0..epochs {
        assert!(model.run(&progress).unwrap() > 0.0);
    }
    model.state().unwrap()
}

#[test]
fn a_batch_of_one_is_the_step_of_one_triple() {
    let alone = after(PARAMS, 4);
    // An adversary of no weight makes no difference but that batches are used.
    let adversary = Some(Adversary {
        epsilon: 0.5,
        weight: 0.0,
    });
    let batched = after(
        BprMfParams {
            adversary,
            ..PARAMS
        },
        4,
    );
    let error = |a: &Array2<f32>, b: &Array2<f32>| (a - b).iter().fold(0f32, |m, x| m.max(x.abs()));
    assert!(error(&alone.users, &batched.users) < 1e-6);
    assert!(error(&alone.items, &batched.items) < 1e-6);
}

#[test]
fn an_adversary_of_length_zero_doubles_the_gradient() {
    let base = BprMfParams {
        rule: Rule::Sgd,
        reg: 0.0,
        batch_size: 4,
        ..PARAMS
    };
    let adversary = Some(Adversary {
        epsilon: 0.0,
        weight: 1.0,
    });
    let double = after(BprMfParams { adversary, ..base }, 1);
    let plain = after(
        BprMfParams {
            learning_rate: 2.0 * base.learning_rate,
            ..base
        },
        1,
    );
    let difference = (&double.items - &plain.items).mapv(f32::abs);
    assert!(difference.iter().all(|&x| x < 1e-6));
}

#[test]
fn training_goes_on_from_its_state_to_the_bit() {
    let (indptr, indices) = urm();
    let view = CsrView::try_new(7, &indptr, &indices, None).unwrap();
    let progress = Progress::new();
    let middle = after(PARAMS, 2);
    let from = State {
        users: middle.users.view(),
        items: middle.items.view(),
        squares: middle.squares.as_ref().map(|[u, i]| [u.view(), i.view()]),
        epoch: middle.epoch,
    };
    let mut model = BprMf::new(view, PARAMS, &from, &progress).unwrap();
    model.run(&progress).unwrap();
    assert_eq!(model.state().unwrap().items, after(PARAMS, 3).items);
}

#[test]
fn thread_count_does_not_change_new_users() {
    let (indptr, indices) = urm();
    let view = CsrView::try_new(7, &indptr, &indices, None).unwrap();
    let items = factors(7, None);
    let fold = |n| {
        on_threads(n, || {
            fold_in(view, items.view(), 1.0, 5, &PARAMS, &Progress::new()).unwrap()
        })
    };
    let found = fold(1);
    assert_eq!(found, fold(3));
    assert!(found.row(0).iter().any(|&x| x != 0.0 && x != 1.0));
    assert_eq!(found.row(1).to_vec(), [0.0, 0.0, 0.0, 1.0]);
}
