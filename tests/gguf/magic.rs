//! Files that are no GGUF at all: the error shows what they begin with.

use super::reading::assert_invalid;

#[test]
fn an_html_page() {
    assert_invalid(
        b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
        "the file should begin with `GGUF`, but begins with `<!DO`",
    );
}

#[test]
fn a_safetensors_file() {
    assert_invalid(
        b"\x98\x01\0\0\0\0\0\0{\"__metadata__\":{\"format\":\"pt\"}}",
        "the file should begin with `GGUF`, but begins with `\\x98\\x01\\x00\\x00`",
    );
}

#[test]
fn a_git_lfs_pointer() {
    assert_invalid(
        b"version https://git-lfs.github.com/spec/v1\n",
        "the file should begin with `GGUF`, but begins with `vers`",
    );
}

#[test]
fn the_older_ggml_format() {
    assert_invalid(b"tjgg\x03\0\0\0", "the file should begin with `GGUF`, but begins with `tjgg`");
}
