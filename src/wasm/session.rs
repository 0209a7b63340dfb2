//! Sessions beside the model's own, which has the number 0: by their numbers, as `js/src/session.ts` asks for them.

use super::Model;
use super::js::{JsResult, to_js};
use crate::context::{self, ModelHash};
use crate::session::Session;
use crate::{Error, Result};
use std::collections::BTreeMap;
use wasm_bindgen::prelude::*;

/// Sessions by their numbers, which are not used twice.
#[derive(Default)]
pub(super) struct Sessions {
    all: BTreeMap<u32, Session>,
    n_made: u32,
    /// Which one runs a request, or 0.
    running: u32,
}

impl Sessions {
    fn add(&mut self, session: Session) -> u32 {
        self.n_made += 1;
        self.all.insert(self.n_made, session);
        self.n_made
    }
}

impl Model {
    fn session(&mut self, number: u32) -> Result<&mut Session> {
        match number {
            0 => Ok(&mut self.session),
            _ => self
                .sessions
                .all
                .get_mut(&number)
                .ok_or_else(|| Error::invalid_request("the session was disposed of")),
        }
    }

    /// The session that a request is for, which [`running`](Self::running) gives from then on.
    pub(super) fn run(&mut self, number: u32) -> Result<&mut Session> {
        self.sessions.running = number;
        self.session(number)
    }

    /// The session that runs a request.
    pub(super) fn running(&mut self) -> Result<&mut Session> {
        self.session(self.sessions.running)
    }
}

/// A saved session being read.
#[wasm_bindgen]
pub struct Restorer(context::Restorer);

#[wasm_bindgen]
impl Restorer {
    /// Takes the next bytes of the file.
    pub fn push(&mut self, bytes: &[u8]) -> JsResult<()> {
        self.0.push(bytes).map_err(to_js)
    }
}

#[wasm_bindgen]
impl Model {
    /// A new session, empty.
    #[wasm_bindgen(js_name = createSession)]
    pub fn create_session(&mut self) -> JsResult<u32> {
        let session = self.session.another().map_err(to_js)?;
        Ok(self.sessions.add(session))
    }

    /// A new session that has seen what `session` has.
    #[wasm_bindgen(js_name = forkSession)]
    pub fn fork_session(&mut self, session: u32) -> JsResult<u32> {
        let fork = self.session(session).map_err(to_js)?.fork();
        Ok(self.sessions.add(fork))
    }

    /// Forgets all but the first `length` tokens.
    #[wasm_bindgen(js_name = truncateSession)]
    pub fn truncate_session(&mut self, session: u32, length: usize) -> JsResult<()> {
        self.session(session).map_err(to_js)?.truncate(length);
        Ok(())
    }

    /// The tokens that a session has seen.
    #[wasm_bindgen(js_name = sessionTokens)]
    pub fn session_tokens(&mut self, session: u32) -> JsResult<Vec<u32>> {
        Ok(self.session(session).map_err(to_js)?.context().tokens().to_vec())
    }

    /// Gives `write` the bytes of a file, piece by piece, each a view of memory, to be read before anything else is called.
    /// `model` is the hash of the model's file.
    #[wasm_bindgen(js_name = saveSession)]
    pub fn save_session(&mut self, session: u32, model: &[u8], write: &js_sys::Function) -> JsResult<()> {
        let session = self.session(session).map_err(to_js)?;
        let mut written = Ok(());
        session.context().save(session.llama().config(), &hash(model)?, |bytes| {
            if written.is_ok() {
                // SAFETY: `write` reads the view before anything else is called; what is written stays where it is.
                let view = unsafe { js_sys::Uint8Array::view(bytes) };
                written = write.call1(&JsValue::NULL, &view).map(drop);
            }
        });
        written
    }

    /// Reads what was saved, for `restoreSession`.
    pub fn restorer(&mut self, session: u32, model: &[u8]) -> JsResult<Restorer> {
        let session = self.session(session).map_err(to_js)?;
        session.restorer(hash(model)?).map(Restorer).map_err(to_js)
    }

    /// Puts what was read in the place of what a session has seen.
    #[wasm_bindgen(js_name = restoreSession)]
    pub fn restore_session(&mut self, session: u32, saved: Restorer) -> JsResult<()> {
        self.session(session).and_then(|session| session.restore(saved.0)).map_err(to_js)
    }

    /// Returns a session's memory.
    #[wasm_bindgen(js_name = freeSession)]
    pub fn free_session(&mut self, session: u32) {
        self.sessions.all.remove(&session);
    }
}

fn hash(bytes: &[u8]) -> JsResult<ModelHash> {
    bytes.try_into().map_err(|_| to_js(Error::internal("a model's hash should have 32 bytes")))
}
