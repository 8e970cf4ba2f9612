//! Lossless compression of times and values. The samples of a long log would otherwise need 16 bytes each from the time
//! at which they are read until they have been resampled.
//!
//! A sequence is divided into blocks. Each block of numbers is converted to integers, of which the differences are
//! stored with as many bits as the block needs. Values with a few decimals are multiplied by a power of ten, and other
//! values are represented by the bits of the floating-point number.

/// Maximum number of items in a block (not tuned).
const BLOCK: usize = 512;
/// Maximum number of decimals of values that are stored as multiples of a power of ten.
const MAX_DECIMALS: usize = 9;
const POWERS: [f64; MAX_DECIMALS + 1] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
/// Adding and subtracting this number rounds a number of at most half its size to an integer.
const ROUND: f64 = 6_755_399_441_055_744.0;
/// Integers up to this size are exact, and can be rounded with [`ROUND`].
const MAX_INTEGER: f64 = 1_125_899_906_842_624.0;

/// A type whose sequences can be compressed.
pub(super) trait Item: Copy {
    type Block;
    fn pack(items: &[Self]) -> Self::Block;
    /// Appends the `n` items of a block to `out`.
    fn unpack(block: &Self::Block, n: usize, out: &mut Vec<Self>);
}

/// A compressed sequence. The most recent items are compressed when they fill a block.
#[derive(Debug, Clone)]
pub(super) struct Packed<T: Item> {
    blocks: Vec<T::Block>,
    open: Vec<T>,
}

impl<T: Item> Default for Packed<T> {
    fn default() -> Self {
        Self { blocks: Vec::new(), open: Vec::new() }
    }
}

impl<T: Item> Packed<T> {
    pub fn new(items: &[T]) -> Self {
        let blocks = items.chunks_exact(BLOCK);
        let open = blocks.remainder().to_vec();
        Self { blocks: blocks.map(T::pack).collect(), open }
    }

    #[inline]
    pub fn push(&mut self, item: T) {
        self.open.push(item);
        if self.open.len() == BLOCK {
            self.blocks.push(T::pack(&self.open));
            self.open.clear();
        }
    }

    pub fn len(&self) -> usize {
        self.blocks.len() * BLOCK + self.open.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn unpack(&self) -> Vec<T> {
        let mut out = Vec::with_capacity(self.len());
        self.blocks.iter().for_each(|block| T::unpack(block, BLOCK, &mut out));
        out.extend_from_slice(&self.open);
        out
    }
}

/// The first integer of a block, and the differences between consecutive integers. Of each difference, `bits` contains
/// the `width` lowest bits that remain after subtraction of the smallest difference.
#[derive(Debug, Clone)]
pub(super) struct Integers {
    first: i64,
    smallest: i64,
    width: usize,
    bits: Box<[u8]>,
}

impl Item for i64 {
    type Block = Integers;

    fn pack(items: &[Self]) -> Integers {
        let differences = || items.windows(2).map(|w| w[1].wrapping_sub(w[0]));
        let smallest = differences().min().unwrap_or(0);
        let largest = differences().max().unwrap_or(0).wrapping_sub(smallest) as u64;
        let width = (u64::BITS - largest.leading_zeros()) as usize;
        // `unpack` reads 16 bytes at a time.
        let mut bits = Vec::with_capacity(items.len() * width / 8 + 24);
        let (mut pending, mut used) = (0_u128, 0);
        for d in differences() {
            pending |= u128::from(d.wrapping_sub(smallest) as u64) << used;
            used += width;
            if used >= 64 {
                bits.extend_from_slice(&(pending as u64).to_le_bytes());
                pending >>= 64;
                used -= 64;
            }
        }
        bits.extend_from_slice(&pending.to_le_bytes());
        bits.extend_from_slice(&[0; 8]);
        let first = items.first().copied().unwrap_or(0);
        Integers { first, smallest, width, bits: bits.into_boxed_slice() }
    }

    fn unpack(block: &Integers, n: usize, out: &mut Vec<Self>) {
        each(block, n, |integer| out.push(integer));
    }
}

/// Passes the `n` integers of a block to `take`.
#[inline]
fn each(block: &Integers, n: usize, mut take: impl FnMut(i64)) {
    let Integers { first, smallest, width, bits } = block;
    let mask = u64::MAX.checked_shr(u64::BITS - *width as u32).unwrap_or(0);
    let mut integer = *first;
    take(integer);
    for i in 0..n - 1 {
        let at = i * width;
        let word = bits.get(at / 8..).and_then(|b| b.first_chunk()).map_or(0, |b| u128::from_le_bytes(*b));
        let difference = (word >> (at % 8)) as u64 & mask;
        integer = integer.wrapping_add(*smallest).wrapping_add(difference as i64);
        take(integer);
    }
}

/// How values are converted to integers.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Coding {
    /// The value is multiplied by a power of ten.
    Decimal { power: f64 },
    /// The bits of the value in single precision.
    Single,
    /// The bits of the value.
    Double,
}

impl Coding {
    /// Returns the integer that represents a value, or `None` if the value cannot be recovered from an integer.
    #[inline]
    fn integer(self, value: f64) -> Option<i64> {
        let (integer, back) = match self {
            Self::Decimal { power } => {
                let rounded = value * power + ROUND - ROUND;
                if rounded.abs() > MAX_INTEGER {
                    return None;
                }
                (rounded as i64, rounded / power)
            }
            Self::Single => (i64::from((value as f32).to_bits()), f64::from(value as f32)),
            Self::Double => (value.to_bits() as i64, value),
        };
        (back.to_bits() == value.to_bits()).then_some(integer)
    }

    #[inline]
    fn value(self, integer: i64) -> f64 {
        match self {
            Self::Decimal { power } => integer as f64 / power,
            Self::Single => f64::from(f32::from_bits(integer as u32)),
            Self::Double => f64::from_bits(integer as u64),
        }
    }
}

/// The values of a block as integers.
#[derive(Debug, Clone)]
pub(super) struct Values {
    coding: Coding,
    integers: Integers,
    /// Positions and values of missing values and other special numbers, unless the coding is `Double`.
    special: Box<[(u16, f64)]>,
}

/// NaNs with their payload, infinities, −0 and subnormal numbers.
fn is_special(value: f64) -> bool {
    !value.is_normal() && value.to_bits() != 0
}

impl Item for f64 {
    type Block = Values;

    fn pack(items: &[Self]) -> Values {
        let few = 4 * items.iter().filter(|v| is_special(**v)).count() <= items.len();
        let codings = POWERS.iter().map(|power| Coding::Decimal { power: *power }).chain([Coding::Single]);
        let fits = |c: &Coding| items.iter().all(|v| is_special(*v) || c.integer(*v).is_some());
        let coding = codings.filter(|_| few).find(fits).unwrap_or(Coding::Double);
        let mut special = Vec::new();
        let mut last = 0;
        let mut integers = Vec::with_capacity(items.len());
        for (i, v) in items.iter().enumerate() {
            if coding != Coding::Double && is_special(*v) {
                special.push((i as u16, *v));
            } else {
                last = coding.integer(*v).unwrap_or(last);
            }
            integers.push(last);
        }
        Values { coding, integers: i64::pack(&integers), special: special.into_boxed_slice() }
    }

    fn unpack(block: &Values, n: usize, out: &mut Vec<Self>) {
        let from = out.len();
        match block.coding {
            Coding::Decimal { power } => each(&block.integers, n, |i| out.push(Coding::Decimal { power }.value(i))),
            coding => each(&block.integers, n, |i| out.push(coding.value(i))),
        }
        for (at, value) in &block.special {
            out[from + usize::from(*at)] = *value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::missing::{ABSENT, NULL};
    use super::*;
    use crate::rng::Key;

    /// Compresses `items`, requires that every bit is recovered, and returns the bytes needed per item.
    fn bytes(items: &[f64]) -> f64 {
        let mut pushed = Packed::default();
        items.iter().for_each(|v| pushed.push(*v));
        for packed in [&pushed, &Packed::new(items)] {
            let bits = |v: &[f64]| v.iter().map(|v| v.to_bits()).collect::<Vec<u64>>();
            assert_eq!((packed.len(), bits(&packed.unpack())), (items.len(), bits(items)));
        }
        let block = |b: &Values| b.integers.bits.len() + 16 * b.special.len();
        pushed.blocks.iter().map(block).sum::<usize>() as f64 / (pushed.blocks.len() * BLOCK) as f64
    }

    #[test]
    fn every_bit_of_a_value_is_recovered() {
        let noise = |i: usize| Key::new(3).normal(i as u64);
        let series = |f: &dyn Fn(usize) -> f64| (0..2_000).map(f).collect::<Vec<f64>>();
        let rounded = series(&|i| ((250.0 + noise(i)) * 1e3).round() / 1e3);
        assert!(bytes(&rounded) < 2.0);
        assert!(bytes(&series(&|i| f64::from((20.0 + noise(i)) as f32))) < 4.1);
        assert!(bytes(&series(&noise)) < 8.1);
        assert!(bytes(&series(&|_| 21.5)) < 0.1);
        assert!(bytes(&series(&|i| (i as f64).exp2() % 1e300)) < 8.1);
        let mut some = rounded;
        for (i, v) in [NULL, ABSENT, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 5e-324].into_iter().enumerate() {
            some[100 * i] = v;
        }
        assert!(bytes(&some) < 2.2);
        assert!(bytes(&series(&|i| if i % 3 == 0 { 1.25 } else { NULL })) < 8.1);
        for extreme in [[f64::MAX, f64::MIN], [1e15, 1e-9], [f64::MIN_POSITIVE, -1e300]] {
            bytes(&series(&|i| extreme[i % 2]));
        }
        assert!(Packed::<f64>::default().unpack().is_empty());
    }

    #[test]
    fn times_need_few_bits() {
        let key = Key::new(4);
        for (time, most) in [
            (&(|i: i64| i * 600_000_000) as &dyn Fn(i64) -> i64, 0.1),
            (&|i| 1_700_000_000_000_000 + i * 5_000_000 + (1e6 * key.normal(i as u64)) as i64, 3.2),
            (&|i| if i % 2 == 0 { i64::MIN } else { i64::MAX }, 8.2),
            (&|i| i64::MAX - i, 0.1),
        ] {
            let times: Vec<i64> = (0..3_000).map(time).collect();
            let packed = Packed::new(&times);
            assert_eq!(packed.unpack(), times);
            let bytes: usize = packed.blocks.iter().map(|b| b.bits.len()).sum();
            assert!((bytes as f64) < most * 3_000.0, "{bytes}");
        }
    }
}
