//! The formulas of the similarities, for one pair and for a row of pairs in vectors.
//!
//! Each formula is a struct of its numbers and is written once, so that a pair has the same bits on
//! every path. A row is computed in blocks of fixed length, which the compiler turns into vectors.

use crate::base::dispatch::Kernel;
use crate::base::vector_math::{exp, ln_1p};

/// Pairs side by side.
const BLOCK: usize = 32;

/// A similarity of one item with any other, given their overlap and two numbers of the other.
pub(crate) trait Formula: Copy {
    fn score(self, overlap: f64, a: f64, b: f64) -> f64;
}

/// `overlap / (own a + shift)`
#[derive(Clone, Copy)]
pub(crate) struct Product {
    pub(crate) own: f64,
    pub(crate) shift: f64,
}

impl Formula for Product {
    #[inline(always)]
    fn score(self, overlap: f64, a: f64, _: f64) -> f64 {
        overlap / (self.own * a + self.shift)
    }
}

/// `overlap / (overlap c + (own + factor a) + shift)`
#[derive(Clone, Copy)]
pub(crate) struct Ratio {
    pub(crate) c: f64,
    pub(crate) own: f64,
    pub(crate) factor: f64,
    pub(crate) shift: f64,
}

impl Formula for Ratio {
    #[inline(always)]
    fn score(self, overlap: f64, a: f64, _: f64) -> f64 {
        overlap / (overlap * self.c + (self.own + self.factor * a) + self.shift)
    }
}

/// How a distance enters the denominator.
pub(crate) trait Curve: Copy {
    fn apply(self, d: f64) -> f64;
}

#[derive(Clone, Copy)]
pub(crate) struct Lin;
#[derive(Clone, Copy)]
pub(crate) struct Log;
#[derive(Clone, Copy)]
pub(crate) struct Exp;

impl Curve for Lin {
    #[inline(always)]
    fn apply(self, d: f64) -> f64 {
        d
    }
}

impl Curve for Log {
    #[inline(always)]
    fn apply(self, d: f64) -> f64 {
        ln_1p(d)
    }
}

impl Curve for Exp {
    #[inline(always)]
    fn apply(self, d: f64) -> f64 {
        exp(d)
    }
}

/// `1 / (f(d) + shift)` with `d^2 = (own + a - 2 overlap) scale`.
#[derive(Clone, Copy)]
pub(crate) struct Distance<F> {
    pub(crate) own: f64,
    pub(crate) scale: f64,
    pub(crate) shift: f64,
    pub(crate) f: F,
}

impl<F: Curve> Distance<F> {
    #[inline(always)]
    fn square(self, overlap: f64, a: f64) -> f64 {
        (self.own + a - 2.0 * overlap).max(0.0) * self.scale
    }
}

impl<F: Curve> Formula for Distance<F> {
    #[inline(always)]
    fn score(self, overlap: f64, a: f64, _: f64) -> f64 {
        1.0 / (self.f.apply(self.square(overlap, a).sqrt()) + self.shift)
    }
}

/// A distance whose square is divided by `root b`; none where that is zero.
#[derive(Clone, Copy)]
pub(crate) struct Normalized<F> {
    pub(crate) distance: Distance<F>,
    pub(crate) root: f64,
}

impl<F: Curve> Formula for Normalized<F> {
    #[inline(always)]
    fn score(self, overlap: f64, a: f64, b: f64) -> f64 {
        let norms = self.root * b;
        let distance = self.distance;
        let d = (distance.square(overlap, a) / norms).sqrt();
        let score = 1.0 / (distance.f.apply(d) + distance.shift);
        if norms > 0.0 { score } else { 0.0 }
    }
}

/// A stored count.
pub trait Count: Copy + Default + Send + Sync {
    /// As the formulas use it.
    fn to_f64(self) -> f64;
    /// From a sum that is a whole number in range.
    fn from_f32(count: f32) -> Self;
}

macro_rules! count {
    ($type:ty) => {
        impl Count for $type {
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn from_f32(count: f32) -> Self {
                count as Self
            }
        }
    };
}

count!(u16);
count!(u32);

/// A formula for a whole row of pairs; all slices have one length.
pub(crate) struct RowKernel<'a, C, F> {
    pub(crate) formula: F,
    pub(crate) counts: &'a [C],
    pub(crate) a: &'a [f64],
    pub(crate) b: &'a [f64],
    pub(crate) scores: &'a mut [f32],
}

impl<C: Count, F: Formula> Kernel for RowKernel<'_, C, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let formula = self.formula;
        let (scores, rest) = self.scores.as_chunks_mut::<BLOCK>();
        let (counts, counts_rest) = self.counts.as_chunks::<BLOCK>();
        let (a, a_rest) = self.a.as_chunks::<BLOCK>();
        let (b, b_rest) = self.b.as_chunks::<BLOCK>();
        for (((scores, counts), a), b) in scores.iter_mut().zip(counts).zip(a).zip(b) {
            // A local array cannot alias the slices, so the loop is vectorised.
            let mut block = [0f32; BLOCK];
            for l in 0..BLOCK {
                block[l] = formula.score(counts[l].to_f64(), a[l], b[l]) as f32;
            }
            *scores = block;
        }
        for (((score, count), a), b) in rest.iter_mut().zip(counts_rest).zip(a_rest).zip(b_rest) {
            *score = formula.score(count.to_f64(), *a, *b) as f32;
        }
    }
}
