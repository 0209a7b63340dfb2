//! Models split into several files: the same as the whole one, and parts that are refused.

use crate::builder::{self, Gguf};
use crate::{
    Q4_0, header_bytes, inspect, invalid_model, load, load_and_keep, load_packed, push_files, refusal,
    scores, split_into, three_parts, with_u32,
};
use tallow::load::{LoadOptions, Loader};

#[test]
fn a_split_model_is_the_whole_one() {
    let whole = load(&[Q4_0.to_vec()]).expect("the model loads");
    let splits = [
        three_parts(),
        split_into(Q4_0, &[vec![], (0..11).collect(), (11..22).collect()]),
        split_into(Q4_0, &[(0..22).collect()]),
        split_into(Q4_0, &(0..22).map(|index| vec![index]).collect::<Vec<_>>()),
    ];
    for files in splits {
        let n_files = files.len();
        let (loaded, kept) = load_and_keep(&files);
        assert!(scores(&loaded) == scores(&whole), "{n_files} files");
        assert_eq!(loaded.info.parameters, whole.info.parameters, "{n_files} files");
        assert_eq!(loaded.info.quantization, whole.info.quantization, "{n_files} files");
        let again = load_packed(&files, &kept).expect("the model loads");
        assert!(scores(&again) == scores(&whole), "{n_files} files, packed");
        assert_eq!(again.info, loaded.info, "{n_files} files, packed");
    }
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let files = three_parts();
    let two = split_into(Q4_0, &[(0..5).collect(), (5..22).collect()]);
    let part = |i: usize| files[i].clone();
    let cases = [
        (
            "another order",
            vec![part(0), part(2), part(1)],
            "the file should be part 2 of 3, but is part 3 of 3",
        ),
        (
            "another first",
            vec![part(1), part(0), part(2)],
            "the file should be part 1 of 3, but is part 2 of 3",
        ),
        ("no first", vec![part(1), part(2)], "the file should be part 1 of 3, but is part 2 of 3"),
        ("one twice", vec![part(0), part(0), part(2)], "the file should be part 2 of 3, but is part 1 of 3"),
        (
            "the last twice",
            vec![part(0), part(1), part(1)],
            "the file should be part 3 of 3, but is part 2 of 3",
        ),
        ("no last", vec![part(0), part(1)], "the model should be 3 files, but there are 2"),
        ("only the first", vec![part(0)], "the model should be 3 files, but there are 1"),
        (
            "one too many",
            vec![part(0), part(1), part(2), part(2)],
            "the model should be 3 files, but there is another",
        ),
        (
            "more after a whole",
            vec![Q4_0.to_vec(), part(1)],
            "the model should be 1 files, but there is another",
        ),
        (
            "another split's",
            vec![part(0), two[1].clone()],
            "the file should be part 2 of 3, but is part 2 of 2",
        ),
        ("a whole model", vec![part(0), Q4_0.to_vec()], "the file should be part 2 of 3, but is part 1 of 1"),
    ];
    for (name, files, detail) in cases {
        assert_eq!(refusal(load(&files)), invalid_model(detail), "{name}");
    }
}

#[test]
fn a_part_with_the_largest_number_is_named_as_it_is() {
    let header = Gguf::new(0, 3)
        .key("split.no", builder::value_type::U32)
        .u32(u32::MAX)
        .key("split.count", builder::value_type::U32)
        .u32(3)
        .key("split.tensors.count", builder::value_type::U32)
        .u32(22)
        .finish_with_data(0);
    let detail = "the file should be part 1 of 3, but is part 4294967296 of 3";
    assert_eq!(refusal(Loader::new().push(&header)), invalid_model(detail));
}

#[test]
fn parts_list_as_many_tensors_as_the_first_says() {
    let counted = |files: Vec<Vec<u8>>, n| -> Vec<Vec<u8>> {
        files.iter().map(|file| with_u32(file, "split.tensors.count", n)).collect()
    };
    let more = "the model should have 23 tensors, but its files list 22";
    let fewer = "the model should have 21 tensors, but its files list 22";
    // `output.weight`, which a Llama may do without, is the first.
    let (parts, rest) = ([(1..5).collect(), (5..14).collect(), (14..22).collect()], [(1..22).collect()]);
    let without = "the model should have 22 tensors, but its files list 21";
    let cases = [
        (counted(three_parts(), 23), more),
        (counted(three_parts(), 21), fewer),
        (counted(split_into(Q4_0, &[(0..22).collect()]), 23), more),
        (counted(split_into(Q4_0, &[(0..22).collect()]), 21), fewer),
        (split_into(Q4_0, &parts), without),
        (split_into(Q4_0, &rest), without),
    ];
    for (files, detail) in cases {
        let told = inspect(&files, &LoadOptions::default()).problem;
        assert_eq!(told.map(|problem| problem.message).as_deref(), Some(detail));
        // By the last header, before its data.
        let mut loader = Loader::new();
        let (last, others) = files.split_last().expect("a file");
        push_files(&mut loader, others, |_| ()).expect("nothing is wrong yet");
        if !others.is_empty() {
            loader.next_file().expect("there is another");
        }
        assert_eq!(refusal(loader.push(header_bytes(last))), invalid_model(detail));
    }
}

#[test]
fn a_part_that_ends_early_is_refused_before_the_next() {
    let files = three_parts();
    let mut loader = Loader::new();
    loader.push(&files[0][..files[0].len() - 33]).expect("nothing is wrong yet");
    let detail =
        "tensor `blk.0.attn_k.weight` should have 18432 bytes, but the file ends after its first 18399";
    assert_eq!(refusal(loader.next_file()), invalid_model(detail));
}
