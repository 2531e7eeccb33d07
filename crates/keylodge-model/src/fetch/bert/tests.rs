use super::gguf::half;
use super::*;

const VOCABULARY: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nback\n##pack\n";
const ABOUT: About = About { name: "tiny", license: "apache-2.0", attention_heads: 2, layer_norm_epsilon: 1e-12 };

/// The numbers of the first matrix: a half that is rounded, the largest, and nothing.
fn words() -> Vec<f32> {
    let mut words = vec![0.0; 7 * 32];
    words[..4].copy_from_slice(&[127.0, -2.5, 2.5, 0.49]);
    words
}

/// A BERT with one layer, seven tokens and 32 numbers for each, as safetensors. `broken` may change its tensors.
fn weights(broken: impl Fn(&mut Vec<(String, Vec<u64>)>)) -> Vec<u8> {
    let mut tensors = vec![
        (WORDS.to_owned(), vec![7, 32]),
        (POSITIONS.to_owned(), vec![8, 32]),
        (TYPES.to_owned(), vec![2, 32]),
        ("embeddings.position_ids".to_owned(), vec![1, 8]),
        ("pooler.dense.weight".to_owned(), vec![32, 32]),
    ];
    for name in ["embeddings.LayerNorm", "encoder.layer.0.output.LayerNorm"] {
        tensors.extend(["weight", "bias"].map(|part| (format!("{name}.{part}"), vec![32])));
    }
    for (name, _) in LAYER.iter().filter(|(name, _)| *name != "output.LayerNorm") {
        let (rows, columns) = match *name {
            "intermediate.dense" => (64, 32),
            "output.dense" => (32, 64),
            _ => (32, 32),
        };
        let matrix = if name.ends_with("LayerNorm") { vec![32] } else { vec![rows, columns] };
        tensors.push((format!("encoder.layer.0.{name}.weight"), matrix));
        tensors.push((format!("encoder.layer.0.{name}.bias"), vec![rows]));
    }
    broken(&mut tensors);

    let (mut head, mut body) = (serde_json::Map::new(), Vec::new());
    for (name, shape) in tensors {
        let begin = body.len();
        let count = usize::try_from(shape.iter().product::<u64>()).expect("a small tensor");
        let numbers = if name == WORDS { words() } else { vec![0.5; count] };
        body.extend(numbers.iter().take(count).flat_map(|number| number.to_le_bytes()));
        let entry = serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, body.len()]});
        head.insert(name, entry);
    }
    let head = serde_json::to_vec(&head).expect("JSON");
    [&(head.len() as u64).to_le_bytes()[..], &head, &body].concat()
}

fn misfit(weights: &[u8], vocabulary: &str) -> String {
    convert(weights, vocabulary, &ABOUT).expect_err("a misfit").0
}

/// Where the bytes of a text begin in a file.
fn find(file: &[u8], text: &str) -> usize {
    file.windows(text.len()).position(|bytes| bytes == text.as_bytes()).unwrap_or_else(|| panic!("no {text}"))
}

fn number(file: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*file[at..].first_chunk().expect("four bytes"))
}

#[test]
fn the_head_says_what_the_model_is() {
    let file = convert(&weights(|_| {}), VOCABULARY, &ABOUT).expect("a file");

    assert_eq!((&file[..4], number(&file, 4)), (&b"GGUF"[..], 3));
    // 3 tables, 2 norms of them, and 16 of the layer; neither pooler nor position ids.
    assert_eq!(number(&file, 8), 21);
    let fact = |key: &str| number(&file, find(&file, key) + key.len() + 4);
    assert_eq!(fact("bert.block_count"), 1);
    assert_eq!(fact("bert.context_length"), 8);
    assert_eq!(fact("bert.embedding_length"), 32);
    assert_eq!(fact("bert.feed_forward_length"), 64);
    assert_eq!(fact("bert.attention.head_count"), 2);
    assert_eq!(fact("bert.pooling_type"), 1);
    assert_eq!(fact("tokenizer.ggml.token_type_count"), 2);
    assert_eq!(fact("tokenizer.ggml.seperator_token_id"), 3);
}

#[test]
fn beginnings_of_words_are_marked_and_their_ends_are_not() {
    let file = convert(&weights(|_| {}), VOCABULARY, &ABOUT).expect("a file");

    let tokens: Vec<u8> = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "\u{2581}back", "pack"]
        .iter()
        .flat_map(|token| [&(token.len() as u64).to_le_bytes()[..], token.as_bytes()].concat())
        .collect();
    assert!(file.windows(tokens.len()).any(|bytes| bytes == tokens));
}

#[test]
fn large_matrices_are_packed_and_the_rest_is_not() {
    let file = convert(&weights(|_| {}), VOCABULARY, &ABOUT).expect("a file");

    let info = |name: &str, dimensions: usize| {
        let at = find(&file, name) + name.len() + 4 + 8 * dimensions;
        (number(&file, at), number(&file, at + 4))
    };
    let (f32, q8_0) = (0, 8);
    assert_eq!(info("token_embd.weight", 2), (q8_0, 0));
    // Seven blocks of 34 bytes, and on to the next multiple of 32.
    assert_eq!(info("position_embd.weight", 2), (f32, 256));
    assert_eq!(info("blk.0.ffn_up.weight", 2).0, q8_0);
    assert_eq!(info("blk.0.ffn_up.bias", 1).0, f32);
    assert_eq!(info("blk.0.layer_output_norm.weight", 1).0, f32);
    // The scale is 1; halves go away from zero.
    let data = file.len() - {
        let matrices = 4 * 32 * 34 + 2 * 64 * 34;
        let vectors = 4 * (8 * 32 + 2 * 32 + 2 * 32 + 4 * 32 + 4 * 32 + 64 + 32);
        256 + matrices + vectors
    };
    assert_eq!(file[data..data + 7], [0x00, 0x3c, 127, (-3_i8).cast_unsigned(), 3, 0, 0]);
}

#[test]
fn the_same_files_give_the_same_bytes() {
    let make = || convert(&weights(|_| {}), VOCABULARY, &ABOUT).expect("a file");

    assert_eq!(make(), make());
}

#[test]
fn what_does_not_fit_is_named() {
    let good = weights(|_| {});
    let missing = weights(|tensors| tensors.retain(|(name, _)| !name.ends_with("attention.self.key.bias")));
    let odd = weights(|tensors| {
        let wide = tensors.iter_mut().find(|(name, _)| name.ends_with("output.dense.weight")).expect("it is there");
        wide.1 = vec![32, 63];
    });
    let text = String::from_utf8_lossy(&good[8..]).into_owned();
    let other_kind = text.replacen("F32", "F16", 1);
    let other_kind = [&good[..8], &other_kind.as_bytes()[..200]].concat();

    assert_eq!(misfit(b"short", VOCABULARY), "the file of the weights ends too early");
    assert_eq!(misfit(&u64::MAX.to_le_bytes(), VOCABULARY), "the file of the weights ends too early");
    assert!(misfit(b"\x02\0\0\0\0\0\0\0[]", VOCABULARY).starts_with("the head of the weights cannot be read"));
    assert_eq!(misfit(&other_kind, VOCABULARY), "the file of the weights ends too early");
    assert_eq!(misfit(&missing, VOCABULARY), "the tensor encoder.layer.0.attention.self.key.bias is missing");
    assert!(misfit(&odd, VOCABULARY).contains("have 63 numbers"), "{}", misfit(&odd, VOCABULARY));
    assert!(misfit(&good[..good.len() - 4], VOCABULARY).ends_with("has not the bytes that it should have"));
    assert_eq!(misfit(&good, "[PAD]\n"), "there are 1 tokens and weights for 7");
    assert_eq!(misfit(&good, &VOCABULARY.replace("[SEP]", "[SAP]")), "the token [SEP] is missing");
}

#[test]
fn half_precision_is_the_nearest_and_of_two_the_even_one() {
    for (number, bits) in [
        (0.0, 0),
        (1.0, 0x3c00),
        (1.5, 0x3e00),
        (65504.0, 0x7bff),
        (65520.0, 0x7c00),
        (1e30, 0x7c00),
        (f32::INFINITY, 0x7c00),
        // Between 1 and the next number: down to even, up to even, and up past the middle.
        (1.0 + 0.5 / 1024.0, 0x3c00),
        (1.0 + 1.5 / 1024.0, 0x3c02),
        (1.0 + 0.500_1 / 1024.0, 0x3c01),
        // Below the normal numbers: the smallest, half of it, and a little more than half.
        (2.0_f32.powi(-14), 0x0400),
        (2.0_f32.powi(-24), 0x0001),
        (2.0_f32.powi(-25), 0x0000),
        (1.5 * 2.0_f32.powi(-25), 0x0001),
        (1e-12, 0),
    ] {
        assert_eq!(half(number), bits, "{number}");
    }
}
