//! Packed weights that were kept: the same model another time, and what is refused of them.

use crate::{
    Q4_0, header_bytes, headers_only, invalid_model, load, load_and_keep, load_packed, loader,
    packed_options, refusal, scores, split_into, tiny_models,
};
use tallow::ErrorKind;
use tallow::load::Loader;

#[test]
fn packed_weights_give_the_same_model_another_time() {
    for (name, file) in tiny_models() {
        let files = [file];
        let (loaded, kept) = load_and_keep(&files);
        let again = load_packed(&files, &kept).expect(&name);
        assert!(scores(&again) == scores(&loaded), "{name}");
        assert_eq!((again.info, again.n_ctx), (loaded.info, loaded.n_ctx), "{name}");
    }
}

#[test]
fn packed_weights_that_are_not_all_or_too_many_are_refused() {
    let files = [Q4_0.to_vec()];
    let (_, kept) = load_and_keep(&files);
    let mut loader = headers_only(&files);
    loader.push_packed(&kept).expect("all of them");
    let too_many = (ErrorKind::IntegrityError, "there are bytes after the last packed tensor".to_owned());
    assert_eq!(refusal(loader.push_packed(&[0])), too_many);
    assert_eq!(refusal(load_packed(&files, &[kept.as_slice(), &[0; 3]].concat())), too_many);

    let last = invalid_model("tensor `blk.1.ffn_up.weight` is missing");
    assert_eq!(refusal(load_packed(&files, &kept[..kept.len() - 1])), last);
    assert_eq!(refusal(load_packed(&files, &[])), invalid_model("tensor `output.weight` is missing"));

    // A Llama may do without `output.weight`; this one may not, even where it comes last.
    let files = split_into(Q4_0, &[(0..22).rev().collect()]);
    let (loaded, kept) = load_and_keep(&files);
    assert!(scores(&loaded) == scores(&load(&[Q4_0.to_vec()]).expect("the model loads")));
    let last = invalid_model("tensor `output.weight` is missing");
    assert_eq!(refusal(load_packed(&files, &kept[..kept.len() - 1])), last);
}

#[test]
fn packed_weights_come_after_the_header_and_only_where_they_were_announced() {
    let too_early = (ErrorKind::Internal, "packed weights came before the header".to_owned());
    assert_eq!(refusal(loader(packed_options()).push_packed(&[1, 2, 3])), too_early);
    let mut unannounced = Loader::new();
    unannounced.push(header_bytes(Q4_0)).expect("the header is good");
    assert_eq!(refusal(unannounced.push_packed(&[1, 2, 3])).0, ErrorKind::Internal);
    let detail = "packed weights came to a loader without the option `packed`".to_owned();
    assert_eq!(refusal(unannounced.push_packed(&[1, 2, 3])), (ErrorKind::Internal, detail));
}

#[test]
fn a_files_data_is_not_taken_for_packed_weights() {
    let mut loader = loader(packed_options());
    let header = header_bytes(Q4_0);
    loader.push(header).expect("the header is good");
    let detail = "tensor data came to a loader with the option `packed`".to_owned();
    assert_eq!(refusal(loader.push(&Q4_0[header.len()..][..33])), (ErrorKind::Internal, detail));
}
