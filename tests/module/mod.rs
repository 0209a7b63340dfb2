//! Which build of the crate a test runs. Every golden test calls [`assert_module`] first, so that a run of the
//! wasm tests cannot pass on another module than the one it was started for.

/// Prints the build that runs, and asserts that it is the one `build.sh` asked for.
pub fn assert_module() {
    let module = match (cfg!(target_arch = "wasm32"), cfg!(target_feature = "relaxed-simd")) {
        (false, _) => "native",
        (true, true) => "relaxed",
        (true, false) => "simd128",
    };
    #[cfg(target_arch = "wasm32")]
    wasm_bindgen_test::console_log!("module: {module}");
    #[cfg(not(target_arch = "wasm32"))]
    println!("module: {module}");
    assert_eq!(module, option_env!("TALLOW_TEST_MODULE").unwrap_or("native"));
}
