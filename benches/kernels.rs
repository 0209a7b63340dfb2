//! `cargo bench`: how fast this machine multiplies weights of each type, on one thread, by the portable loops. What a
//! browser does with those in SIMD, `./build.sh bench` tells.

use std::time::Duration;
use tallow::kernels;

fn main() -> tallow::Result<()> {
    // Cargo hands on `--bench`.
    let smoke = std::env::args().any(|argument| argument == "--smoke");
    let time = Duration::from_millis(if smoke { 1 } else { 500 });
    println!("10^9 multiply-adds a second   1 token  32 tokens");
    for ty in kernels::types() {
        let (one, many) = (kernels::measure(ty, 1, time)?, kernels::measure(ty, 32, time)?);
        println!("{:<28} {one:>8.2} {many:>10.2}", ty.name());
    }
    Ok(())
}
