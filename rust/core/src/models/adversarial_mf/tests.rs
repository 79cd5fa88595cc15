use ndarray::Array2;

use super::softmax::BLOCK;
use super::*;
use crate::base::testing::{on_threads, random_rows};

const ITEMS: usize = 150;

fn factors(seed: u64, n: usize, last: Option<f32>) -> Array2<f32> {
    Array2::from_shape_fn((n, 4), |(r, c)| match last {
        Some(last) if c == 3 => last,
        _ => Rng::at(seed, n as u64, (r * 4 + c) as u64).normal() as f32 * 0.5,
    })
}

#[test]
fn draws_are_as_frequent_as_the_softmax_says() {
    let items = factors(1, ITEMS, None);
    let table = Table::new("items", items.view()).unwrap();
    let columns = table.columns(padded(ITEMS)).unwrap();
    let user = [0.7, -1.1, 0.4, 1.0];
    let excluded = [3, 77];
    let mut softmax = Softmax::new(ITEMS).unwrap();
    softmax.fill(&user, &columns, ITEMS, 2.0, &excluded);
    let weight = |i: usize| {
        let score: f64 = (0..4)
            .map(|k| f64::from(user[k]) * f64::from(items[[i, k]]))
            .sum();
        if excluded.contains(&(i as i32)) {
            0.0
        } else {
            (2.0 * score).exp()
        }
    };
    let total: f64 = (0..ITEMS).map(weight).sum();
    let mut rng = Rng::at(5, 0, 0);
    let n = 200_000;
    let mut uniforms: Vec<f64> = (0..n).map(|_| rng.unit()).collect();
    uniforms.extend([0.0, 1.0 - f64::EPSILON / 2.0]);
    uniforms.sort_unstable_by(f64::total_cmp);
    let mut counts = vec![0.0; ITEMS];
    softmax.find(&uniforms, |i| counts[i] += 1.0);
    for (i, &count) in counts.iter().enumerate() {
        let expected = f64::from(n) * weight(i) / total;
        assert!(
            (count - expected).abs() < 6.0 * expected.sqrt() + 2.0,
            "{i}"
        );
        assert!(weight(i) > 0.0 || count == 0.0);
    }
    assert_eq!(counts.iter().sum::<f64>(), f64::from(n) + 2.0);
    assert_eq!(softmax.weights.len() % BLOCK, 0);
}

fn params(teaching: Teaching) -> AdversarialMfParams {
    AdversarialMfParams {
        d: DiscriminatorParams {
            epochs: 6,
            learning_rate: 0.05,
            reg: 0.01,
            batch_size: 8,
            temperature: 0.5,
            outside: true,
            frozen: false,
            uniform: false,
        },
        g: GeneratorParams {
            epochs: 3,
            learning_rate: 0.05,
            reg: 0.01,
            teaching,
        },
        in_order: false,
        seed: 7,
    }
}

fn after(teaching: Teaching, rounds: usize) -> State<Array2<f32>, Vec<i32>> {
    let urm = random_rows(2, (40, ITEMS), 0.1);
    let tables = [
        factors(1, 40, Some(1.0)),
        factors(2, ITEMS, None),
        factors(3, 40, Some(1.0)),
        factors(4, ITEMS, None),
    ];
    let from = State {
        g: [tables[0].view(), tables[1].view()],
        d: [tables[2].view(), tables[3].view()],
        negatives: &[][..],
        round: 0,
    };
    let mut model = AdversarialMf::new(urm.view(), params(teaching), &from).unwrap();
    for _ in 0..rounds {
        model.run(&Progress::new()).unwrap();
    }
    model.state().unwrap()
}

#[test]
fn thread_count_does_not_change_the_result() {
    for teaching in [Teaching::Policy { mix: 0.2 }, Teaching::Pairs] {
        let one = on_threads(1, || after(teaching, 2));
        let three = on_threads(3, || after(teaching, 2));
        assert_eq!(one.g, three.g);
        assert_eq!(one.d, three.d);
        assert_eq!(one.negatives, three.negatives);
    }
}

#[test]
fn negatives_lie_outside_the_profile_where_that_is_asked_for() {
    let urm = random_rows(2, (40, ITEMS), 0.1);
    let state = after(Teaching::Pairs, 1);
    for user in 0..40 {
        for cell in urm.view().range(user) {
            assert!(!urm.view().cols(user).contains(&state.negatives[cell]));
        }
    }
}
