//! e^x of numbers up to 0, in a form that compilers turn into vector instructions: a vocabulary of 128 000 takes some
//! hundred thousand of them for one token.

/// e^x for x ≤ 0, to within 2 units in the last place; 0 where it would be below the smallest normal number, as for -∞.
///
/// x = n · ln 2 + r, and e^r by Cephes' polynomial (`expf`).
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    /// Adding it leaves a rounded number in the lower bits.
    const ROUND: f32 = 12_582_912.0;
    let rounded = x.max(-87.0) * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = x.max(-87.0) - n * 0.693_359_4 - n * -2.121_944_4e-4;
    let mut y = 1.987_569_2e-4;
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_66, 0.5] {
        y = y * r + coefficient;
    }
    let e_r = y * r * r + r + 1.0;
    let two_n = f32::from_bits((rounded.to_bits() << 23).wrapping_add(1.0_f32.to_bits()));
    if x < -87.0 { 0.0 } else { e_r * two_n }
}

/// The sum, in lanes.
pub(super) fn sum(values: &[f32]) -> f64 {
    const LANES: usize = 8;
    let mut total = 0.0;
    for block in values.chunks(64 * LANES) {
        let mut lanes = [0.0_f32; LANES];
        let chunks = block.chunks_exact(LANES);
        let rest: f32 = chunks.remainder().iter().sum();
        for chunk in chunks {
            for (lane, value) in lanes.iter_mut().zip(chunk) {
                *lane += value;
            }
        }
        total += f64::from(lanes.iter().sum::<f32>() + rest);
    }
    total
}

/// The largest of them; -∞ of none.
pub(super) fn max(values: &[f32]) -> f32 {
    const LANES: usize = 8;
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = if value > *lane { value } else { *lane };
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |most, &value| most.max(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_that_of_f64() {
        for step in 0..870_000 {
            let x = -(step as f32) * 1e-4;
            let expected = f64::from(x).exp();
            // Two units in the last place of f32.
            assert!((f64::from(exp(x)) - expected).abs() <= expected * 2.4e-7, "e^{x}");
        }
        assert_eq!([exp(0.0), exp(-88.0), exp(f32::NEG_INFINITY)], [1.0, 0.0, 0.0]);
    }

    #[test]
    fn sum_and_max_take_every_value() {
        for n in [0, 1, 7, 8, 9, 511, 512, 513, 1030] {
            let mut values = vec![1.0; n];
            assert_eq!((sum(&values), max(&values) == 1.0), (n as f64, n > 0));
            for at in 0..n {
                values[at] = 2.0;
                assert_eq!((sum(&values), max(&values)), (n as f64 + 1.0, 2.0));
                values[at] = 1.0;
            }
        }
    }
}
