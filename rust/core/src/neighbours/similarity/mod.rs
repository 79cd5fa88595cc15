//! The six similarities of neighbourhood models, as functions of a pair's overlap.
//!
//! Objective: for a neighbour i and a target j with overlap `co` (the users they share, or the dot
//! product of their columns) and sizes `n` (their users, or the squared norms),
//!
//! | name | similarity |
//! | --- | --- |
//! | cosine | `co / (sqrt(n_i) sqrt(n_j) + h)` |
//! | asymmetric | `co / (n_j^a n_i^(1-a) + h)` |
//! | jaccard | `co / (n_i + n_j - co + h)` |
//! | dice | `co / (n_i + n_j + h)` |
//! | tversky | `co / (co + a (n_j - co) + b (n_i - co) + h)` |
//! | euclidean | `1 / (f(d) + shrink + 1e-9), d^2 = n_i + n_j - 2 co` |
//!
//! where h = shrink + 1e-6 and f(d) is d, ln(1 + d) or e^d. Cosine and asymmetric without
//! normalisation are co / shrink, or co where shrink is zero; the euclidean d^2 is divided by
//! `sqrt(n_i n_j)` if normalised and by the number of users if averaged.
//!
//! Source: the evaluation framework of Ferrari Dacrema et al., RecSys 2019; dice has no factor 2
//! there. Deviation: an item without users has no normalised euclidean neighbour, instead of NaN.
//!
//! A similarity is computed in f64 and rounded to f32 once; one that rounds to zero is no
//! neighbour.

mod formulas;

use crate::base::dispatch::dispatch;
use crate::base::error::check_non_negative;
use crate::base::error::from_word;
use crate::base::memory::{collected, copied, zeros};
use crate::base::{Error, Result};
use crate::neighbours::SIZES;
pub(crate) use formulas::Count;
use formulas::{Curve, Distance, Exp, Formula, Lin, Log, Normalized, Product, Ratio, RowKernel};

/// How a distance becomes a similarity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FromDistance {
    /// 1 / (d + shrink + 1e-9)
    Lin,
    /// 1 / (ln(1 + d) + shrink + 1e-9)
    Log,
    /// 1 / (e^d + shrink + 1e-9)
    Exp,
}

from_word!(FromDistance, "similarity_from_distance_mode", "lin, log or exp", {
    "lin" => Lin,
    "log" => Log,
    "exp" => Exp,
});

/// Which similarity; see the [module](self).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Cosine of the angle between two columns.
    Cosine {
        /// Divide by the norms.
        normalize: bool,
    },
    /// Cosine whose norms are weighted unevenly.
    Asymmetric {
        /// Exponent of the target's size, the neighbour's being one minus it.
        alpha: f64,
        /// Divide by the sizes.
        normalize: bool,
    },
    /// Users of both among the users of either.
    Jaccard,
    /// Users of both among the users of each.
    Dice,
    /// Jaccard with weights for what only one side has.
    Tversky {
        /// Weight of what only the target has.
        alpha: f64,
        /// Weight of what only the neighbour has.
        beta: f64,
    },
    /// Distance of two columns.
    Euclidean {
        /// Divide the squared distance by the norms.
        normalize: bool,
        /// Divide the squared distance by the number of users.
        average: bool,
        /// From distance to similarity.
        mode: FromDistance,
    },
}

/// A similarity with its shrinkage; validated on construction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Similarity {
    kind: Kind,
    shrink: f64,
}

impl Similarity {
    /// A similarity of `kind` with `shrink` added to its denominator.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if a number is negative or not finite.
    pub fn try_new(kind: Kind, shrink: f64) -> Result<Self> {
        check_non_negative("shrink", shrink)?;
        match kind {
            Kind::Asymmetric { alpha, .. } => check_non_negative("asymmetric_alpha", alpha)?,
            Kind::Tversky { alpha, beta } => {
                check_non_negative("tversky_alpha", alpha)?;
                check_non_negative("tversky_beta", beta)?;
            }
            _ => {}
        }
        Ok(Self { kind, shrink })
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn shrink(&self) -> f64 {
        self.shrink
    }

    /// Whether only the presence of interactions counts, never their values.
    #[must_use]
    pub fn is_binary(&self) -> bool {
        matches!(self.kind, Kind::Jaccard | Kind::Dice | Kind::Tversky { .. })
    }

    /// Whether pairs without a common user can be neighbours.
    #[must_use]
    pub fn reaches_all(&self) -> bool {
        matches!(self.kind, Kind::Euclidean { .. })
    }

    /// The similarity for items of these sizes, out of `n_users` users.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn prepare(&self, sizes: &[f64], n_users: usize) -> Result<PreparedSimilarity> {
        let powers = |e: f64| collected(sizes.iter().map(|n| n.powf(e)), SIZES);
        let roots = || collected(sizes.iter().map(|n| n.sqrt()), SIZES);
        let plain = || {
            let scale = if self.shrink > 0.0 { self.shrink } else { 1.0 };
            Ok(PreparedSimilarity::Product {
                neighbour: zeros(sizes.len(), SIZES)?,
                target: zeros(sizes.len(), SIZES)?,
                shift: scale,
            })
        };
        let shift = self.shrink + 1e-6;
        let ratio = |overlap, target, neighbour| {
            Ok(PreparedSimilarity::Ratio {
                sizes: copied(sizes, SIZES)?,
                overlap,
                target,
                neighbour,
                shift,
            })
        };
        match self.kind {
            Kind::Cosine { normalize: true } => Ok(PreparedSimilarity::Product {
                neighbour: roots()?,
                target: roots()?,
                shift,
            }),
            Kind::Asymmetric {
                alpha,
                normalize: true,
            } => Ok(PreparedSimilarity::Product {
                neighbour: powers(1.0 - alpha)?,
                target: powers(alpha)?,
                shift,
            }),
            Kind::Cosine { .. } | Kind::Asymmetric { .. } => plain(),
            Kind::Jaccard => ratio(-1.0, 1.0, 1.0),
            Kind::Dice => ratio(0.0, 1.0, 1.0),
            Kind::Tversky { alpha, beta } => ratio(1.0 - alpha - beta, alpha, beta),
            Kind::Euclidean {
                normalize,
                average,
                mode,
            } => Ok(PreparedSimilarity::Distance {
                sizes: copied(sizes, SIZES)?,
                roots: normalize.then(roots).transpose()?,
                scale: if average { 1.0 / n_users as f64 } else { 1.0 },
                mode,
                shift: self.shrink + 1e-9,
            }),
        }
    }
}

/// A similarity prepared for items of known sizes.
#[derive(Debug, Clone, PartialEq)]
pub enum PreparedSimilarity {
    /// `overlap / (neighbour_i target_j + shift)`
    Product {
        /// Factor of each item as the neighbour.
        neighbour: Vec<f64>,
        /// Factor of each item as the target.
        target: Vec<f64>,
        /// Added to the product.
        shift: f64,
    },
    /// `overlap / (overlap c + neighbour n_i + target n_j + shift)`
    Ratio {
        /// n of each item.
        sizes: Vec<f64>,
        /// The factor c of the overlap.
        overlap: f64,
        /// Factor of the target's size.
        target: f64,
        /// Factor of the neighbour's size.
        neighbour: f64,
        /// Added to the sum.
        shift: f64,
    },
    /// 1 / (f(d) + shift)
    Distance {
        /// n of each item.
        sizes: Vec<f64>,
        /// Square roots of the sizes, if distances are divided by them.
        roots: Option<Vec<f64>>,
        /// Factor of the squared distance.
        scale: f64,
        /// The function f.
        mode: FromDistance,
        /// Added to it.
        shift: f64,
    },
}

/// Which side of the pair is fixed along a row of scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The scores of all neighbours of one target.
    Target,
    /// The scores of one neighbour for all targets.
    Neighbour,
}

/// Visitor that receives the concrete formula of a similarity.
trait FormulaVisitor {
    type Output;
    /// `a` and `b` hold the two numbers of every other column that the formula needs.
    fn visit<F: Formula>(self, formula: F, a: &[f64], b: &[f64]) -> Self::Output;
}

struct ScorePair {
    overlap: f64,
    other: usize,
}

impl FormulaVisitor for ScorePair {
    type Output = f32;

    #[inline(always)]
    fn visit<F: Formula>(self, formula: F, a: &[f64], b: &[f64]) -> f32 {
        formula.score(self.overlap, a[self.other], b[self.other]) as f32
    }
}

struct ScoreRow<'a, C> {
    overlaps: &'a [C],
    scores: &'a mut [f32],
}

impl<C: Count> FormulaVisitor for ScoreRow<'_, C> {
    type Output = ();

    fn visit<F: Formula>(self, formula: F, a: &[f64], b: &[f64]) {
        dispatch(RowKernel {
            formula,
            counts: self.overlaps,
            a,
            b,
            scores: self.scores,
        });
    }
}

impl PreparedSimilarity {
    /// Similarity of neighbour `i` for target `j`; zero where they are no neighbours.
    #[inline]
    #[must_use]
    pub fn score(&self, overlap: f64, i: usize, j: usize) -> f32 {
        self.formula(Side::Target, j, ScorePair { overlap, other: i })
    }

    /// [`score`](Self::score) of item `own`, on its `side`, with every other; `overlaps` are those
    /// of the pairs.
    pub fn score_all<C: Count>(&self, side: Side, own: usize, overlaps: &[C], scores: &mut [f32]) {
        self.formula(side, own, ScoreRow { overlaps, scores });
    }

    /// Both sides give the same bits: sums and products of two numbers are commutative.
    #[inline(always)]
    fn formula<V: FormulaVisitor>(&self, side: Side, own: usize, visitor: V) -> V::Output {
        match self {
            Self::Product {
                neighbour,
                target,
                shift,
            } => {
                let (mine, others) = match side {
                    Side::Target => (target, neighbour),
                    Side::Neighbour => (neighbour, target),
                };
                let formula = Product {
                    own: mine[own],
                    shift: *shift,
                };
                visitor.visit(formula, others, others)
            }
            Self::Ratio {
                sizes,
                overlap,
                target,
                neighbour,
                shift,
            } => {
                let (mine, factor) = match side {
                    Side::Target => (target, neighbour),
                    Side::Neighbour => (neighbour, target),
                };
                let formula = Ratio {
                    c: *overlap,
                    own: mine * sizes[own],
                    factor: *factor,
                    shift: *shift,
                };
                visitor.visit(formula, sizes, sizes)
            }
            Self::Distance { mode, .. } => match mode {
                FromDistance::Lin => self.distance(Lin, own, visitor),
                FromDistance::Log => self.distance(Log, own, visitor),
                FromDistance::Exp => self.distance(Exp, own, visitor),
            },
        }
    }

    #[inline(always)]
    fn distance<F: Curve, V: FormulaVisitor>(&self, f: F, own: usize, visitor: V) -> V::Output {
        let Self::Distance {
            sizes,
            roots,
            scale,
            shift,
            ..
        } = self
        else {
            unreachable!("only called for distances")
        };
        let distance = Distance {
            own: sizes[own],
            scale: *scale,
            shift: *shift,
            f,
        };
        match roots {
            None => visitor.visit(distance, sizes, sizes),
            Some(roots) => {
                let root = roots[own];
                visitor.visit(Normalized { distance, root }, sizes, roots)
            }
        }
    }
}

/// What overlap a pair needs for a score: at least `slope * weight(i) + base + offset(i)`, with
/// [`PreparedSimilarity::weight`] and [`PreparedSimilarity::offset`] of the neighbour i.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Floor {
    /// Factor of the weight.
    pub slope: f32,
    /// Added to it.
    pub base: f32,
}

/// How much a floor lies too low, so that rounding in f32 cannot hide a pair.
const CAUTION: f64 = 2e-6;

impl PreparedSimilarity {
    /// Weight of neighbour `i` in a [`Floor`].
    #[must_use]
    pub fn weight(&self, i: usize) -> f64 {
        match self {
            Self::Product { neighbour, .. } => neighbour[i],
            Self::Ratio { sizes, .. } => sizes[i],
            Self::Distance { roots, .. } => roots.as_ref().map_or(0.0, |r| r[i]),
        }
    }

    /// Offset of neighbour `i` in a [`Floor`].
    #[must_use]
    pub fn offset(&self, i: usize) -> f64 {
        match self {
            Self::Distance { sizes, .. } => sizes[i] / 2.0,
            Self::Product { .. } | Self::Ratio { .. } => 0.0,
        }
    }

    /// Refuse numbers of columns that a [`Floor`] cannot hold.
    pub(crate) fn check_range(&self) -> Result<()> {
        let held = |x: f64| (x as f32).is_finite();
        let beyond = match self {
            Self::Product {
                neighbour, target, ..
            } => {
                // A negative power of nothing is infinite, but such a column has no overlap.
                let held = |(&a, &b)| (held(a) || b == 0.0) && (held(b) || a == 0.0);
                neighbour.iter().zip(target).position(|pair| !held(pair))
            }
            Self::Ratio { sizes, .. } | Self::Distance { sizes, .. } => {
                sizes.iter().position(|&n| !held(n))
            }
        };
        match beyond {
            None => Ok(()),
            Some(at) => Err(Error::NonFinite(format!(
                "the norm or a power of column {at} is beyond single precision"
            ))),
        }
    }

    /// The floor that every neighbour passes.
    #[must_use]
    pub fn no_floor(&self) -> Floor {
        let base = match self {
            Self::Distance { .. } => f32::NEG_INFINITY,
            Self::Product { .. } | Self::Ratio { .. } => f32::MIN_POSITIVE,
        };
        Floor { slope: 0.0, base }
    }

    /// A floor that no neighbour of target `j` with at least `score` misses.
    ///
    /// `heaviest` and `largest` bound weights and offsets of all neighbours.
    #[must_use]
    pub fn floor(&self, score: f32, j: usize, heaviest: f64, largest: f64) -> Floor {
        // Rounding may have lifted the score.
        let score = f64::from(score) * (1.0 - 1e-6);
        let (slope, base) = match self {
            Self::Product { target, shift, .. } => (score * target[j], score * shift),
            Self::Ratio {
                sizes,
                overlap,
                target,
                neighbour,
                shift,
            } => {
                // co (1 - score c) >= score (neighbour n_i + target n_j + shift)
                let per_size = score / (1.0 - score * overlap);
                (per_size * neighbour, per_size * (target * sizes[j] + shift))
            }
            Self::Distance {
                sizes,
                roots,
                scale,
                mode,
                shift,
            } => {
                let f = (1.0 / score - shift).max(0.0);
                let d = match mode {
                    FromDistance::Lin => f,
                    FromDistance::Log => f.exp_m1(),
                    FromDistance::Exp => f.max(1.0).ln(),
                };
                // 1e-6 of the denominator, not of the distance, is what rounding moves.
                let half = (d * d * (1.0 + 1e-6)) / scale / 2.0;
                let (slope, base) = match roots {
                    Some(roots) => (-half * roots[j], sizes[j] / 2.0),
                    None => (0.0, sizes[j] / 2.0 - half),
                };
                let terms = slope.abs() * heaviest + base.abs() + largest;
                return Floor {
                    slope: slope as f32,
                    // Of the tiniest numbers f32 keeps few digits or none.
                    base: (base - CAUTION * terms) as f32 - f32::MIN_POSITIVE,
                };
            }
        };
        Floor {
            slope: (slope * (1.0 - CAUTION)) as f32,
            base: (base * (1.0 - CAUTION)) as f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(kind: Kind, shrink: f64, co: f64) -> f32 {
        let s = Similarity::try_new(kind, shrink).expect("valid");
        let sizes = [4.0, 9.0, 0.0];
        s.prepare(&sizes, 10).expect("small").score(co, 0, 1)
    }

    #[test]
    fn each_is_its_formula_on_a_pair() {
        let near = |a: f32, b: f64| assert!((f64::from(a) - b).abs() < 1e-6 * b, "{a} {b}");
        near(
            score(Kind::Cosine { normalize: true }, 1.0, 3.0),
            3.0 / 7.000_001,
        );
        near(score(Kind::Cosine { normalize: false }, 0.0, 3.0), 3.0);
        near(score(Kind::Cosine { normalize: false }, 2.0, 3.0), 1.5);
        let asymmetric = Kind::Asymmetric {
            alpha: 0.2,
            normalize: true,
        };
        near(
            score(asymmetric, 0.0, 3.0),
            3.0 / (9f64.powf(0.2) * 4f64.powf(0.8) + 1e-6),
        );
        near(score(Kind::Jaccard, 0.0, 3.0), 3.0 / 10.000_001);
        near(score(Kind::Dice, 0.0, 3.0), 3.0 / 13.000_001);
        let tversky = Kind::Tversky {
            alpha: 0.3,
            beta: 2.0,
        };
        near(
            score(tversky, 5.0, 3.0),
            3.0 / (3.0 + 0.3 * 6.0 + 2.0 + 5.000_001),
        );
        for (mode, f) in [
            (FromDistance::Lin, 7f64.sqrt()),
            (FromDistance::Log, 7f64.sqrt().ln_1p()),
            (FromDistance::Exp, 7f64.sqrt().exp()),
        ] {
            let kind = Kind::Euclidean {
                normalize: false,
                average: false,
                mode,
            };
            near(score(kind, 2.0, 3.0), 1.0 / (f + 2.0));
        }
        let scaled = Kind::Euclidean {
            normalize: true,
            average: true,
            mode: FromDistance::Lin,
        };
        near(score(scaled, 0.0, 3.0), 1.0 / (7.0 / 6.0 / 10f64).sqrt());
    }

    #[test]
    fn a_cold_item_has_no_normalised_distance() {
        let kind = Kind::Euclidean {
            normalize: true,
            average: false,
            mode: FromDistance::Lin,
        };
        let s = Similarity::try_new(kind, 0.0).expect("valid");
        for sizes in [[4.0, 0.0], [0.0, 0.0]] {
            let prepared = s.prepare(&sizes, 5).expect("small");
            assert_eq!(prepared.score(0.0, 1, 0), 0.0);
        }
    }

    #[test]
    fn numbers_outside_their_domain_are_named() {
        let message = |kind, shrink| {
            Similarity::try_new(kind, shrink)
                .expect_err("must be refused")
                .to_string()
        };
        assert!(
            message(Kind::Jaccard, -1.0).contains("shrink must be finite and at least 0, not -1")
        );
        let kind = Kind::Tversky {
            alpha: f64::NAN,
            beta: 1.0,
        };
        assert!(message(kind, 0.0).contains("tversky_alpha"));
    }
}
