//! Valid files with bits flipped, bytes overwritten, or cut: never a panic, never an error of another kind, never
//! more memory than the file's own length explains.

use super::builder::valid;
use super::peak_memory::peak_memory;
use super::reading::read;
use tallow::ErrorKind;

/// A parser and the collected tensors of a file of about 1 KB. A claim in the file that were believed before its
/// bytes are there would show as megabytes.
const MAX_PEAK: usize = 64 << 10;

fn check(file: &[u8], chunk_len: usize) {
    let (result, peak) = peak_memory(|| read(file, chunk_len));
    if let Err(error) = result {
        assert!(matches!(error.kind(), ErrorKind::InvalidModel | ErrorKind::UnsupportedModel), "{error}");
    }
    assert!(peak < MAX_PEAK, "{peak} bytes");
}

#[test]
fn every_bit_flipped() {
    for version in [2, 3] {
        let mut file = valid(version);
        for at in 0..file.len() {
            for bit in 0..8 {
                file[at] ^= 1 << bit;
                check(&file, 1 << 20);
                file[at] ^= 1 << bit;
            }
        }
    }
}

#[test]
fn every_byte_at_its_extremes() {
    let mut file = valid(3);
    for at in 0..file.len() {
        let byte = file[at];
        for extreme in [0x00, 0x7f, 0x80, 0xff] {
            file[at] = extreme;
            check(&file, 64);
        }
        file[at] = byte;
    }
}

#[test]
fn many_bytes_overwritten_and_cut() {
    let (valid, mut random) = (valid(3), Random(0x7a11_0000_dead_beef));
    for _ in 0..10_000 {
        let mut file = valid.clone();
        for _ in 0..=random.below(4) {
            let at = random.below(file.len());
            file[at] = random.below(256) as u8;
        }
        file.truncate(1 + random.below(2 * valid.len()));
        check(&file, 1 + random.below(100));
    }
}

/// Xorshift64: the same numbers on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}
