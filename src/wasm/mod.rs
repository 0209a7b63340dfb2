//! The bindings that `js/src/worker.ts` calls: conversions only. Requests and answers cross as JSON, bytes and
//! token ids as typed arrays, errors as JavaScript `Error`s with their kind's name in `code`.

mod alloc;
mod generate;
mod js;
mod score;
mod session;
mod threads;

use crate::chat::ChatTemplate;
use crate::context::most_kept;
use crate::info::ModelInfo;
use crate::inspect;
use crate::kernels;
use crate::load::{self, LoadOptions};
use crate::model::KvType;
use crate::session::Session;
use crate::threads::Pool;
use crate::{Error, ErrorKind, Result};
use generate::{GenerateRequest, Prompt, StepMessage, TemplateRequest};
use js::{JsResult, from_json, to_js, to_json};
use session::Sessions;
use sha2::Digest;
use std::sync::Arc;
use wasm_bindgen::prelude::*;
use web_time::Duration;

const WASM_PAGE: u64 = 65_536;

#[wasm_bindgen(start)]
fn start() {
    console_error_panic_hook::set_once();
}

/// Which of the two modules this is: `relaxed` or `simd128`.
fn module_name() -> String {
    if cfg!(target_feature = "relaxed-simd") { "relaxed" } else { "simd128" }.to_owned()
}

/// Which form of the 8-bit dot product the module `relaxed` takes: `i16x8` or `i32x4`, as the page finds out.
#[wasm_bindgen(js_name = chooseRelaxedDot)]
pub fn choose_relaxed_dot(form: &str) -> JsResult<()> {
    #[cfg(target_feature = "relaxed-simd")]
    {
        use crate::kernels::form::{Form, choose, fours};
        match form {
            "i16x8" => choose(Form::Pairs16),
            "i32x4" => choose(fours()),
            _ => return Err(to_js(Error::internal(format!("there is no dot product `{form}`")))),
        }
    }
    #[cfg(not(target_feature = "relaxed-simd"))]
    let _ = form;
    Ok(())
}

/// Whether the form that is taken is `i32x4`.
#[wasm_bindgen(js_name = takesI32x4)]
pub fn takes_i32x4() -> bool {
    #[cfg(target_feature = "relaxed-simd")]
    return crate::kernels::form::chosen() != crate::kernels::form::Form::Pairs16;
    #[cfg(not(target_feature = "relaxed-simd"))]
    false
}

/// The names of the types of weights that can be multiplied.
#[wasm_bindgen(js_name = kernelTypes)]
pub fn kernel_types() -> Vec<String> {
    kernels::types().map(|ty| ty.name().to_owned()).collect()
}

/// How fast weights of `type` are multiplied with so many tokens, in 10^9 multiply-adds a second, tried for so long.
#[wasm_bindgen(js_name = measureKernel)]
pub fn measure_kernel(
    #[wasm_bindgen(js_name = type)] ty: &str,
    tokens: usize,
    milliseconds: u32,
) -> JsResult<f64> {
    let unknown =
        || to_js(Error::invalid_request(format!("`type` should be one of `kernelTypes()`, got `{ty}`")));
    let known = kernels::types().find(|known| known.name() == ty).ok_or_else(unknown)?;
    kernels::measure(known, tokens, Duration::from_millis(milliseconds.into())).map_err(to_js)
}

/// How to load, as JSON of `LoaderOptions` in `js/src/wasm-contract.ts`.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LoaderOptions {
    context_length: Option<usize>,
    #[serde(default)]
    kv_cache_type: KvType,
    memory_limit: Option<u64>,
    #[serde(default)]
    packed: bool,
}

impl LoaderOptions {
    fn read(json: &str) -> JsResult<LoadOptions> {
        let Self { context_length, kv_cache_type, memory_limit, packed } = from_json(json)?;
        Ok(LoadOptions { n_ctx: context_length, kv_type: kv_cache_type, memory_limit, packed })
    }
}

/// Which layout packed weights have: what another one packed is of no use. Both modules have the same.
#[wasm_bindgen(js_name = layoutVersion)]
pub fn layout_version() -> u32 {
    kernels::LAYOUT_VERSION
}

/// A model being loaded.
#[wasm_bindgen]
pub struct Loader(load::Loader);

#[wasm_bindgen]
impl Loader {
    /// Takes the JSON of `LoaderOptions`.
    #[wasm_bindgen(constructor)]
    pub fn new(options: &str) -> JsResult<Self> {
        let options = LoaderOptions::read(options)?;
        Ok(Self(load::Loader::with_options(options, Arc::clone(threads::pool()))))
    }

    /// Takes the next bytes of the file.
    pub fn push(&mut self, bytes: &[u8]) -> JsResult<()> {
        self.0.push(bytes).map_err(to_js)
    }

    /// Ends a file of several, and begins the next.
    #[wasm_bindgen(js_name = nextFile)]
    pub fn next_file(&mut self) -> JsResult<()> {
        self.0.next_file().map_err(to_js)
    }

    /// The current file's length in bytes, once its header is read.
    #[wasm_bindgen(js_name = totalBytes)]
    pub fn total_bytes(&self) -> Option<f64> {
        self.0.header().map(|header| header.file_len as f64)
    }

    /// Where the current file's header ends, once it is read.
    #[wasm_bindgen(js_name = headerBytes)]
    pub fn header_bytes(&self) -> Option<f64> {
        self.0.header().map(|header| header.data_offset as f64)
    }

    /// A tensor that has become complete, packed: a view of memory, to be read before anything else is called. Each comes
    /// once.
    #[wasm_bindgen(js_name = takePacked)]
    pub fn take_packed(&mut self) -> Option<js_sys::Uint8Array> {
        // SAFETY: JavaScript reads the view before it calls anything; the tensor itself stays where it is.
        self.0.take_packed().map(|bytes| unsafe { js_sys::Uint8Array::view(bytes) })
    }

    /// Takes the next bytes of what `takePacked` gave another time.
    #[wasm_bindgen(js_name = pushPacked)]
    pub fn push_packed(&mut self, bytes: &[u8]) -> JsResult<()> {
        self.0.push_packed(bytes).map_err(to_js)
    }

    /// The model, when the last file has ended.
    pub fn finish(self) -> JsResult<Model> {
        let load::Loaded { info, tokenizer, template, template_error, llama, n_ctx, kv_type, pool } =
            self.0.finish().map_err(to_js)?;
        let session = Session::new(llama, tokenizer, n_ctx, kv_type).map_err(to_js)?;
        Ok(Model { info, template, template_error, session, sessions: Sessions::default(), pool })
    }
}

/// A model being looked at by its headers.
#[wasm_bindgen]
pub struct Inspector(inspect::Inspector);

#[wasm_bindgen]
impl Inspector {
    /// An inspector before the first byte.
    #[wasm_bindgen(constructor)]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(inspect::Inspector::new())
    }

    /// Takes the next bytes of the file; whether its header is complete.
    pub fn push(&mut self, bytes: &[u8]) -> JsResult<bool> {
        self.0.push(bytes).map_err(to_js)
    }

    /// JSON of `Inspection` in `js/src/info.ts` but for the name; takes the JSON of `LoaderOptions`.
    pub fn finish(self, options: &str) -> JsResult<String> {
        let options = LoaderOptions::read(options)?;
        to_json(&self.0.finish(&options).map_err(to_js)?)
    }
}

/// SHA-256 of bytes as they come.
#[wasm_bindgen]
pub struct Sha256(sha2::Sha256);

#[wasm_bindgen]
impl Sha256 {
    /// The hash of nothing.
    #[wasm_bindgen(constructor)]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(sha2::Sha256::new())
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest in lower-case hexadecimal.
    pub fn digest(self) -> String {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A model, ready to be asked.
#[wasm_bindgen]
pub struct Model {
    info: ModelInfo,
    template: ChatTemplate,
    template_error: Option<Error>,
    /// The model's own.
    session: Session,
    sessions: Sessions,
    pool: Arc<Pool>,
}

#[wasm_bindgen]
impl Model {
    /// What the model says of itself, as JSON of `ModelInfo` in `js/src/info.ts`; the page adds a name if
    /// the file has none.
    pub fn info(&self) -> JsResult<String> {
        #[derive(serde::Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Loaded<'a> {
            #[serde(flatten)]
            model: &'a ModelInfo,
            context_length: usize,
            kv_cache_type: KvType,
            memory: u64,
            module: String,
            threads: usize,
        }
        let loaded = Loaded {
            model: &self.info,
            context_length: self.session.n_ctx(),
            kv_cache_type: self.session.kv_type(),
            memory: core::arch::wasm32::memory_size::<0>() as u64 * WASM_PAGE,
            module: module_name(),
            threads: self.pool.n_threads(),
        };
        to_json(&loaded)
    }

    /// Text to token ids; see `Tokenizer::encode`.
    pub fn tokenize(
        &self,
        text: &str,
        #[wasm_bindgen(js_name = addSpecial)] add_special: bool,
        #[wasm_bindgen(js_name = parseSpecial)] parse_special: bool,
    ) -> JsResult<Vec<u32>> {
        self.session.tokenizer().encode(text, add_special, parse_special).map_err(to_js)
    }

    /// Token ids to text, special tokens included.
    pub fn detokenize(&self, ids: &[u32]) -> JsResult<String> {
        self.session.tokenizer().decode(ids, false).map_err(to_js)
    }

    /// Messages to prompt; takes the JSON of a `TemplateRequest`.
    #[wasm_bindgen(js_name = applyChatTemplate)]
    pub fn apply_chat_template(&self, request: &str) -> JsResult<String> {
        let request: TemplateRequest = from_json(request)?;
        self.render(&request).map_err(to_js)
    }

    /// Begins a request of a session, the JSON of a `GenerateRequest`, and returns the number of its prompt's tokens.
    pub fn start(&mut self, request: &str, session: u32) -> JsResult<usize> {
        self.pool.check().map_err(to_js)?;
        let request: GenerateRequest = from_json(request)?;
        let prompt = match request.prompt().map_err(to_js)? {
            Prompt::Text(text) => self.session.tokenizer().encode(text, true, true),
            Prompt::Ids(ids) => Ok(ids.to_vec()),
            Prompt::Chat(chat) => self.chat_prompt(chat),
        };
        let prompt = prompt.map_err(to_js)?;
        let n_instructions = match request.keeps_instructions() {
            Some(TemplateRequest { request, now }) => {
                let instructions = TemplateRequest { request: request.instructions(), now: *now };
                let alike = self.chat_prompt(&instructions).map_err(to_js)?;
                prompt.iter().zip(&alike).take_while(|(a, b)| a == b).count()
            }
            None => 0,
        };
        let n_ctx = self.session.n_ctx();
        let most = most_kept(n_ctx);
        if n_instructions > most {
            let detail = format!(
                "the system message takes {n_instructions} tokens; a context of {n_ctx} that is shifted keeps {most} at most"
            );
            return Err(to_js(Error::new(ErrorKind::ContextLengthExceeded, detail)));
        }
        let request = request.with_prompt(prompt, n_instructions);
        let prompt_tokens = request.prompt.len();
        self.run(session).and_then(|session| session.start(request)).map_err(to_js)?;
        Ok(prompt_tokens)
    }

    /// One chunk of the prompt, one token, or the end of the answer, as the JSON of a `StepMessage`.
    pub fn step(&mut self) -> JsResult<String> {
        self.pool.check().map_err(to_js)?;
        let step = self.running().and_then(Session::step).map_err(to_js)?;
        to_json(&StepMessage::new(step, self.session.tokenizer()).map_err(to_js)?)
    }

    /// Ends the request in progress, if any.
    pub fn cancel(&mut self) -> JsResult<()> {
        self.running().map(Session::cancel).map_err(to_js)
    }
}

impl Model {
    fn chat_prompt(&self, chat: &TemplateRequest) -> Result<Vec<u32>> {
        self.session.tokenizer().encode_prompt(&self.render(chat)?)
    }

    /// The prompt, by the template that comes with the request or the model's own, if that compiles.
    fn render(&self, TemplateRequest { request, now }: &TemplateRequest) -> Result<String> {
        match &self.template_error {
            Some(error) if request.template.is_none() => Err(Error::new(error.kind(), error.detail())),
            _ => self.template.render(&request.in_one_piece()?, *now),
        }
    }
}
