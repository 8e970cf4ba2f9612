//! Lossless compression of times and values. Without compression, each sample of a long log would occupy 16 bytes until
//! it is resampled.
//!
//! A sequence is divided into blocks. The numbers in a block are converted to integers, whose differences are stored
//! with as many bits as the block requires. Values with few decimal places are multiplied by a power of ten. Other
//! values are represented by the bits of the floating-point number.

/// Number of items in a block (not tuned).
const BLOCK: usize = 512;
/// Maximum number of decimal places in values that are multiplied by a power of ten to obtain integers.
const MAX_DECIMALS: usize = 9;
const POWERS: [f64; MAX_DECIMALS + 1] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
/// 1.5 · 2^52. Adding a much smaller number to this constant rounds the sum to an integer. If the bits of 1.5 · 2^52
/// are subtracted from the bits of the sum, the result is the smaller number, rounded to an integer.
const ROUND: f64 = 6_755_399_441_055_744.0;
/// Maximum absolute value of integers that are rounded with [`ROUND`] (2^50).
const MAX_INTEGER: f64 = 1_125_899_906_842_624.0;

/// A type whose sequences can be compressed.
pub(super) trait Item: Copy {
    type Block;
    /// Compresses [`BLOCK`] items.
    fn pack(items: &[Self]) -> Self::Block;
    /// Appends the items of a block to `out`.
    fn unpack(block: &Self::Block, out: &mut Vec<Self>);
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
        self.blocks.iter().for_each(|block| T::unpack(block, &mut out));
        out.extend_from_slice(&self.open);
        out
    }
}

/// The first integer of a block, and the differences between consecutive integers. The smallest difference is
/// subtracted from each difference, and `words` contains the `width` lowest bits of the result.
#[derive(Debug, Clone)]
pub(super) struct Integers {
    first: i64,
    smallest: i64,
    width: u32,
    words: Box<[u64]>,
}

impl Item for i64 {
    type Block = Integers;

    fn pack(items: &[Self]) -> Integers {
        let mut differences = [0; BLOCK - 1];
        for (d, w) in differences.iter_mut().zip(items.windows(2)) {
            *d = w[1].wrapping_sub(w[0]);
        }
        let (smallest, largest) = differences.iter().fold((i64::MAX, i64::MIN), |(a, b), d| (a.min(*d), b.max(*d)));
        let width = u64::BITS - (largest.wrapping_sub(smallest) as u64).leading_zeros();
        // The last word is padding, so that each difference can be read from two words.
        let mut words = Vec::with_capacity(differences.len() * width as usize / 64 + 2);
        let (mut word, mut used) = (0, 0);
        for d in differences {
            let d = d.wrapping_sub(smallest) as u64;
            word |= d << used;
            used += width;
            if used >= u64::BITS {
                words.push(word);
                used -= u64::BITS;
                word = d.checked_shr(width - used).unwrap_or(0);
            }
        }
        words.extend([word, 0]);
        Integers { first: items.first().copied().unwrap_or(0), smallest, width, words: words.into_boxed_slice() }
    }

    fn unpack(block: &Integers, out: &mut Vec<Self>) {
        out.extend(block.integers());
    }
}

impl Integers {
    fn integers(&self) -> [i64; BLOCK] {
        let mask = u64::MAX.checked_shr(u64::BITS - self.width).unwrap_or(0);
        let mut out = [self.first; BLOCK];
        let (mut integer, mut at) = (self.first, 0);
        for out in &mut out[1..] {
            let shift = at % u64::BITS;
            let [low, high] =
                self.words.get(at as usize / 64..).and_then(|w| w.first_chunk()).copied().unwrap_or([0; 2]);
            let difference = (low >> shift | (high << 1) << (u64::BITS - 1 - shift)) & mask;
            integer = integer.wrapping_add(self.smallest).wrapping_add(difference as i64);
            *out = integer;
            at += self.width;
        }
        out
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
    /// Returns the integer that represents `value`, and the value that is recovered from this integer. The recovered
    /// value is NaN if the integer would be inexact.
    #[inline(always)]
    fn convert(self, value: f64) -> (i64, f64) {
        match self {
            Self::Decimal { power } => {
                let sum = value * power + ROUND;
                let rounded = sum - ROUND;
                let exact = if rounded.abs() <= MAX_INTEGER { 0.0 } else { f64::NAN };
                ((sum.to_bits() as i64).wrapping_sub(ROUND.to_bits() as i64), rounded / power + exact)
            }
            Self::Single => (i64::from((value as f32).to_bits()), f64::from(value as f32)),
            Self::Double => (value.to_bits() as i64, value),
        }
    }
}

/// The values of a block as integers.
#[derive(Debug, Clone)]
pub(super) struct Values {
    coding: Coding,
    integers: Integers,
    /// Positions and values of the numbers that cannot be recovered from their integers, such as missing values.
    exceptions: Box<[(u16, f64)]>,
}

/// Maximum number of exceptions in a block, in addition to numbers that are not finite (not tuned).
const MAX_EXCEPTIONS: usize = 4;

/// Converts values to integers with `convert`. Returns `None` if too many values would change.
#[inline(always)]
fn coded(items: &[f64], convert: impl Fn(f64) -> (i64, f64)) -> Option<([i64; BLOCK], [bool; BLOCK])> {
    let changes = |v: &f64| convert(*v).1.to_bits() != v.to_bits();
    if items.iter().take(4).filter(|v| changes(v)).count() > 2 {
        return None;
    }
    let (mut integers, mut changed) = ([0; BLOCK], [false; BLOCK]);
    let (mut wrong, mut not_finite) = (0, 0);
    for ((v, integer), changed) in items.iter().zip(&mut integers).zip(&mut changed) {
        let (i, back) = convert(*v);
        *integer = i;
        *changed = back.to_bits() != v.to_bits() || v.is_nan();
        wrong += u64::from(*changed);
        not_finite += u64::from(!v.is_finite());
    }
    (wrong <= not_finite + MAX_EXCEPTIONS as u64 && 4 * wrong <= BLOCK as u64).then_some((integers, changed))
}

impl Item for f64 {
    type Block = Values;

    fn pack(items: &[Self]) -> Values {
        let decimal = |power: &f64| {
            let coding = Coding::Decimal { power: *power };
            coded(items, |v| coding.convert(v)).map(|c| (coding, c))
        };
        let single = || coded(items, |v| Coding::Single.convert(v)).map(|c| (Coding::Single, c));
        let Some((coding, (mut integers, changed))) = POWERS.iter().find_map(decimal).or_else(single) else {
            let bits: Vec<i64> = items.iter().map(|v| Coding::Double.convert(*v).0).collect();
            return Values { coding: Coding::Double, integers: i64::pack(&bits), exceptions: Box::default() };
        };
        let mut exceptions = Vec::new();
        if changed.contains(&true) {
            // Each exception is replaced by the integer of a neighbour, so that the differences require few bits.
            let mut last = changed.iter().position(|c| !c).map_or(0, |first| integers[first]);
            for (i, integer) in integers.iter_mut().enumerate() {
                if changed[i] {
                    exceptions.push((i as u16, items[i]));
                    *integer = last;
                }
                last = *integer;
            }
        }
        Values { coding, integers: i64::pack(&integers), exceptions: exceptions.into_boxed_slice() }
    }

    fn unpack(block: &Values, out: &mut Vec<Self>) {
        let from = out.len();
        let integers = block.integers.integers().into_iter();
        match block.coding {
            Coding::Decimal { power } => out.extend(integers.map(|i| i as f64 / power)),
            Coding::Single => out.extend(integers.map(|i| f64::from(f32::from_bits(i as u32)))),
            Coding::Double => out.extend(integers.map(|i| f64::from_bits(i as u64))),
        }
        for (at, value) in &block.exceptions {
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
        let block = |b: &Values| 8 * b.integers.words.len() + 16 * b.exceptions.len();
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
            let bytes: usize = packed.blocks.iter().map(|b| 8 * b.words.len()).sum();
            assert!((bytes as f64) < most * 3_000.0, "{bytes}");
        }
    }
}
