//! What a session holds, through its public API: forks, cuts, shifts and saved files, in every KV type.

mod module;
#[path = "gguf/peak_memory.rs"]
mod peak_memory;

use module::assert_module;
use peak_memory::peak_memory;
use std::sync::Arc;
use tallow::ErrorKind;
use tallow::context::{Context, ModelHash, Restorer};
use tallow::gguf::{Header, Parser, Sink, TensorInfo};
use tallow::load::Loader;
use tallow::model::{Config, KvCache, KvType, Llama, Logits, WeightsBuilder};
use tallow::score::{ScoreOptions, Scorer};
use tallow::threads::Pool;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

const TINY: &[u8] = include_bytes!("golden/tiny/tiny-F32.gguf");
const MODEL: ModelHash = [7; 32];

fn load() -> Llama {
    assert_module();
    let mut loader = Loader::new();
    loader.push(TINY).expect("the file is read");
    loader.finish().expect("the model loads").llama
}

fn context(llama: &Llama, n_ctx: usize, ty: KvType) -> Context {
    Context::new(llama.config(), n_ctx, ty).expect("a context")
}

/// The logits after the last of `ids`, all at once.
fn add(context: &mut Context, llama: &Llama, ids: &[u32]) -> Vec<f32> {
    let logits = context.forward(llama, ids, Logits::Last).expect("logits");
    logits.flatten_all().and_then(|logits| logits.to_vec1()).expect("numbers")
}

/// `n` tokens, each the most probable one after those before it.
fn greedy(context: &mut Context, llama: &Llama, mut id: u32, n: usize) -> Vec<u32> {
    let mut ids = Vec::new();
    for _ in 0..n {
        let logits = add(context, llama, &[id]);
        id = (0..).zip(&logits).max_by(|a, b| a.1.total_cmp(b.1)).map(|(id, _)| id).expect("a vocabulary");
        ids.push(id);
    }
    ids
}

fn prompt(n: u32) -> Vec<u32> {
    (0..n).map(|i| (i * 37 + 11) % 288).collect()
}

#[test]
fn forks_go_on_as_if_alone_wherever_they_part() {
    let llama = load();
    for ty in KvType::ALL {
        // Around the seam of two blocks.
        for n in [1, 100, 255, 256, 257, 300] {
            let mut trunk = context(&llama, 400, ty);
            add(&mut trunk, &llama, &prompt(n));
            let mut fork = trunk.fork();
            assert_eq!(fork.tokens(), trunk.tokens());
            let of_fork = greedy(&mut fork, &llama, 5, 30);
            let of_trunk = greedy(&mut trunk, &llama, 9, 30);
            for (first, expected) in [(5, of_fork), (9, of_trunk)] {
                let mut alone = context(&llama, 400, ty);
                add(&mut alone, &llama, &prompt(n));
                assert_eq!(greedy(&mut alone, &llama, first, 30), expected, "{ty}, {n} tokens, then {first}");
            }
        }
    }
}

#[test]
fn a_fork_of_what_is_cut_leaves_the_other_whole() {
    let llama = load();
    // In the block that is partly filled, and in the one before.
    for n_left in [300, 70] {
        let mut trunk = context(&llama, 512, KvType::F16);
        add(&mut trunk, &llama, &prompt(400));
        let mut whole = trunk.fork();
        let mut cut = trunk.fork();
        cut.truncate(n_left);
        assert_eq!((cut.tokens().len(), whole.tokens().len()), (n_left, 400));
        add(&mut cut, &llama, &[1, 2, 3]);
        assert_eq!(add(&mut whole, &llama, &[4]), add(&mut trunk, &llama, &[4]));

        let mut fresh = context(&llama, 512, KvType::F16);
        add(&mut fresh, &llama, &prompt(n_left as u32));
        add(&mut fresh, &llama, &[1, 2, 3]);
        assert_eq!(add(&mut cut, &llama, &[4]), add(&mut fresh, &llama, &[4]));
        cut.truncate(1000);
        assert_eq!(cut.tokens().len(), n_left + 4);
        cut.truncate(0);
        assert!(cut.tokens().is_empty());
    }
}

/// The F32 model's first layer alone: there, keys and values depend on their token and its position, on nothing else.
struct OneLayer {
    weights: Option<WeightsBuilder>,
    /// Where a tensor of the file is among those of the model.
    places: Vec<Option<usize>>,
}

impl Sink for OneLayer {
    fn header(&mut self, header: &Header) -> tallow::Result<()> {
        let config = Config { n_layer: 1, ..Config::from_metadata(&header.metadata)? };
        let mut kept: Vec<TensorInfo> = Vec::new();
        for tensor in &header.tensors {
            let is_kept = !tensor.name.starts_with("blk.1.");
            self.places.push(is_kept.then_some(kept.len()));
            kept.extend(is_kept.then(|| tensor.clone()));
        }
        let mut weights = WeightsBuilder::new(config, kept.len())?;
        weights.begin_file(&kept)?;
        self.weights = Some(weights);
        Ok(())
    }

    fn tensor_data(&mut self, index: usize, at: u64, bytes: &[u8]) -> tallow::Result<()> {
        match (self.places[index], &mut self.weights) {
            (Some(place), Some(weights)) => weights.tensor_data(place, at, bytes),
            _ => Ok(()),
        }
    }
}

fn one_layer() -> Llama {
    assert_module();
    let mut sink = OneLayer { weights: None, places: Vec::new() };
    Parser::new().push(TINY, &mut sink).expect("the file is read");
    let weights = sink.weights.expect("a header");
    weights.finish(Arc::new(Pool::single())).expect("the model loads")
}

/// A turned key is one rounding of its type from a new one, which has one itself: at most 2 · 2^-12 of a number in f16, and
/// in q8_0 2 / 254 of the largest of 32, where f32 leaves those of the turn, some 2^-22. Logits, which range over some
/// 14, may move by as much of that.
#[test]
fn one_layer_shifted_is_as_if_what_was_dropped_had_not_been() {
    let llama = one_layer();
    for (ty, bound) in [(KvType::F32, 1e-4), (KvType::F16, 14.0 / 2048.0), (KvType::Q8_0, 14.0 / 127.0)] {
        // Within a block; from over the seam of two, to over it, and within the second.
        for (n_ctx, n_keep) in [(64, 0), (64, 4), (128, 10), (200, 70), (300, 200), (500, 230), (500, 270)] {
            let ids = prompt(n_ctx as u32);
            let mut shifted = context(&llama, n_ctx, ty);
            add(&mut shifted, &llama, &ids);
            assert!(shifted.is_full());
            shifted.shift(&llama, n_keep).expect("there is enough to drop");
            let n_dropped = (n_ctx - n_keep) / 2;
            let left = [&ids[..n_keep], &ids[n_keep + n_dropped..]].concat();
            assert_eq!(shifted.tokens(), left);

            let mut fresh = context(&llama, n_ctx, ty);
            add(&mut fresh, &llama, &left);
            let (got, expected) = (add(&mut shifted, &llama, &[42]), add(&mut fresh, &llama, &[42]));
            let off = got.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            println!("{ty}, {n_keep} of {n_ctx} kept: logits off by {off}");
            assert!(off <= bound, "{ty}, {n_keep} of {n_ctx} kept: off by {off}, {bound} allowed");
        }
    }
}

#[test]
fn the_cache_of_another_shape_is_refused() {
    let (llama, other) = (load(), one_layer());
    let detail = "the cache should be of a model of the same shape, but is of another";
    let mut own = context(&llama, 64, KvType::F16);
    add(&mut own, &llama, &prompt(40));
    let error = own.forward(&other, &[5], Logits::Last).expect_err(detail);
    assert_eq!((error.kind(), error.detail()), (ErrorKind::InvalidRequest, detail));
    let mut cache = KvCache::new(other.config(), 64, KvType::F16);
    let error = llama.forward(&[5], &mut cache, Logits::Last).expect_err("the other way round");
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    let mut cache = KvCache::new(llama.config(), 64, KvType::F16);
    llama.forward(&prompt(40), &mut cache, Logits::Last).expect("logits");
    let error = other.shift(&mut cache, 3, 1).expect_err(detail);
    assert_eq!((error.kind(), error.detail()), (ErrorKind::InvalidRequest, detail));
    let mut scorer = Scorer::new(&llama, prompt(40), ScoreOptions::new(64)).expect("a scorer");
    let error = scorer.step(&other).expect_err(detail);
    assert_eq!((error.kind(), error.detail()), (ErrorKind::InvalidRequest, detail));
    // What it held it holds.
    let mut fresh = context(&llama, 64, KvType::F16);
    add(&mut fresh, &llama, &prompt(40));
    assert_eq!(add(&mut own, &llama, &[5]), add(&mut fresh, &llama, &[5]));
}

#[test]
fn a_shift_of_one_fork_leaves_the_others() {
    let llama = load();
    let mut full = context(&llama, 400, KvType::F16);
    add(&mut full, &llama, &prompt(300));
    let mut untouched = full.fork();
    full.shift(&llama, 4).expect("there is enough to drop");
    assert_eq!(full.tokens().len(), 152);
    let mut fresh = context(&llama, 400, KvType::F16);
    add(&mut fresh, &llama, &prompt(300));
    assert_eq!(greedy(&mut untouched, &llama, 3, 20), greedy(&mut fresh, &llama, 3, 20));
}

#[test]
fn what_has_seen_dropped_tokens_is_not_reused() {
    let llama = load();
    let mut context = context(&llama, 64, KvType::F16);
    add(&mut context, &llama, &prompt(64));
    context.shift(&llama, 4).expect("there is enough to drop");
    let left = context.tokens().to_vec();
    assert_eq!(context.begin(&left, true), 4);
    add(&mut context, &llama, &left[4..]);
    assert_eq!(context.begin(&left, true), left.len() - 1);
    assert_eq!(context.begin(&left, false), 0);
}

#[test]
fn keeping_too_much_is_refused() {
    let llama = load();
    let mut context = context(&llama, 64, KvType::F16);
    add(&mut context, &llama, &prompt(64));
    let error = context.shift(&llama, 61).expect_err("three are too few");
    let detail = "`n_keep` should be at most 60 in a context of 64 tokens that is shifted, got 61";
    assert_eq!((error.kind(), error.detail()), (ErrorKind::InvalidRequest, detail));
    assert_eq!(context.tokens(), prompt(64));
    let mut cache = KvCache::new(llama.config(), 64, KvType::F16);
    let error = llama.shift(&mut cache, 3, 1).expect_err("there is nothing");
    assert_eq!(error.detail(), "1 positions from 3 on should be dropped, but there are 0");
}

fn save(context: &Context, llama: &Llama) -> Vec<u8> {
    let mut file = Vec::new();
    context.save(llama.config(), &MODEL, |bytes| file.extend_from_slice(bytes));
    file
}

fn restore(file: &[u8], llama: &Llama, n_ctx: usize, ty: KvType) -> tallow::Result<Context> {
    let mut restorer = Restorer::new(llama.config(), MODEL, n_ctx, ty)?;
    for piece in file.chunks(1000) {
        restorer.push(piece)?;
    }
    restorer.finish()
}

#[test]
fn what_was_saved_goes_on_with_the_same_bits() {
    let llama = load();
    for ty in KvType::ALL {
        for n in [0, 1, 130, 255, 256, 257] {
            let mut saved = context(&llama, 300, ty);
            if n > 0 {
                add(&mut saved, &llama, &prompt(n));
            }
            let file = save(&saved, &llama);
            // Of the positions held and no others.
            let held = u64::from(n) * KvCache::n_bytes(llama.config(), 256, ty) / 256;
            assert_eq!(file.len() as u64, 72 + 4 * u64::from(n) + held + 32);
            let mut restored = restore(&file, &llama, 300, ty).expect("it is as it was saved");
            assert_eq!(restored.tokens(), saved.tokens());
            assert_eq!(save(&restored, &llama), file);
            for id in [5, 6, 7] {
                assert_eq!(
                    add(&mut restored, &llama, &[id]),
                    add(&mut saved, &llama, &[id]),
                    "{ty}, {n} tokens"
                );
            }
        }
    }
}

#[test]
fn a_shifted_context_stays_one_when_saved() {
    let llama = load();
    let mut saved = context(&llama, 64, KvType::F16);
    add(&mut saved, &llama, &prompt(64));
    saved.shift(&llama, 4).expect("there is enough to drop");
    let mut restored =
        restore(&save(&saved, &llama), &llama, 64, KvType::F16).expect("it is as it was saved");
    let left = saved.tokens().to_vec();
    assert_eq!((restored.begin(&left, true), saved.begin(&left, true)), (4, 4));
}

#[test]
fn no_byte_of_a_saved_file_can_change_or_be_missing() {
    let llama = load();
    let mut saved = context(&llama, 100, KvType::Q8_0);
    add(&mut saved, &llama, &prompt(3));
    let file = save(&saved, &llama);
    for at in 0..file.len() {
        let mut damaged = file.clone();
        damaged[at] ^= 1 << (at % 8);
        let error = restore(&damaged, &llama, 100, KvType::Q8_0).expect_err("a bit is another");
        let refusals =
            [ErrorKind::IntegrityError, ErrorKind::InvalidRequest, ErrorKind::ContextLengthExceeded];
        assert!(refusals.contains(&error.kind()), "byte {at}: {error}");

        let error = restore(&file[..at], &llama, 100, KvType::Q8_0).expect_err("bytes are missing");
        assert_eq!(error.kind(), ErrorKind::IntegrityError);
        let expected = if at < 72 { "at least 72".to_owned() } else { file.len().to_string() };
        let detail = format!("the saved session should be {expected} bytes, but ends after {at}");
        assert_eq!(error.detail(), detail);
    }
    let longer = [file.as_slice(), &[0]].concat();
    let error = restore(&longer, &llama, 100, KvType::Q8_0).expect_err("a byte too many");
    assert_eq!(
        (error.kind(), error.detail()),
        (
            ErrorKind::IntegrityError,
            format!("the saved session should end after {} bytes, but goes on", file.len()).as_str()
        )
    );
}

#[test]
fn a_file_of_another_kind_is_refused_by_name() {
    let llama = load();
    let mut saved = context(&llama, 100, KvType::F16);
    add(&mut saved, &llama, &prompt(70));
    let file = save(&saved, &llama);
    let with = |at: usize, bytes: &[u8]| {
        let mut file = file.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    let [mine, other] = [MODEL, [8; 32]].map(|hash| hash.map(|byte| format!("{byte:02x}")).concat());
    for (file, n_ctx, ty, kind, detail) in [
        (
            with(0, b"GGUF"),
            100,
            KvType::F16,
            ErrorKind::IntegrityError,
            "the saved session should begin with `tallowKV`, but begins with `GGUFowKV`".to_owned(),
        ),
        (
            with(8, &[9]),
            100,
            KvType::F16,
            ErrorKind::InvalidRequest,
            "the saved session should have the version 2, but has 9".to_owned(),
        ),
        (
            with(40, &[8; 32]),
            100,
            KvType::F16,
            ErrorKind::IntegrityError,
            format!("the saved session should be of the model with the hash {mine}, but is of {other}"),
        ),
        (
            with(12, &[99]),
            100,
            KvType::F16,
            ErrorKind::InvalidRequest,
            format!(
                "the saved session should have the layout version {}, but has 99",
                tallow::kernels::LAYOUT_VERSION
            ),
        ),
        (
            file.clone(),
            100,
            KvType::Q8_0,
            ErrorKind::InvalidRequest,
            "the saved session should have a KV cache of q8_0, as the model was loaded, but has one of f16"
                .to_owned(),
        ),
        (
            file.clone(),
            69,
            KvType::F16,
            ErrorKind::ContextLengthExceeded,
            "the saved session has 70 tokens; the context has room for 69".to_owned(),
        ),
        (
            // Told before there is anything to allocate for it.
            with(32, &[255; 4]),
            100,
            KvType::F16,
            ErrorKind::ContextLengthExceeded,
            "the saved session has 4294967295 tokens; the context has room for 100".to_owned(),
        ),
    ] {
        let error = restore(&file, &llama, n_ctx, ty).expect_err(&detail);
        assert_eq!((error.kind(), error.detail()), (kind, detail.as_str()));
    }
}

#[test]
fn the_need_of_memory_follows_the_type() {
    let llama = load();
    let [f16, f32, q8_0] = KvType::ALL.map(|ty| KvCache::n_bytes(llama.config(), 1000, ty));
    assert_eq!(f32, 2 * f16);
    assert!(q8_0 * 2 > f16 && q8_0 * 16 <= f16 * 9, "{q8_0} of {f16}");
}

#[test]
fn ten_forks_take_the_memory_of_what_they_add() {
    let llama = load();
    let n_ctx = llama.config().n_ctx_train;
    let mut trunk = context(&llama, n_ctx, KvType::F16);
    add(&mut trunk, &llama, &prompt(n_ctx as u32 - 1));
    let full = KvCache::n_bytes(llama.config(), n_ctx, KvType::F16) as usize;
    let block = KvCache::n_bytes(llama.config(), 1, KvType::F16) as usize;

    let (mut forks, taken) = peak_memory(|| (0..10).map(|_| trunk.fork()).collect::<Vec<_>>());
    assert!(taken < full / 10, "{taken} bytes for ten forks of {full}");
    // Each copies the block that its token comes to; a step's own memory comes beside that.
    let ((), taken) = peak_memory(|| forks.iter_mut().for_each(|fork| drop(add(fork, &llama, &[5]))));
    assert!((10 * block..10 * block + full).contains(&taken), "{taken} bytes for ten blocks of {block}");

    drop(forks);
    let (_, taken) = peak_memory(|| {
        trunk.truncate(0);
        vec![1_u8; full / 2]
    });
    assert!(taken < full / 10, "{taken} bytes more: what was cut off was not returned");
}
