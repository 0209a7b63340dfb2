//! How packed weights lie in memory, and how a file's blocks come there.
//!
//! Four rows lie together, by fours of k: the 16 bytes of a vector are rows 0 to 3 (its 32-bit lanes), in each of which
//! are the weights k to k + 3. So a lane of an accumulator is a row, nothing is ever added across lanes, and the scales
//! of four rows are a vector too. `quad` below is one block of k for four rows; `byte(v, r, i)` is byte i of lane r of
//! its vector v.
//!
//! A matrix is cut into groups of [`GROUP`] rows, whose last one is padded with zeros. The two quads of a group alternate
//! block by block, in the K-family, whose blocks are long, vector by vector, numbers of 16 bits one by one; and a quad lies in
//! the order in which the products load it. So they read forward: with the scales of the K-family behind all of its weights,
//! memory gave half as much.
//!
//! | type | quad | bytes of a quad |
//! | --- | --- | --- |
//! | Q4_0 | 4 vectors: low half k = 4v + i, high half k + 16; d: 4 f16 | 72 for 32 k |
//! | Q4_1 | as Q4_0; then m: 4 f16 | 80 |
//! | Q5_0 | 5 vectors of fives, as below; d: 4 f16 | 88 |
//! | Q5_1 | as Q5_0; then m | 96 |
//! | Q8_0 | 8 vectors: k = 4v + i, plus 128; d: 4 f16 | 136 |
//! | IQ4_NL | as Q4_0 | 72 |
//! | Q2_K | parts of 64 k: scale \| min << 4 as \[sub\]\[row\]; 4 vectors: field f (bits 2f and 2f + 1) of vector v is k = 16v + 4f + i. Then d, dmin: 4 f32 each | 352 for 256 k |
//! | Q3_K | parts of 64 k: scales\[sub\]\[row\]; twice a vector whose bit 4s + f is bit 2 of k = 16s + 4f + i, and two as Q2_K's. Then d: 4 f32 | 464 |
//! | Q4_K | parts of 128 k: scales\[sub\]\[row\]; 16 vectors: v = 8j + c, low half k = 64j + 4c + i, high half k + 32; mins\[sub / 2\]\[row\]\[sub % 2\]. Then d, dmin: 4 f32 each | 608 |
//! | Q5_K | parts of 128 k: scales\[sub\]\[row\]; for each 32 k 5 vectors of fives; mins as Q4_K's. Then d, dmin: 4 f32 each | 736 |
//! | Q6_K | parts of 64 k: scales\[sub\]\[row\]; for each 16 k 3 vectors b of w\[c\]\[r\]\[i\], k = 4c + i: `b[c] = w[c] \| bits 2c and 2c + 1 of w[3] << 6`. Then d: 4 f32 | 848 |
//! | IQ4_XS | parts of 128 k: scales\[sub\]\[row\]; 16 vectors: v = 4s + c, low half k = 32s + 4c + i, high half k + 16. Then d: 4 f32 | 560 |
//! | F16, BF16 | 4 numbers, one in each 32 bits, of which the upper half is the other quad's | 8 for 1 k |
//! | F32 | 4 numbers | 16 |
//!
//! Fives are 32 numbers of 5 bits in 5 vectors p. With w\[c\] for k = 4c + i, bits 0 to 4 of p\[c\] are w\[c\], of five of the
//! eight. Those above are the other three: of p\[0\] bits 0 to 2 of w\[5\], whose bits 3 and 4 are the upper two of p\[1\]; of
//! p\[2\] and p\[3\] those of w\[6\]; of p\[4\] bits 0 to 2 of w\[7\], whose bits 3 and 4 are bit 5 of p\[1\] and p\[3\].

use super::portable::f16_to_f32;
use super::{BF16_EXPONENT, F16_EXPONENT, uppers_are_finite};
use crate::gguf::TensorType;

/// Weights in a block of the 32-family.
pub(crate) const QK: usize = 32;

/// Weights in a block of the K-family.
pub(crate) const QK_K: usize = 256;

/// The layout of packed weights. Whoever keeps those of [`Loader::take_packed`] keeps it too, and gives them to
/// [`Loader::push_packed`] only where it is still the same, since nothing else tells.
///
/// To be raised with every change of what packed bytes mean: those that were kept are packed anew then. A test knows.
///
/// [`Loader::take_packed`]: crate::load::Loader::take_packed
/// [`Loader::push_packed`]: crate::load::Loader::push_packed
pub const LAYOUT_VERSION: u32 = 5;

/// Rows in a group.
pub(crate) const GROUP: usize = 8;

/// The dot products of a group's rows with `T` tokens.
pub(super) type Dots<const T: usize> = [[f32; GROUP]; T];

/// Groups at most that a token alone goes over in one call.
pub(crate) const TOGETHER: usize = 4;

/// In what order a token alone goes over groups of quantized weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Groups as far apart as can be, in turns: hardware reads ahead of each place, but only so far.
    AtFour,
    /// Pairs of groups half a matrix apart, in turns; the next pair follows this one.
    AtTwo,
    /// Neighbours, one after the other.
    InARow,
}

impl Reading {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 3] = [Self::AtFour, Self::AtTwo, Self::InARow];

    /// How many groups are read in turns.
    pub(super) fn places(self) -> usize {
        match self {
            Self::AtFour => 4,
            Self::AtTwo => 2,
            Self::InARow => 1,
        }
    }
}

/// How many bytes before they are needed weights of the 32-family are asked for that are read in a row: hardware has
/// brought them near by then, but not nearest. On Zen 4 that is worth 7 %, with 256 and 512 bytes alike; with 1024 it is a
/// loss, as it is in the K-family with any. On Zen 5 512 bytes are 11 % slower than 256.
pub(super) const AHEAD: usize = 256;

/// Rows in a quad.
pub(super) const QUAD: usize = 4;

/// Bytes of a vector.
pub(super) const VECTOR: usize = 16;

/// From a vector of a quad of the K-family to its next one: a vector of the group's other quad lies between.
pub(super) const STEP: usize = 2 * VECTOR;

/// Where things are within a quad.
pub(super) mod q4_0 {
    pub(crate) const D: usize = 64;
    pub(crate) const BYTES: usize = 72;
}
pub(super) mod q4_1 {
    pub(crate) const D: usize = 64;
    pub(crate) const M: usize = 72;
    pub(crate) const BYTES: usize = 80;
}
pub(super) mod q5_0 {
    pub(crate) const D: usize = 80;
    pub(crate) const BYTES: usize = 88;
}
pub(super) mod q5_1 {
    pub(crate) const D: usize = 80;
    pub(crate) const M: usize = 88;
    pub(crate) const BYTES: usize = 96;
}
pub(super) mod q8_0 {
    pub(crate) const D: usize = 128;
    pub(crate) const BYTES: usize = 136;
}
// The blocks of the K-family are parts, which begin with a vector of scales: \[sub\]\[row\], four `sub`. `PART` bytes hold a
// part of both quads, and whatever is counted from the first byte of one counts the other's vectors too, but for `BYTES`.
pub(super) mod q2_k {
    use super::STEP;
    pub(crate) const PART: usize = 5 * STEP;
    pub(crate) const D: usize = 4 * PART;
    pub(crate) const DMIN: usize = D + STEP;
    pub(crate) const BYTES: usize = (DMIN + STEP) / 2;
    /// The fields of 16 k.
    pub(crate) const fn fields(sub: usize) -> usize {
        PART * (sub / 4) + STEP * (1 + sub % 4)
    }
}
pub(super) mod q3_k {
    use super::STEP;
    pub(crate) const PART: usize = 7 * STEP;
    pub(crate) const D: usize = 4 * PART;
    pub(crate) const BYTES: usize = (D + STEP) / 2;
    /// The upper bits of the 32 k that these 16 are of.
    pub(crate) const fn high(sub: usize) -> usize {
        PART * (sub / 4) + STEP * (1 + 3 * (sub % 4 / 2))
    }
    /// The fields of 16 k.
    pub(crate) const fn fields(sub: usize) -> usize {
        high(sub) + STEP * (1 + sub % 2)
    }
}
pub(super) mod q4_k {
    use super::STEP;
    pub(crate) const PART: usize = 18 * STEP;
    pub(crate) const MINS: usize = 17 * STEP;
    pub(crate) const D: usize = 2 * PART;
    pub(crate) const DMIN: usize = D + STEP;
    pub(crate) const BYTES: usize = (DMIN + STEP) / 2;
    /// A vector of halves.
    pub(crate) const fn halves(v: usize) -> usize {
        PART * (v / 16) + STEP * (1 + v % 16)
    }
}
pub(super) mod q5_k {
    use super::STEP;
    pub(crate) const PART: usize = 22 * STEP;
    pub(crate) const MINS: usize = 21 * STEP;
    pub(crate) const D: usize = 2 * PART;
    pub(crate) const DMIN: usize = D + STEP;
    pub(crate) const BYTES: usize = (DMIN + STEP) / 2;
    /// Vector p of the fives of 32 k.
    pub(crate) const fn fives(sub: usize, p: usize) -> usize {
        PART * (sub / 4) + STEP * (1 + 5 * (sub % 4) + p)
    }
}
pub(super) mod q6_k {
    use super::STEP;
    pub(crate) const PART: usize = 13 * STEP;
    pub(crate) const D: usize = 4 * PART;
    pub(crate) const BYTES: usize = (D + STEP) / 2;
    /// Plane p of 16 k.
    pub(crate) const fn plane(sub: usize, p: usize) -> usize {
        PART * (sub / 4) + STEP * (1 + 3 * (sub % 4) + p)
    }
}
pub(super) mod iq4_xs {
    use super::STEP;
    pub(crate) const PART: usize = 17 * STEP;
    pub(crate) const D: usize = 2 * PART;
    pub(crate) const BYTES: usize = (D + STEP) / 2;
    /// A vector of halves.
    pub(crate) const fn halves(v: usize) -> usize {
        PART * (v / 16) + STEP * (1 + v % 16)
    }
}

/// Where row 0's scale of a block of the K-family is.
pub(super) const fn scale_at(part: usize, sub: usize) -> usize {
    part * (sub / 4) + QUAD * (sub % 4)
}

/// Where row 0's min of Q4_K or Q5_K is: \[sub / 2\]\[row\]\[sub % 2\] from `mins` on.
pub(super) const fn min_at(part: usize, mins: usize, sub: usize) -> usize {
    part * (sub / 4) + mins + 2 * QUAD * (sub % 4 / 2) + sub % 2
}

/// What the halves of IQ4_NL and IQ4_XS stand for. Source: `kvalues_iq4nl` in GGML's `ggml-common.h`.
pub(super) const IQ4_VALUES: [i8; 16] =
    [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// A type of weights that has a packed layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(non_camel_case_types)]
pub(crate) enum PackedType {
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    IQ4_NL,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
    IQ4_XS,
    F16,
    BF16,
    F32,
}

/// Types whose products go by blocks of activations of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// One weight, which meets an activation as it is.
    Float,
    /// One f16, which meets an activation [`F16_SCALE`](super::isa::F16_SCALE) times as large.
    F16,
    /// 32 weights of at most 7 bits.
    By32,
    /// 32 weights of 8 bits.
    SignedBy32,
    /// 256 weights of at most 7 bits: the K-family.
    By256,
    /// 256 weights of 8 bits.
    SignedBy256,
}

impl Family {
    /// How many there are.
    pub(crate) const COUNT: usize = 6;
}

impl PackedType {
    /// Every type, in the order of the table above.
    pub(crate) const ALL: [Self; 15] = [
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::IQ4_NL,
        Self::Q2_K,
        Self::Q3_K,
        Self::Q4_K,
        Self::Q5_K,
        Self::Q6_K,
        Self::IQ4_XS,
        Self::F16,
        Self::BF16,
        Self::F32,
    ];

    /// The layout for a file's type, if it has one.
    pub(crate) fn of(ty: TensorType) -> Option<Self> {
        Self::ALL.into_iter().find(|packed| packed.file_type() == ty)
    }

    pub(super) fn file_type(self) -> TensorType {
        match self {
            Self::Q4_0 => TensorType::Q4_0,
            Self::Q4_1 => TensorType::Q4_1,
            Self::Q5_0 => TensorType::Q5_0,
            Self::Q5_1 => TensorType::Q5_1,
            Self::Q8_0 => TensorType::Q8_0,
            Self::IQ4_NL => TensorType::IQ4_NL,
            Self::Q2_K => TensorType::Q2_K,
            Self::Q3_K => TensorType::Q3_K,
            Self::Q4_K => TensorType::Q4_K,
            Self::Q5_K => TensorType::Q5_K,
            Self::Q6_K => TensorType::Q6_K,
            Self::IQ4_XS => TensorType::IQ4_XS,
            Self::F16 => TensorType::F16,
            Self::BF16 => TensorType::BF16,
            Self::F32 => TensorType::F32,
        }
    }

    pub(crate) fn family(self) -> Family {
        match self {
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 => Family::By32,
            Self::Q8_0 | Self::IQ4_NL => Family::SignedBy32,
            Self::Q2_K | Self::Q3_K | Self::Q4_K | Self::Q5_K | Self::Q6_K => Family::By256,
            Self::IQ4_XS => Family::SignedBy256,
            Self::F16 => Family::F16,
            Self::BF16 | Self::F32 => Family::Float,
        }
    }

    /// Weights in a block.
    pub(crate) fn block_len(self) -> usize {
        self.file_type().block_len()
    }

    /// Bytes of a block of one row in the file.
    pub(crate) fn file_bytes(self) -> usize {
        self.file_type().block_bytes()
    }

    /// Where the f16 of a block of the file are that are scales.
    pub(super) fn scales(self) -> &'static [usize] {
        match self {
            Self::Q4_0 | Self::Q5_0 | Self::Q8_0 | Self::IQ4_NL | Self::IQ4_XS => &[0],
            Self::Q4_1 | Self::Q5_1 | Self::Q4_K | Self::Q5_K => &[0, 2],
            Self::Q2_K => &[80, 82],
            Self::Q3_K => &[108],
            Self::Q6_K => &[208],
            Self::F16 | Self::BF16 | Self::F32 => &[],
        }
    }

    /// Whether all numbers of a file's row are finite: weights that are no blocks, or blocks' scales. The kernels take them
    /// for such.
    pub(crate) fn are_finite(self, file_row: &[u8]) -> bool {
        let len = self.file_bytes();
        match self {
            Self::F16 => uppers_are_finite(file_row, len, 0, F16_EXPONENT),
            Self::BF16 | Self::F32 => uppers_are_finite(file_row, len, len - 2, BF16_EXPONENT),
            _ => self.scales().iter().all(|&at| uppers_are_finite(file_row, len, at, F16_EXPONENT)),
        }
    }

    /// Bytes of a packed block of four rows.
    pub(crate) fn quad_bytes(self) -> usize {
        match self {
            Self::Q4_0 | Self::IQ4_NL => q4_0::BYTES,
            Self::Q4_1 => q4_1::BYTES,
            Self::Q5_0 => q5_0::BYTES,
            Self::Q5_1 => q5_1::BYTES,
            Self::Q8_0 => q8_0::BYTES,
            Self::Q2_K => q2_k::BYTES,
            Self::Q3_K => q3_k::BYTES,
            Self::Q4_K => q4_k::BYTES,
            Self::Q5_K => q5_k::BYTES,
            Self::Q6_K => q6_k::BYTES,
            Self::IQ4_XS => iq4_xs::BYTES,
            Self::F16 | Self::BF16 | Self::F32 => QUAD * self.file_bytes(),
        }
    }

    /// Where in a group the quad of `block` and rows 0 to 3 or, with `half` 1, rows 4 to 7 begins.
    pub(crate) fn quad_offset(self, block: usize, half: usize) -> usize {
        let second = match self {
            Self::F16 | Self::BF16 => self.file_bytes(),
            _ if self.alternates() => VECTOR,
            _ => self.quad_bytes(),
        };
        2 * block * self.quad_bytes() + half * second
    }

    /// Whether a group's quads alternate vector by vector.
    fn alternates(self) -> bool {
        matches!(self.family(), Family::By256 | Family::SignedBy256)
    }

    /// Packs row `row` (0 to 3) of what begins with a quad: `file` is its block as in the file.
    pub(super) fn pack(self, file: &[u8], row: usize, quad: &mut [u8]) {
        let mut lane = Lane { quad, row, step: if self.alternates() { STEP } else { VECTOR } };
        match self {
            Self::Q4_0 | Self::IQ4_NL => {
                lane.words(q4_0::D, &file[..2]);
                lane.spread(0, &file[2..]);
            }
            Self::Q4_1 => {
                lane.words(q4_1::D, &file[..2]);
                lane.words(q4_1::M, &file[2..4]);
                lane.spread(0, &file[4..]);
            }
            Self::Q5_0 => {
                lane.words(q5_0::D, &file[..2]);
                lane.spread(0, &fives(|k| q5_weight(&file[2..], k)));
            }
            Self::Q5_1 => {
                lane.words(q5_1::D, &file[..2]);
                lane.words(q5_1::M, &file[2..4]);
                lane.spread(0, &fives(|k| q5_weight(&file[4..], k)));
            }
            Self::Q8_0 => {
                lane.words(q8_0::D, &file[..2]);
                lane.spread(0, &std::array::from_fn::<u8, QK, _>(|k| file[2 + k] ^ 0x80));
            }
            Self::Q2_K => {
                let (scales_and_mins, rest) = file.split_at(16);
                let (fields, scale) = rest.split_at(64);
                lane.fields(q2_k::fields, |k| q2_k_weight(fields, k));
                lane.scales(q2_k::PART, scales_and_mins);
                lane.f32(q2_k::D, &scale[..2]);
                lane.f32(q2_k::DMIN, &scale[2..]);
            }
            Self::Q3_K => {
                let (high, rest) = file.split_at(32);
                let (fields, rest) = rest.split_at(64);
                let (scales, d) = rest.split_at(12);
                lane.fields(q3_k::fields, |k| q2_k_weight(fields, k));
                for v in 0..8 {
                    let bit = |k: usize| high[k % 32] >> (k / 32) & 1;
                    let of = |i: usize| (0..8).fold(0, |byte, c| byte | bit(32 * v + 4 * c + i) << c);
                    lane.spread(q3_k::high(2 * v), &std::array::from_fn::<u8, 4, _>(of));
                }
                lane.scales(
                    q3_k::PART,
                    &std::array::from_fn::<u8, 16, _>(|sub| q3_k_scale(scales, sub) as u8),
                );
                lane.f32(q3_k::D, d);
            }
            Self::Q4_K => {
                lane.scales_and_mins(q4_k::PART, q4_k::MINS, &file[4..16]);
                lane.f32(q4_k::D, &file[..2]);
                lane.f32(q4_k::DMIN, &file[2..4]);
                lane.parts(q4_k::halves, &file[16..]);
            }
            Self::Q5_K => {
                lane.scales_and_mins(q5_k::PART, q5_k::MINS, &file[4..16]);
                lane.f32(q5_k::D, &file[..2]);
                lane.f32(q5_k::DMIN, &file[2..4]);
                for sub in 0..QK_K / QK {
                    let w = fives(|k| q5_k_weight(&file[16..], QK * sub + k));
                    lane.spread(q5_k::fives(sub, 0), &w);
                }
            }
            Self::Q6_K => {
                for sub in 0..QK_K / 16 {
                    let w: [u8; 16] = std::array::from_fn(|k| q6_k_weight(file, 16 * sub + k));
                    let planes: [u8; 12] = std::array::from_fn(|k| {
                        let (c, i) = (k / 4, k % 4);
                        w[k] | ((w[12 + i] >> (2 * c)) & 3) << 6
                    });
                    lane.spread(q6_k::plane(sub, 0), &planes);
                }
                lane.scales(q6_k::PART, &file[192..208]);
                lane.f32(q6_k::D, &file[208..]);
            }
            Self::IQ4_XS => {
                lane.f32(iq4_xs::D, &file[..2]);
                lane.scales(
                    iq4_xs::PART,
                    &std::array::from_fn::<u8, 8, _>(|sub| iq4_xs_scale(file, sub) as u8),
                );
                lane.parts(iq4_xs::halves, &file[8..]);
            }
            Self::F16 | Self::BF16 | Self::F32 => {
                lane.quad[4 * row..][..file.len()].copy_from_slice(file);
            }
        }
    }
}

/// A row of a quad being packed.
struct Lane<'q> {
    quad: &'q mut [u8],
    row: usize,
    /// From one vector to the next.
    step: usize,
}

impl Lane<'_> {
    /// Bytes by fours, to this row's lane of the vectors from `at` on.
    fn spread(&mut self, at: usize, bytes: &[u8]) {
        for (v, four) in bytes.chunks_exact(4).enumerate() {
            let lane = at + self.step * v + 4 * self.row;
            self.quad[lane..lane + 4].copy_from_slice(four);
        }
    }

    /// Bytes by fours, to this row's lane of vectors, of which number v is at `at(v)`; 16 of them follow one another.
    fn parts(&mut self, at: impl Fn(usize) -> usize, bytes: &[u8]) {
        for (part, bytes) in bytes.chunks_exact(64).enumerate() {
            self.spread(at(16 * part), bytes);
        }
    }

    /// A byte for each `sub`, to the scales of parts of `part` bytes.
    fn scales(&mut self, part: usize, bytes: &[u8]) {
        for (sub, byte) in bytes.iter().enumerate() {
            self.quad[scale_at(part, sub) + self.row] = *byte;
        }
    }

    /// Numbers of 2 bits: field f of a byte of the vector at `at(v)` is that of k = 16v + 4f + i.
    fn fields(&mut self, at: impl Fn(usize) -> usize, field: impl Fn(usize) -> u8) {
        for v in 0..QK_K / 16 {
            let byte = |i: usize| (0..4).fold(0, |byte, f| byte | field(16 * v + 4 * f + i) << (2 * f));
            self.spread(at(v), &std::array::from_fn::<u8, 4, _>(byte));
        }
    }

    /// An f16, as it is.
    fn words(&mut self, at: usize, f16: &[u8]) {
        let at = at + 2 * self.row;
        self.quad[at..at + 2].copy_from_slice(f16);
    }

    /// An f16 as f32.
    fn f32(&mut self, at: usize, f16: &[u8]) {
        let at = at + 4 * self.row;
        let value = f16_to_f32(u16::from_le_bytes([f16[0], f16[1]]));
        self.quad[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    /// The scales and mins of 6 bits of a block of Q4_K or Q5_K.
    fn scales_and_mins(&mut self, part: usize, mins: usize, packed: &[u8]) {
        for sub in 0..8 {
            let (scale, min) = scale_and_min(packed, sub);
            self.quad[scale_at(part, sub) + self.row] = scale;
            self.quad[min_at(part, mins, sub) + 2 * self.row] = min;
        }
    }
}

/// GGML's `get_scale_min_k4`: eight scales and eight mins of 6 bits in 12 bytes.
fn scale_and_min(packed: &[u8], sub: usize) -> (u8, u8) {
    if sub < 4 {
        (packed[sub] & 63, packed[sub + 4] & 63)
    } else {
        (packed[sub + 4] & 0x0F | (packed[sub - 4] >> 6) << 4, packed[sub + 4] >> 4 | (packed[sub] >> 6) << 4)
    }
}

/// A row's bytes of 32 numbers of 5 bits, vector by vector.
fn fives(w: impl Fn(usize) -> u8) -> [u8; 5 * 4] {
    std::array::from_fn(|byte| {
        let (p, i) = (byte / 4, byte % 4);
        let w = |c: usize| w(4 * c + i);
        let above = match p {
            0 | 2 | 4 => w(5 + p / 2) & 7,
            _ => w(5 + p / 2) >> 3 << 1 | w(7) >> (3 + p / 2) & 1,
        };
        w(p) | above << 5
    })
}

/// Weight k of a block of Q5_0 or Q5_1, of which `file` has the upper bits (4 bytes) and the halves.
fn q5_weight(file: &[u8], k: usize) -> u8 {
    let half = file[4 + k % 16] >> (4 * (k / 16)) & 0x0F;
    half | (file[k / 8] >> (k % 8) & 1) << 4
}

/// Weight k of a block of Q5_K, of which `file` has the upper bits (32 bytes) and the halves.
fn q5_k_weight(file: &[u8], k: usize) -> u8 {
    let (sub, l) = (k / QK, k % QK);
    let half = file[32 + 32 * (sub / 2) + l] >> (4 * (sub % 2)) & 0x0F;
    half | (file[l] >> sub & 1) << 4
}

/// Weight k of a block of Q2_K, or the lower two bits of Q3_K's: four to a byte, in `fields` (64 bytes).
fn q2_k_weight(fields: &[u8], k: usize) -> u8 {
    let (half, quarter, l) = (k / 128, k % 128 / 32, k % 32);
    fields[32 * half + l] >> (2 * quarter) & 3
}

/// Scale `sub` of a block of Q3_K: sixteen of 6 bits in 12 bytes, less 32.
fn q3_k_scale(packed: &[u8], sub: usize) -> i8 {
    let low = packed[sub % 8] >> (4 * (sub / 8)) & 0x0F;
    let high = packed[8 + sub % 4] >> (2 * (sub / 4)) & 3;
    (low | high << 4) as i8 - 32
}

/// Scale `sub` of a block of IQ4_XS: eight of 6 bits, the upper two of all before the lower four, less 32.
fn iq4_xs_scale(file: &[u8], sub: usize) -> i8 {
    let high = u16::from_le_bytes([file[2], file[3]]) >> (2 * sub) & 3;
    let low = file[4 + sub / 2] >> (4 * (sub % 2)) & 0x0F;
    (low | (high as u8) << 4) as i8 - 32
}

/// Weight k of a block of Q6_K, 0 to 63: low halves in `ql` (128 bytes), the upper two bits in `qh` (64 bytes).
fn q6_k_weight(file: &[u8], k: usize) -> u8 {
    let (half, quarter, l) = (k / 128, k % 128 / 32, k % 32);
    let low = file[64 * half + 32 * (quarter % 2) + l] >> (4 * (quarter / 2)) & 0x0F;
    let high = file[128 + 32 * half + l] >> (2 * quarter) & 3;
    low | high << 4
}
