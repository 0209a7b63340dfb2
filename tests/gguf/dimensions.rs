//! How many dimensions a tensor has, and dimensions of 0.

use super::builder::{Gguf, tensor_type::F32};
use super::reading::{assert_invalid, read};

#[test]
fn none_or_too_many() {
    for n_dims in [0, 5, u32::MAX] {
        assert_invalid(
            &Gguf::new(1, 0).string("output.weight").u32(n_dims).finish(),
            &format!("tensor `output.weight` should have 1 to 4 dimensions, but has {n_dims}"),
        );
    }
}

#[test]
fn a_dimension_of_zero() {
    for (dims, shape) in [(&[0, 3][..], "[3, 0]"), (&[3, 0], "[0, 3]"), (&[2, 0, 4, 0], "[0, 4, 0, 2]")] {
        assert_invalid(
            &Gguf::new(1, 0).tensor("output.weight", dims, F32, 0).finish(),
            &format!("tensor `output.weight` should have no dimension of 0, but has the shape {shape}"),
        );
    }
}

#[test]
fn one_to_four_are_turned_outermost_first() {
    for (dims, shape) in
        [(&[7][..], &[7][..]), (&[7, 5], &[5, 7]), (&[7, 5, 3], &[3, 5, 7]), (&[7, 5, 3, 2], &[2, 3, 5, 7])]
    {
        let n_bytes = 4 * shape.iter().product::<usize>();
        let file = Gguf::new(1, 0).tensor("t", dims, F32, 0).finish_with_data(n_bytes);
        let tensor = &read(&file, 7).unwrap().header.tensors[0];
        assert_eq!((tensor.shape.as_slice(), tensor.n_bytes), (shape, n_bytes as u64));
    }
}
