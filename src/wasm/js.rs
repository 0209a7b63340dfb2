//! Errors and JSON on their way to JavaScript.

use crate::Error;
use serde::{Serialize, de::DeserializeOwned};
use wasm_bindgen::JsValue;

pub(super) type JsResult<T> = Result<T, JsValue>;

/// A JavaScript `Error` with the kind's name in `code`; `js/src/errors.ts` makes a `TallowError` of it.
pub(super) fn to_js(error: Error) -> JsValue {
    let mut message = error.detail().to_owned();
    if let Some(source) = std::error::Error::source(&error) {
        message.push_str(": ");
        message.push_str(&source.to_string());
    }
    let js = js_sys::Error::new(&message);
    js.set_name("TallowError");
    // An Error object is extensible, so setting a property of its own cannot fail.
    let _ = js_sys::Reflect::set(&js, &"code".into(), &error.kind().code().into());
    js.into()
}

pub(super) fn to_json(value: &impl Serialize) -> JsResult<String> {
    serde_json::to_string(value)
        .map_err(|source| to_js(Error::internal("an answer does not serialize").with_source(source)))
}

/// Reads what `js/` sent. It checks requests before it sends them, so a misfit names the field all the same.
pub(super) fn from_json<T: DeserializeOwned>(json: &str) -> JsResult<T> {
    serde_json::from_str(json).map_err(|source| to_js(Error::invalid_request(source.to_string())))
}
