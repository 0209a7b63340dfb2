//! A conversation with one model: the prompt goes in, in chunks, then a token comes out per step.
//!
//! The caller drives: each [`Session::step`] does one chunk of the prompt or one token and returns, so that
//! stopping is a matter of not calling again. The KV cache outlives a request, and the next one evaluates only
//! what follows the longest beginning that both share.

use crate::context::{Context, ModelHash, Overflow, Restorer};
use crate::grammar::{Constraint, Grammars, Matching, Next as Going};
use crate::model::{KvType, Llama, Logits};
use crate::sampler::{Sampler, SamplerOptions, TokenLogprobs, logprobs};
use crate::stop::StopStrings;
use crate::tokenizer::{Tokenizer, WholeChars};
use crate::{Error, Result};
use candle_core::{Storage, Tensor};
use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use web_time::{Duration, Instant};

/// How many prompt tokens a step evaluates. Many read the weights seldom; a step is what a cancel may have to wait for.
const PREFILL_CHUNK: RangeInclusive<usize> = 32..=128;

/// Weights times tokens that a step should not exceed: a model of a billion weights gets the smallest chunk.
const PREFILL_WORK: u64 = 32 << 30;

/// What a model draws beside the tokens that end an answer is text to whoever asked: tool calls begin with special
/// tokens in some families.
const SKIP_SPECIAL: bool = false;

/// A model, its context, and the request in progress.
pub struct Session {
    llama: Arc<Llama>,
    tokenizer: Arc<Tokenizer>,
    context: Context,
    generation: Option<Generation>,
    /// Made by the first request with a constraint, for all sessions with the model.
    grammars: Arc<Mutex<Option<Grammars>>>,
    /// What is drawn from, `(n_vocab)`; kept from token to token for its memory.
    logits: Vec<f32>,
}

/// What to generate. The default is one answer without a limit, drawn at temperature 1, to a prompt yet to be given.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The prompt's token ids, special tokens and all.
    pub prompt: Vec<u32>,
    /// How many tokens to generate at most, at least 1; `None` until the context is full, or, where it is shifted, as many
    /// as it has room for.
    pub max_tokens: Option<usize>,
    /// How many answers to generate, at least 1, one after the other; the i-th, from 0, is drawn with the seed plus i. The
    /// prompt is evaluated once.
    pub n: usize,
    /// How tokens are drawn.
    pub sampler: SamplerOptions,
    /// What an answer has to be.
    pub constraint: Option<Constraint>,
    /// Texts that end an answer and are not part of it, none of them empty.
    pub stop: Vec<String>,
    /// For each token its log-probability, and so many of the most probable tokens with theirs.
    pub logprobs: Option<usize>,
    /// Never draw an end-of-generation token.
    pub ignore_eos: bool,
    /// Reuse what the cache holds of the prompt's beginning.
    pub cache_prompt: bool,
    /// What to do when the context is full.
    pub overflow: Overflow,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            prompt: Vec::new(),
            max_tokens: None,
            n: 1,
            sampler: SamplerOptions::default(),
            constraint: None,
            stop: Vec::new(),
            logprobs: None,
            ignore_eos: false,
            cache_prompt: true,
            overflow: Overflow::Stop,
        }
    }
}

/// What one step brought.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // Each variant tells of its fields.
pub enum Step {
    /// `done` of the prompt's `total` tokens are evaluated, those found in the cache included.
    Prefill { done: usize, total: usize },
    /// A token was drawn for answer number `choice`. `text` holds what is now certain of the text, possibly nothing, and
    /// `logprobs` the tokens that it begins to spell.
    Token { choice: usize, id: u32, text: String, logprobs: Vec<TokenLogprobs> },
    /// Answer number `choice` is complete, and if it is the `last` one, so is the request. `text` and `logprobs` hold what
    /// was held back; half a character becomes U+FFFD. `timings` are those of all so far.
    Finished {
        choice: usize,
        reason: FinishReason,
        text: String,
        logprobs: Vec<TokenLogprobs>,
        timings: Timings,
        last: bool,
    },
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model drew an end-of-generation token, or a text of `stop`, or the constraint leaves nothing to follow.
    Stop,
    /// `max_tokens` are generated, or the context is full.
    Length,
}

/// Token counts and the time spent on them.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Timings {
    /// Prompt tokens evaluated.
    pub prompt_n: usize,
    /// Time spent on them.
    pub prompt: Duration,
    /// Tokens generated.
    pub predicted_n: usize,
    /// Time spent on them.
    pub predicted: Duration,
    /// Prompt tokens found in the cache.
    pub cache_n: usize,
}

struct Generation {
    request: Request,
    timings: Timings,
    /// Prompt tokens in the cache.
    prefilled: usize,
    /// Where further answers begin: the context and its last logits, `(n_vocab)`, at the prompt's end.
    prompt_end: Option<(Context, Tensor)>,
    /// The constraint before an answer's first token.
    matching: Option<Matching>,
    choice: Choice,
    next: Next,
}

/// What the next step begins with.
enum Next {
    /// More of the prompt.
    Prefill,
    /// A draw from these logits, `(n_vocab)`.
    Draw(Tensor),
    /// The last token drawn, which the model has not seen yet.
    Forward(u32),
    /// Nothing: the answer is complete.
    Finish(FinishReason),
}

/// One answer, on its way.
struct Choice {
    index: usize,
    sampler: Sampler,
    matching: Option<Matching>,
    answer: Answer,
    predicted_n: usize,
}

/// An answer's text, and the log-probabilities of the tokens that spell it.
struct Answer {
    chars: WholeChars,
    stop: StopStrings,
    /// Bytes of text that the tokens gave, and that were given out.
    spelled: usize,
    given: usize,
    /// Tokens of which nothing was given out yet, by where in the text they begin.
    waiting: VecDeque<(usize, TokenLogprobs)>,
}

impl Session {
    /// An empty context of `n_ctx` tokens, whose keys and values are held as `kv_type`.
    ///
    /// # Errors
    /// `invalid_request` if `n_ctx` is 0 or more than the model was trained on.
    pub fn new(
        llama: impl Into<Arc<Llama>>,
        tokenizer: Arc<Tokenizer>,
        n_ctx: usize,
        kv_type: KvType,
    ) -> Result<Self> {
        let llama = llama.into();
        let context = Context::new(llama.config(), n_ctx, kv_type)?;
        Ok(Self::of(llama, tokenizer, context, Arc::default()))
    }

    fn of(
        llama: Arc<Llama>,
        tokenizer: Arc<Tokenizer>,
        context: Context,
        grammars: Arc<Mutex<Option<Grammars>>>,
    ) -> Self {
        Self { llama, tokenizer, context, generation: None, grammars, logits: Vec::new() }
    }

    fn with(&self, context: Context) -> Self {
        let Self { llama, tokenizer, grammars, .. } = self;
        Self::of(Arc::clone(llama), Arc::clone(tokenizer), context, Arc::clone(grammars))
    }

    /// Another session with the same model, and an empty context like this one's.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn another(&self) -> Result<Self> {
        Ok(self.with(Context::new(self.llama.config(), self.n_ctx(), self.kv_type())?))
    }

    /// Another session that has seen the same. It shares the memory of that, but for what one of the two adds.
    #[must_use]
    pub fn fork(&self) -> Self {
        self.with(self.context.fork())
    }

    /// Forgets all but the first `n` tokens, and ends the request in progress, if any.
    pub fn truncate(&mut self, n: usize) {
        self.cancel();
        self.context.truncate(n);
    }

    /// What the session has seen.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Reads what [`Context::save`] wrote, for [`restore`](Self::restore). `model` is the hash of the model's file.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn restorer(&self, model: ModelHash) -> Result<Restorer> {
        Restorer::new(self.llama.config(), model, self.n_ctx(), self.kv_type())
    }

    /// Puts what was saved in the place of what the session has seen, and ends the request in progress, if any.
    ///
    /// # Errors
    /// As [`Restorer::finish`]; `invalid_request` if `saved` reads for another model, context length or KV type. The
    /// session is as before then.
    pub fn restore(&mut self, saved: Restorer) -> Result<()> {
        let context = saved.finish()?;
        if !context.is_like(&self.context, self.llama.config()) {
            return Err(Error::invalid_request(
                "the saved session should be read for this one, but was for another model, context length or KV cache type",
            ));
        }
        self.context = context;
        self.cancel();
        Ok(())
    }

    /// The model.
    pub fn llama(&self) -> &Llama {
        &self.llama
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Tokens that the context holds at most.
    pub fn n_ctx(&self) -> usize {
        self.context.n_ctx()
    }

    /// How the context holds keys and values.
    pub fn kv_type(&self) -> KvType {
        self.context.kv_type()
    }

    /// Begins `request`, in place of the one in progress, if any.
    ///
    /// # Errors
    /// `invalid_request` for an empty prompt or a setting out of range; `context_length_exceeded` if the prompt
    /// leaves no room for an answer; `grammar_error` if the constraint does not compile. The session is as before then.
    pub fn start(&mut self, mut request: Request) -> Result<()> {
        if request.prompt.is_empty() {
            return Err(Error::invalid_request("the prompt should have at least one token"));
        }
        let n_vocab = self.llama.config().n_vocab;
        if let Some(id) = request.prompt.iter().find(|&&id| id as usize >= n_vocab) {
            return Err(Error::invalid_request(format!(
                "the prompt's token ids should be below {n_vocab}, but one is {id}"
            )));
        }
        for (field, value) in [("max_tokens", request.max_tokens), ("n", Some(request.n))] {
            if value == Some(0) {
                return Err(Error::invalid_request(format!("`{field}` should be at least 1, got 0")));
            }
        }
        if request.stop.iter().any(String::is_empty) {
            return Err(Error::invalid_request("`stop` should hold texts, but one is empty"));
        }
        request.overflow = request.overflow.fit(&mut request.prompt, self.n_ctx())?;
        let matching = request.constraint.as_ref().map(|constraint| self.compiled(constraint)).transpose()?;
        let choice = self.choice(&request, matching.clone(), 0)?;

        let prefilled = self.context.begin(&request.prompt, request.cache_prompt);
        let n_prompt = request.prompt.len();
        self.generation = Some(Generation {
            choice,
            prompt_end: None,
            matching,
            timings: Timings { cache_n: prefilled, prompt_n: n_prompt - prefilled, ..Default::default() },
            prefilled,
            next: Next::Prefill,
            request,
        });
        Ok(())
    }

    /// Ends the request in progress, if any. What the cache holds stays for the next one.
    pub fn cancel(&mut self) {
        self.generation = None;
    }

    /// One chunk of the prompt, one token, or the end of the answer. After an error the request is over.
    ///
    /// # Errors
    /// `invalid_request` if no request is in progress, or for a token id outside the vocabulary; `grammar_error` if the
    /// constraint takes too long to follow; what [`Llama::forward`] fails with.
    pub fn step(&mut self) -> Result<Step> {
        let Some(mut generation) = self.generation.take() else {
            return Err(Error::invalid_request("no request is in progress"));
        };
        let step = self.advance(&mut generation)?;
        if !matches!(step, Step::Finished { last: true, .. }) {
            self.generation = Some(generation);
        }
        Ok(step)
    }

    fn advance(&mut self, generation: &mut Generation) -> Result<Step> {
        let begun = Instant::now();
        // What comes next is set below; after an error there is no next.
        let next = std::mem::replace(&mut generation.next, Next::Finish(FinishReason::Length));
        let logits = match next {
            Next::Finish(reason) => return self.finish(generation, reason),
            Next::Prefill => {
                let total = generation.request.prompt.len();
                let done = total.min(generation.prefilled + self.prefill_chunk());
                let ids = &generation.request.prompt[generation.prefilled..done];
                generation.prefilled = done;
                generation.next = Next::Prefill;
                if done < total {
                    self.context.forward(&self.llama, ids, Logits::From(ids.len()))?; // none
                } else {
                    let logits = self.forward(ids)?;
                    if generation.request.n > 1 {
                        generation.prompt_end = Some((self.context.fork(), logits.clone()));
                    }
                    generation.next = Next::Draw(logits);
                }
                generation.timings.prompt += begun.elapsed();
                return Ok(Step::Prefill { done, total });
            }
            Next::Draw(logits) => logits,
            Next::Forward(id) => {
                if let (true, Overflow::Shift { n_keep }) =
                    (self.context.is_full(), generation.request.overflow)
                {
                    self.context.shift(&self.llama, n_keep)?;
                }
                self.forward(&[id])?
            }
        };

        let Generation { request, choice, timings, next, .. } = &mut *generation;
        let drawn = self.draw(request, choice, &logits)?;
        let Some(id) = drawn.filter(|&id| !self.tokenizer.is_eog(id)) else {
            timings.predicted += begun.elapsed();
            return self.finish(generation, FinishReason::Stop);
        };
        let going = choice.matching.as_mut().map_or(Ok(Going::Tokens), |matching| matching.accept(id))?;
        if let Some(n_top) = request.logprobs {
            let of_model = logits.to_vec1::<f32>()?;
            choice.answer.waiting.push_back((choice.answer.spelled, logprobs(&of_model, id, n_top)));
        }
        let (text, stopped) = choice.answer.push(&self.tokenizer.piece(id, SKIP_SPECIAL)?);
        choice.predicted_n += 1;
        timings.predicted_n += 1;
        // The token is not in the context yet.
        let full = request.overflow == Overflow::Stop && self.context.tokens().len() + 1 >= self.n_ctx();
        // What is shifted is never full: an answer without an end would have none.
        let enough = choice.predicted_n >= request.max_tokens.unwrap_or(self.n_ctx());
        *next = match (stopped || going == Going::End, full || enough) {
            (true, _) => Next::Finish(FinishReason::Stop),
            (false, true) => Next::Finish(FinishReason::Length),
            (false, false) => Next::Forward(id),
        };
        timings.predicted += begun.elapsed();
        Ok(Step::Token { choice: choice.index, id, text, logprobs: choice.answer.given_logprobs() })
    }

    /// Answer number `index` before its first token.
    fn choice(&self, request: &Request, matching: Option<Matching>, index: usize) -> Result<Choice> {
        let seed = request.sampler.seed.wrapping_add(index as u64);
        let options = SamplerOptions { seed, ..request.sampler.clone() };
        let mut sampler = Sampler::new(&options, &self.tokenizer, self.n_ctx())?;
        sampler.accept(&request.prompt);
        Ok(Choice { index, sampler, matching, answer: Answer::new(&request.stop), predicted_n: 0 })
    }

    /// The next token by `logits`, `(n_vocab)`: what may not come is masked, then the sampler draws. None if the answer is
    /// complete.
    fn draw(&mut self, request: &Request, choice: &mut Choice, logits: &Tensor) -> Result<Option<u32>> {
        let Choice { sampler, matching, .. } = choice;
        self.read(request, logits)?;
        if let Some(matching) = matching {
            // Of all tokens first: one that may come has the probability that it has among those that may, in which case
            // they need not be found.
            if sampler.draws_from_all() {
                let id = sampler.sample(&mut self.logits)?;
                if matching.allows(id)? {
                    sampler.accept(&[id]);
                    return Ok(Some(id));
                }
                self.read(request, logits)?;
            }
            if matching.mask(&mut self.logits, |id| self.tokenizer.is_eog(id))? == Going::End {
                return Ok(None);
            }
        }
        let id = sampler.sample(&mut self.logits)?;
        sampler.accept(&[id]);
        Ok(Some(id))
    }

    /// Copies `logits`, `(n_vocab)`, to be drawn from.
    fn read(&mut self, request: &Request, logits: &Tensor) -> Result<()> {
        let (storage, layout) = logits.storage_and_layout();
        let (Storage::Cpu(storage), Some((begin, end))) = (&*storage, layout.contiguous_offsets()) else {
            return Err(Error::internal("logits should be contiguous"));
        };
        self.logits.clear();
        self.logits.extend_from_slice(&storage.as_slice::<f32>()?[begin..end]);
        if request.ignore_eos {
            for id in self.tokenizer.eog() {
                if let Some(logit) = self.logits.get_mut(id as usize) {
                    *logit = f32::NEG_INFINITY;
                }
            }
        }
        Ok(())
    }

    /// Ends the answer under way, and begins the next one, if there is to be one, from behind the prompt.
    fn finish(&mut self, generation: &mut Generation, reason: FinishReason) -> Result<Step> {
        let Generation { request, choice, timings, matching, .. } = &mut *generation;
        let (text, logprobs) = choice.answer.finish();
        let index = choice.index;
        let last = index + 1 == request.n;
        if !last {
            *choice = self.choice(request, matching.clone(), index + 1)?;
        }
        let timings = *timings;
        if let (false, Some((context, logits))) = (last, &generation.prompt_end) {
            self.context = context.fork();
            generation.next = Next::Draw(logits.clone());
        }
        Ok(Step::Finished { choice: index, reason, text, logprobs, timings, last })
    }

    fn compiled(&self, constraint: &Constraint) -> Result<Matching> {
        let mut grammars = self.grammars.lock().unwrap_or_else(PoisonError::into_inner);
        let grammars = match &mut *grammars {
            Some(grammars) => grammars,
            none => none.insert(Grammars::new(&self.tokenizer)?),
        };
        grammars.compile(constraint)
    }

    /// Prompt tokens per step.
    fn prefill_chunk(&self) -> usize {
        let (fewest, most) = PREFILL_CHUNK.into_inner();
        let chunk = PREFILL_WORK / self.llama.config().n_block_weights();
        usize::try_from(chunk).unwrap_or(most).clamp(fewest, most)
    }

    /// The logits after `ids`, `(n_vocab)`.
    fn forward(&mut self, ids: &[u32]) -> Result<Tensor> {
        let logits = self.context.forward(&self.llama, ids, Logits::Last)?; // (1, n_vocab)
        Ok(logits.squeeze(0)?)
    }
}

impl Answer {
    fn new(stop: &[String]) -> Self {
        Self {
            chars: WholeChars::default(),
            stop: StopStrings::new(stop),
            spelled: 0,
            given: 0,
            waiting: VecDeque::new(),
        }
    }

    /// Takes a token's bytes. Returns the text that is now certain, and whether a stop string ended it.
    fn push(&mut self, bytes: &[u8]) -> (String, bool) {
        let text = self.chars.push(bytes);
        self.spelled += text.len();
        let (text, stopped) = self.stop.push(&text);
        self.given += text.len();
        if stopped {
            self.waiting.retain(|&(begin, _)| begin < self.given);
            self.chars = WholeChars::default();
        }
        (text, stopped)
    }

    /// The tokens that begin in what was given out.
    fn given_logprobs(&mut self) -> Vec<TokenLogprobs> {
        let n = self.waiting.iter().take_while(|&&(begin, _)| begin < self.given).count();
        self.waiting.drain(..n).map(|(_, logprobs)| logprobs).collect()
    }

    /// What was held back.
    fn finish(&mut self) -> (String, Vec<TokenLogprobs>) {
        let rest = std::mem::take(&mut self.chars).finish();
        let (mut text, _) = self.stop.push(&rest);
        text += &self.stop.finish();
        (text, self.waiting.drain(..).map(|(_, logprobs)| logprobs).collect())
    }
}
