//! `general.alignment`: a u32, a power of two.

use super::builder::{Gguf, tensor_type, value_type};
use super::reading::{assert_invalid, read};

#[test]
fn of_another_type() {
    let key = "general.alignment";
    assert_invalid(
        &Gguf::new(0, 1).key(key, value_type::STRING).string("32").finish(),
        "metadata key `general.alignment` should be of type u32, but is string",
    );
    assert_invalid(
        &Gguf::new(0, 1).key(key, 10).u64(32).finish(),
        "metadata key `general.alignment` should be of type u32, but is u64",
    );
}

#[test]
fn no_power_of_two() {
    for alignment in [0, 3, 24, u32::MAX] {
        assert_invalid(
            &Gguf::new(0, 1).key("general.alignment", value_type::U32).u32(alignment).finish(),
            &format!("metadata key `general.alignment` should be a power of two, but is {alignment}"),
        );
    }
}

#[test]
fn any_power_of_two_places_the_data() {
    for alignment in [1, 2, 8, 32, 4096] {
        let file = Gguf::new(1, 1).key("general.alignment", value_type::U32).u32(alignment);
        let file = file.tensor("t", &[3], tensor_type::I8, 0).pad(alignment as usize).bytes(b"abc").finish();
        let file = read(&file, 7).unwrap();
        assert_eq!(file.tensors, [b"abc"]);
        assert_eq!(file.header.data_offset, 90u64.next_multiple_of(alignment.into()));
        assert_eq!(file.header.file_len, file.header.data_offset + 3);
    }
}

#[test]
fn the_default_is_32() {
    let file = Gguf::new(1, 0).tensor("t", &[3], tensor_type::I8, 0).pad(32).bytes(b"abc").finish();
    assert_eq!(read(&file, 7).unwrap().header.data_offset, 64);
}
