//! Sums of products of bytes with numbers of four bits, two in a byte.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::_MM_HINT_T0;

#[cfg(target_arch = "x86_64")]
use pulp::x86::{V3, V4};
#[cfg(target_arch = "x86_64")]
use pulp::{bytemuck, i8x32, i8x64, i32x8, i32x16, u8x32, u8x64};

#[cfg(target_arch = "x86_64")]
use crate::base::dispatch::{avx2, avx512};

/// Items of a block: side by side they fill the registers.
pub(super) const ITEMS: usize = 64;

/// Bytes of an item in a line.
pub(super) const BYTES: usize = 4;
/// Factors of a line: four in the low halves of an item's bytes, and the next four in the high ones.
pub(super) const LINE: usize = 2 * BYTES;
/// Lines whose products, of at most 15 x 127 each and four at a place, are added in 16 bits.
const TOGETHER: usize = 4;
/// Factors in a piece of lower halves: the first sixty-four in the low bits.
pub(super) const PIECE: usize = 128;

/// Upper halves of the items of a block, a few factors of them.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Line(pub(super) [[u8; BYTES]; ITEMS]);

/// Lower halves of an item.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Piece(pub(super) [u8; PIECE / 2]);

/// Factors of a user beside the halves of a line, as often as they are multiplied at once.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Repeated(pub(super) [[i8; BYTES]; 16]);

/// Factors of a user beside a piece.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Codes(pub(super) [i8; PIECE]);

/// Instructions that multiply and add pairs, which the compiler does not find, as far as the
/// processor has them; to be used within `dispatch`.
pub(super) struct Arithmetic {
    #[cfg(target_arch = "x86_64")]
    simd: Option<V3>,
    #[cfg(target_arch = "x86_64")]
    wide: Option<V4>,
}

impl Arithmetic {
    pub(super) fn new() -> Self {
        Self {
            #[cfg(target_arch = "x86_64")]
            simd: avx2(),
            #[cfg(target_arch = "x86_64")]
            wide: avx512(),
        }
    }

    /// Inner products of the user and the items of a block, as they are in four bits from 0 to 15.
    #[inline(always)]
    pub(super) fn sums(&self, user: &[[Repeated; 2]], lines: &[Line]) -> [i32; ITEMS] {
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = self.wide {
            return sums_of_lines_512(simd, user, lines);
        } else if let Some(simd) = self.simd {
            return sums_of_lines_256(simd, user, lines);
        }
        let mut sums = [0; ITEMS];
        for ([low, high], line) in user.iter().zip(lines) {
            for (sum, items) in sums.iter_mut().zip(&line.0) {
                for ((&byte, x), y) in items.iter().zip(low.0[0]).zip(high.0[0]) {
                    *sum +=
                        i32::from(byte & 15) * i32::from(x) + i32::from(byte >> 4) * i32::from(y);
                }
            }
        }
        sums
    }

    /// Have the processor begin to read lower halves while it computes something else.
    #[inline(always)]
    pub(super) fn prefetch(&self, pieces: &[Piece]) {
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = self.simd {
            // What follows it finds itself.
            simd.sse._mm_prefetch::<_MM_HINT_T0>(pieces.as_ptr().cast());
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = pieces;
    }

    /// Inner product of the user and an item in its lower halves.
    #[inline(always)]
    pub(super) fn product(&self, codes: &[Codes], pieces: &[Piece]) -> i32 {
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = self.simd {
            return product_256(simd, codes, pieces);
        }
        let mut sum = 0;
        for (codes, piece) in codes.iter().zip(pieces) {
            let (first, second) = codes.0.split_at(PIECE / 2);
            for ((&byte, &x), &y) in piece.0.iter().zip(first).zip(second) {
                sum += i32::from(byte & 15) * i32::from(x) + i32::from(byte >> 4) * i32::from(y);
            }
        }
        sum
    }
}

/// See [`Arithmetic::product`].
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn product_256(simd: V3, codes: &[Codes], pieces: &[Piece]) -> i32 {
    let mut sums = simd.splat_i32x8(0);
    for (codes, piece) in codes.iter().zip(pieces) {
        let codes: [[i8x32; 2]; 2] = bytemuck::cast(codes.0);
        let bytes: [u8x32; 2] = bytemuck::cast(piece.0);
        let mut sum = simd.splat_i16x16(0);
        for (at, bytes) in bytes.into_iter().enumerate() {
            for (half, codes) in halves_256(simd, bytes).into_iter().zip(codes) {
                let products = simd.multiply_saturating_add_adjacent_i8x32(half, codes[at]);
                sum = simd.wrapping_add_i16x16(sum, products);
            }
        }
        let sum = simd.multiply_wrapping_add_adjacent_i16x16(sum, simd.splat_i16x16(1));
        sums = simd.wrapping_add_i32x8(sums, sum);
    }
    bytemuck::cast::<_, [i32; 8]>(sums).iter().sum()
}

/// The lower halves of bytes, and the upper ones.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn halves_256(simd: V3, bytes: u8x32) -> [i8x32; 2] {
    let high = simd.shr_const_u16x16::<4>(bytemuck::cast(bytes));
    [bytes, bytemuck::cast(high)].map(|half| {
        let half = simd.and_u8x32(half, simd.splat_u8x32(15));
        bytemuck::cast(half)
    })
}

/// The same in vectors of twice the width.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn halves_512(simd: V4, bytes: u8x64) -> [i8x64; 2] {
    let high = simd.shr_const_u16x32::<4>(bytemuck::cast(bytes));
    [bytes, bytemuck::cast(high)].map(|half| {
        let half = simd.and_u8x64(half, simd.splat_u8x64(15));
        bytemuck::cast(half)
    })
}

/// See [`Arithmetic::sums`].
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn sums_of_lines_256(simd: V3, user: &[[Repeated; 2]], lines: &[Line]) -> [i32; ITEMS] {
    let mut sums = [simd.splat_i32x8(0); ITEMS / 8];
    for (user, lines) in user.chunks(TOGETHER).zip(lines.chunks(TOGETHER)) {
        let mut parts = [simd.splat_i16x16(0); ITEMS / 8];
        for (user, line) in user.iter().zip(lines) {
            let user = [0, 1].map(|at| bytemuck::cast::<_, [i8x32; 2]>(user[at].0)[0]);
            let line: [u8x32; ITEMS / 8] = bytemuck::cast(line.0);
            for (part, items) in parts.iter_mut().zip(line) {
                for (items, user) in halves_256(simd, items).into_iter().zip(user) {
                    let products = simd.multiply_saturating_add_adjacent_i8x32(items, user);
                    *part = simd.wrapping_add_i16x16(*part, products);
                }
            }
        }
        for (sum, part) in sums.iter_mut().zip(parts) {
            let part = simd.multiply_wrapping_add_adjacent_i16x16(part, simd.splat_i16x16(1));
            *sum = simd.wrapping_add_i32x8(*sum, part);
        }
    }
    bytemuck::cast::<[i32x8; ITEMS / 8], _>(sums)
}

/// The same in vectors of twice the width.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn sums_of_lines_512(simd: V4, user: &[[Repeated; 2]], lines: &[Line]) -> [i32; ITEMS] {
    let mut sums = [simd.splat_i32x16(0); ITEMS / 16];
    for (user, lines) in user.chunks(TOGETHER).zip(lines.chunks(TOGETHER)) {
        let mut parts = [simd.splat_i16x32(0); ITEMS / 16];
        for (user, line) in user.iter().zip(lines) {
            let user: [i8x64; 2] = user.map(|user| bytemuck::cast(user.0));
            let line: [u8x64; ITEMS / 16] = bytemuck::cast(line.0);
            for (part, items) in parts.iter_mut().zip(line) {
                for (items, user) in halves_512(simd, items).into_iter().zip(user) {
                    let products = simd.multiply_saturating_add_adjacent_i8x64(items, user);
                    *part = simd.wrapping_add_i16x32(*part, products);
                }
            }
        }
        for (sum, part) in sums.iter_mut().zip(parts) {
            let part = simd.multiply_wrapping_add_adjacent_i16x32(part, simd.splat_i16x32(1));
            *sum = simd.wrapping_add_i32x16(*sum, part);
        }
    }
    bytemuck::cast::<[i32x16; ITEMS / 16], _>(sums)
}

#[cfg(test)]
mod tests {
    use std::array::from_fn;

    use super::*;
    use crate::base::rng::Rng;

    /// What the processor has, and less, down to plain code.
    fn all() -> Vec<Arithmetic> {
        let most = Arithmetic::new();
        #[cfg(target_arch = "x86_64")]
        let less = [most.simd, None].map(|simd| Arithmetic { simd, wide: None });
        #[cfg(not(target_arch = "x86_64"))]
        let less = [];
        [most].into_iter().chain(less).collect()
    }

    #[test]
    fn sums_are_those_of_the_definition_also_where_they_are_largest() {
        let mut rng = Rng::at(1, 0, 0);
        for n_lines in [1, 3, 4, 5, 32, 65] {
            for largest in [false, true] {
                let mut unit = |n: f64| if largest { n } else { rng.unit() * n };
                let codes: Vec<[i8; LINE]> = (0..n_lines)
                    .map(|_| from_fn(|_| (unit(254.0) - 127.0) as i8))
                    .collect();
                let lines: Vec<Line> = (0..n_lines)
                    .map(|_| Line(from_fn(|_| from_fn(|_| unit(255.0) as u8))))
                    .collect();
                let user: Vec<[Repeated; 2]> = codes
                    .iter()
                    .map(|codes| {
                        let (low, high) = codes.split_at(BYTES);
                        [low, high].map(|half| Repeated([from_fn(|at| half[at]); 16]))
                    })
                    .collect();
                let wanted: [i32; ITEMS] = from_fn(|place| {
                    let products = codes.iter().zip(&lines).map(|(&code, line)| {
                        let bytes = line.0[place].map(i32::from);
                        let halves = bytes.map(|byte| byte & 15).into_iter();
                        let halves = halves.chain(bytes.map(|byte| byte >> 4));
                        let products = code.iter().zip(halves).map(|(&x, y)| i32::from(x) * y);
                        products.sum::<i32>()
                    });
                    products.sum()
                });
                for arithmetic in all() {
                    assert_eq!(arithmetic.sums(&user, &lines), wanted);
                }
            }
        }
    }

    #[test]
    fn products_are_those_of_the_definition_also_where_they_are_largest() {
        let mut rng = Rng::at(2, 0, 0);
        for n_pieces in 1..4 {
            for largest in [false, true] {
                let mut unit = |n: f64| if largest { n } else { rng.unit() * n };
                let codes: Vec<Codes> = (0..n_pieces)
                    .map(|_| Codes(from_fn(|_| (unit(254.0) - 127.0) as i8)))
                    .collect();
                let pieces: Vec<Piece> = (0..n_pieces)
                    .map(|_| Piece(from_fn(|_| unit(255.0) as u8)))
                    .collect();
                let mut wanted = 0;
                for (codes, piece) in codes.iter().zip(&pieces) {
                    for (k, &code) in codes.0.iter().enumerate() {
                        let byte = i32::from(piece.0[k % (PIECE / 2)]);
                        let half = if k < PIECE / 2 { byte & 15 } else { byte >> 4 };
                        wanted += i32::from(code) * half;
                    }
                }
                for arithmetic in all() {
                    assert_eq!(arithmetic.product(&codes, &pieces), wanted);
                }
            }
        }
    }
}
