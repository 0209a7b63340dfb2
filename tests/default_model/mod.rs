//! The default model, which `build.sh` puts into `models/`.

use tallow::load::{Loaded, Loader};

const PATH: &str = "models/smollm2-135m-instruct-q4_1.gguf";
const PIECE: usize = 1 << 20;

pub fn load() -> Loaded {
    let bytes = read();
    let mut loader = Loader::new();
    for piece in bytes.chunks(PIECE) {
        loader.push(piece).expect("the default model loads");
    }
    loader.finish().expect("the default model loads")
}

#[cfg(not(target_arch = "wasm32"))]
pub fn read() -> Vec<u8> {
    std::fs::read(PATH).unwrap_or_else(|error| panic!("{PATH}: {error}; `./build.sh test` fetches it"))
}

/// The test runner serves the project's folder. A worker may wait for a request, so the test need not be async.
#[cfg(target_arch = "wasm32")]
pub fn read() -> Vec<u8> {
    let request = web_sys::XmlHttpRequest::new().expect("a worker has XMLHttpRequest");
    request.open_with_async("GET", &format!("/{PATH}"), false).expect("the address is right");
    request.set_response_type(web_sys::XmlHttpRequestResponseType::Arraybuffer);
    request.send().expect("the runner answers");
    assert_eq!(request.status(), Ok(200), "{PATH}; `./build.sh test` fetches it");
    js_sys::Uint8Array::new(&request.response().expect("there is an answer")).to_vec()
}
