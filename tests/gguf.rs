//! The GGUF reader through its public API: one module for each way a file can be wrong, then whole files.
//!
//! Files are written by `builder` or embedded, never opened, so that the same tests run in wasm. A malformed file
//! is pushed in chunks of several sizes, and has to fail in the same words each time.

mod gguf {
    mod builder;
    mod peak_memory;
    mod reading;

    mod alignment;
    mod array_depth;
    mod array_length;
    mod big_endian;
    mod bool_value;
    mod counts;
    mod dimensions;
    mod duplicate_key;
    mod duplicate_tensor;
    mod header_length;
    mod key_length;
    mod magic;
    mod misaligned_tensor;
    mod out_of_range;
    mod overlap;
    mod row_length;
    mod string_length;
    mod tensor_name_length;
    mod tensor_size;
    mod tensor_type;
    mod truncation;
    mod utf8;
    mod value_type;
    mod version;
    mod wrong_getter;

    mod chunks;
    mod failed_sink;
    mod mutations;
    mod reference;
    mod values;
}
