//! Constraints through the public API, on a real vocabulary: what they let through, what they refuse, and that hostile
//! ones end in time.
//!
//! `json_schema` has what schemas mean, `suite` the JSON Schema project's own, `hostile` what would end the engine.

mod hostile;
mod json_schema;
#[path = "../module/mod.rs"]
mod module;
#[cfg(not(target_arch = "wasm32"))]
mod suite;
#[path = "../vocab/mod.rs"]
mod vocab;

use module::assert_module;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::sync::LazyLock;
use tallow::ErrorKind;
use tallow::grammar::{Constraint, Grammars, Matching, Next};
use tallow::tokenizer::Tokenizer;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;
use web_time::{Duration, Instant};

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

const VOCAB: &[u8] = include_bytes!("../golden/vocab/smollm2.gguf");

static TOKENIZER: LazyLock<Tokenizer> =
    LazyLock::new(|| Tokenizer::from_metadata(&vocab::metadata(VOCAB)).unwrap());

// Of a thread its own: a parser and its clones share what they have found out.
thread_local! {
    static GRAMMARS: RefCell<Grammars> = RefCell::new(Grammars::new(&TOKENIZER).unwrap());
}

fn compile(constraint: &Constraint) -> tallow::Result<Matching> {
    assert_module();
    GRAMMARS.with(|grammars| grammars.borrow_mut().compile(constraint))
}

fn schema(schema: Value) -> Constraint {
    Constraint::JsonSchema(schema.to_string())
}

fn lark(source: &str) -> Constraint {
    Constraint::Lark(source.to_owned())
}

fn gbnf(source: &str) -> Constraint {
    Constraint::Gbnf(source.to_owned())
}

fn regex(source: &str) -> Constraint {
    Constraint::Regex(source.to_owned())
}

/// Whether `text` is an answer. Every token is looked up in the mask before it is taken.
fn takes(constraint: &Constraint, text: &str) -> bool {
    let mut matching = compile(constraint).unwrap();
    let mut logits = vec![0.0; TOKENIZER.n_vocab()];
    for id in TOKENIZER.encode(text, false, false).unwrap() {
        logits.fill(0.0);
        if matching.mask(&mut logits, |id| TOKENIZER.is_eog(id)).unwrap() == Next::End
            || logits[id as usize] != 0.0
        {
            return false;
        }
        matching.accept(id).unwrap();
    }
    may_end(&mut matching)
}

/// Whether the answer may end here: it is complete, or an end is allowed.
fn may_end(matching: &mut Matching) -> bool {
    let mut logits = vec![0.0; TOKENIZER.n_vocab()];
    let next = matching.mask(&mut logits, |id| TOKENIZER.is_eog(id)).unwrap();
    next == Next::End || TOKENIZER.eog().all(|id| logits[id as usize] == 0.0)
}

/// The detail of the `grammar_error` that compiling ends with.
fn refused(constraint: &Constraint) -> String {
    let error = compile(constraint).err().unwrap_or_else(|| panic!("{constraint:?} should be refused"));
    assert_eq!(error.kind(), ErrorKind::GrammarError, "{error}");
    // llguidance catches its panics where they unwind. In a browser they end the engine.
    assert!(!error.detail().contains("panic:"), "{error}");
    error.detail().to_owned()
}

/// Draws tokens by a fixed generator of random numbers among those that are allowed, rather the short ones.
fn ramble(constraint: &Constraint, seed: u64, max_tokens: usize) -> Option<String> {
    let mut matching = compile(constraint).unwrap();
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut logits = vec![0.0; TOKENIZER.n_vocab()];
    let mut bytes = Vec::new();
    for _ in 0..max_tokens {
        logits.fill(0.0);
        if matching.mask(&mut logits, |id| TOKENIZER.is_eog(id)).unwrap() == Next::End {
            return Some(String::from_utf8(bytes).unwrap());
        }
        let allowed: Vec<u32> = (0..logits.len() as u32).filter(|&id| logits[id as usize] == 0.0).collect();
        let mut draw = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            allowed[(state % allowed.len() as u64) as usize]
        };
        let closing = allowed.iter().copied().find(|&id| {
            TOKENIZER.is_eog(id)
                || TOKENIZER.piece(id, false).is_ok_and(|piece| matches!(&*piece, b"\"" | b"}" | b"]"))
        });
        let id = match closing {
            Some(id) if draw() % 3 == 0 => id,
            _ => draw(),
        };
        if TOKENIZER.is_eog(id) {
            return Some(String::from_utf8(bytes).unwrap());
        }
        bytes.extend_from_slice(&TOKENIZER.piece(id, false).unwrap());
        matching.accept(id).unwrap();
    }
    None
}

#[test]
fn random_answers_parse_and_have_the_type() {
    let person = schema(json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "maxLength": 12 },
            "age": { "type": "integer", "minimum": 0, "maximum": 150 },
            "tags": { "type": "array", "items": { "enum": ["a", "b"] }, "maxItems": 3 },
            "weight": { "type": "number" },
        },
        "required": ["name", "age"],
    }));
    let mut ended = 0;
    for seed in 1..=40 {
        let Some(text) = ramble(&person, seed, 300) else { continue };
        ended += 1;
        let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert!(value["name"].as_str().unwrap().chars().count() <= 12, "{text}");
        assert!(value["age"].as_u64().unwrap() <= 150, "{text}");
        assert!(value["weight"].is_null() || value["weight"].as_f64().unwrap().abs() < 1e15, "{text}");
        assert!(value.as_object().unwrap().len() <= 4, "{text}");
    }
    assert!(ended > 30, "{ended} of 40 answers ended");
}

#[test]
fn json_object_takes_objects_only() {
    for (text, taken) in [
        (r#"{"a": [1, 2.5, "x", null, {"b": true}]}"#, true),
        ("{}", true),
        ("[1]", false),
        ("7", false),
        (r#"{"a": 1} "#, false),
        ("{\"a\":  1}", false),
        (r#"{"a": 1e400}"#, false),
    ] {
        assert_eq!(takes(&Constraint::JsonObject, text), taken, "{text}");
    }
}

#[test]
fn regex_matches_the_whole_answer() {
    for (pattern, text, taken) in [
        ("(yes|no)", "yes", true),
        ("(yes|no)", "yes.", false),
        ("(yes|no)", "ye", false),
        ("[0-9]{3}-[0-9]{4}", "555-1234", true),
        ("a/b\\d+", "a/b12", true),
        ("(?i)true", "TrUe", true),
        ("é+", "ééé", true),
    ] {
        assert_eq!(takes(&regex(pattern), text), taken, "{pattern} on {text}");
    }
    for pattern in ["(", "a{2,1}", "(?=a)b", "\\1"] {
        assert!(refused(&regex(pattern)).starts_with("`regex`: "), "{pattern}");
    }
}

#[test]
fn lark_is_llguidances() {
    let arithmetic = lark("start: term (\"+\" term)*\nterm: NUMBER | \"(\" start \")\"\nNUMBER: /[0-9]+/\n");
    assert!(takes(&arithmetic, "1+(2+34)+5"));
    assert!(!takes(&arithmetic, "1+(2"));
    let json = lark("start: \"<\" %json { \"type\": \"boolean\" } \">\"");
    assert!(takes(&json, "<true>"));
    assert!(refused(&lark("start: nothing")).contains("nothing"));
    assert!(refused(&lark("start \"a\"")).starts_with("`grammar`: "));
}

#[test]
fn gbnf_is_llama_cpps() {
    let cases: [(&str, &[&str], &[&str]); 8] = [
        ("root ::= \"a\" | \"b\"", &["a", "b"], &["", "c", "ab"]),
        ("root ::= (\"a\" \"bc\" | \"ab\" \"d\") \"!\"", &["abc!", "abd!"], &["ab!"]),
        ("root ::= [a-z]+ \"x\"", &["abx", "xx"], &["x", "ab"]),
        (
            "# a list\nroot ::= item (\", \" item){1,2}\nitem ::= \"-\"? [0-9]{2} # two\n",
            &["12, -34"],
            &["12", "1, 2"],
        ),
        ("root ::=\n  \"a\" |\n  \"b\"\n  | \"\\x63\\u00e9\\n\"\n", &["a", "b", "cé\n"], &["cé"]),
        ("root ::= \"(\" root \")\" | [^()\\n]*", &["((x))", "", "y"], &["(x", ")"]),
        (
            "root ::= value\nvalue ::= \"[\" ws (value (\",\" ws value)*)? \"]\" ws | [0-9]+ ws\nws ::= ([ \\t\\n] ws)?",
            &["[1, [2,3] ,[]]"],
            &["[1,]", "[1"],
        ),
        ("root ::= .{3}", &["a\nb", "éöü"], &["ab"]),
    ];
    for (source, taken, not) in cases {
        for text in taken {
            assert!(takes(&gbnf(source), text), "{source} should take {text:?}");
        }
        for text in not {
            assert!(!takes(&gbnf(source), text), "{source} should not take {text:?}");
        }
    }
    assert!(takes(&Constraint::Grammar("root ::= \"a::=\"".to_owned()), "a::="));
    assert!(takes(&Constraint::Grammar("start: \"a ::= b\"".to_owned()), "a ::= b"));
    for (source, detail) in [
        ("rot ::= \"a\"", "`grammar`: a rule `root` should begin the grammar, but there is none"),
        ("root ::= x", "`grammar`: rule `x` is used but not defined"),
        ("root ::= \"a\"\nroot ::= \"b\"", "`grammar`: line 2: rule `root` is defined twice"),
        ("root = \"a\"", "`grammar`: line 1: `::=` should be here, but is `=`"),
        ("root ::= (\"a\"", "`grammar`: line 1: `)` should be here, but is the end"),
        ("root ::= [z-a]", "`grammar`: line 1: a range that ascends should be here, but is `]`"),
        (
            "root ::= \"a\"{0,1000000000}",
            "`grammar`: line 1: a number up to 65535 should be here, but is `1`",
        ),
    ] {
        assert_eq!(refused(&gbnf(source)), detail);
    }
    assert!(refused(&gbnf("root ::= root \"a\"")).starts_with("`grammar`: "));
}

#[test]
fn gbnf_repeats_behind_blanks_and_more_than_once() {
    let cases: [(&str, &[&str], &[&str]); 13] = [
        ("root ::= \"a\" *", &["", "aa"], &["b"]),
        ("root ::= (\"a\" | \"b\") + # some\nx ::= \"x\"", &["ab", "b"], &["", "c"]),
        ("root ::= x ? \"!\"\nx ::= \"x\"", &["!", "x!"], &["xx!", "x"]),
        ("root ::= \"a\" {2} [b] {1,2}", &["aab", "aabb"], &["ab", "aabbb", "aa"]),
        ("root ::= (\"a\"\n  # some\n  + \"b\")", &["ab", "aab"], &["b"]),
        ("root ::= \"a\"+* \"b\"??", &["", "aa", "ab", "b"], &["abb"]),
        ("root ::= \"a\"++", &["a", "aa"], &[""]),
        ("root ::= \"a\"?+ \"b\"*?", &["", "aa", "bb"], &["ba"]),
        ("root ::= \"a\"{2}{2} \"b\"{2}?", &["aaaa", "aaaabb"], &["aa", "aaa", "aaaab"]),
        ("root ::= \"a\"{0} \"b\"", &["b"], &["ab", "a", ""]),
        ("root ::= \"b\" (\"a\" | \"c\"){0,0}*", &["b"], &["ba", "bc"]),
        (
            "root ::= \"(\" root \")\" root{0} x {0,0} | \"x\"\nx ::= root{0,0} \"x\"",
            &["x", "((x))"],
            &["()", "(x)x"],
        ),
        ("root ::= \"(\" root \")\" | \"x\"{0}", &["", "(())"], &["x", "(x)"]),
    ];
    for (source, taken, not) in cases {
        for text in taken {
            assert!(takes(&gbnf(source), text), "{source} should take {text:?}");
        }
        for text in not {
            assert!(!takes(&gbnf(source), text), "{source} should not take {text:?}");
        }
    }
    // A line's end ends the rule, so that no repetition follows.
    assert!(refused(&gbnf("root ::= \"a\"\n*")).starts_with("`grammar`: line 2: "));
    assert!(takes(&gbnf(&format!("root ::= \"a\"{}", "?+*".repeat(50_000))), "aa"));
    let stacked = refused(&gbnf(&format!("root ::= \"a\"{}", "{2,3}".repeat(5))));
    assert_eq!(
        stacked,
        "`grammar`: line 1: at most 4 repetitions of each other should be here, but is the end"
    );
}

#[test]
fn an_answer_that_is_complete_ends() {
    let mut matching = compile(&regex("ab")).unwrap();
    let ids = TOKENIZER.encode("ab", false, false).unwrap();
    let (last, first) = ids.split_last().unwrap();
    for id in first {
        assert_eq!(matching.accept(*id).unwrap(), Next::Tokens);
    }
    assert_eq!(matching.accept(*last).unwrap(), Next::End);
    assert_eq!(matching.mask(&mut vec![0.0; TOKENIZER.n_vocab()], |_| false).unwrap(), Next::End);
}

#[test]
fn special_tokens_are_no_text() {
    let mut matching = compile(&regex("(?s).*")).unwrap();
    let mut logits = vec![0.0; TOKENIZER.n_vocab()];
    matching.mask(&mut logits, |id| TOKENIZER.is_eog(id)).unwrap();
    let im_start = TOKENIZER.id_of("<|im_start|>").unwrap();
    assert_eq!(logits[im_start as usize], f32::NEG_INFINITY);
    assert!(TOKENIZER.eog().all(|id| logits[id as usize] == 0.0));
}

/// What may take long takes less than a browser's patience, and what may take memory is refused.
#[test]
fn hostile_sources_end_in_time() {
    let nested = |depth: usize| (0..depth).fold(json!({}), |inner, _| json!({ "items": inner }));
    let all_of = (0..200).fold(
        json!({}),
        |inner, _| json!({ "allOf": [{ "anyOf": [{ "minLength": 1 }, { "maxLength": 9 }] }, inner] }),
    );
    let product: Vec<Value> = (0..24)
        .map(|n| json!({ "anyOf": [{ "minimum": n }, { "maximum": n }, { "multipleOf": n + 1 }] }))
        .collect();
    let huge: Vec<String> = (0..6000).map(|n| format!("value number {n}")).collect();
    let refs: serde_json::Map<String, Value> = (0..30)
        .map(|n| {
            let next = format!("#/$defs/d{}", n + 1);
            (format!("d{n}"), json!({ "allOf": [{ "$ref": next }, { "$ref": next }] }))
        })
        .chain([("d30".to_owned(), json!({ "type": "string" }))])
        .collect();
    let chain: serde_json::Map<String, Value> = (0..3000)
        .map(|n| (format!("d{n}"), json!({ "$ref": format!("#/$defs/d{}", (n + 1) % 3000) })))
        .collect();
    let chain = json!({ "$defs": chain, "$ref": "#/$defs/d0" });
    let long_chain: Vec<String> = (0..3000).map(|n| format!("r{n}: \"a\" r{}\n", n + 1)).collect();
    let long_chain = format!("start: r0\n{}r3000: \"b\"", long_chain.concat());
    let constraints = [
        schema(nested(100)),
        schema(all_of),
        schema(json!({ "allOf": product })),
        schema(json!({ "enum": huge })),
        schema(json!({ "$defs": refs, "$ref": "#/$defs/d0" })),
        schema(json!({ "type": "string", "pattern": "((a|aa){1,60000}){1,60000}b" })),
        schema(json!({ "type": "string", "minLength": 65535, "maxLength": 65535 })),
        schema(
            json!({ "type": "array", "minItems": 65535, "items": { "type": "array", "minItems": 65535 } }),
        ),
        schema(json!({ "multipleOf": 999983, "minimum": 0.5 })),
        schema(json!({ "type": "number", "multipleOf": 9973, "minimum": 0.5 })),
        schema(chain),
        lark(&long_chain),
        regex("(a|aa){1000}{1000}"),
        regex("(x+x+)+y"),
        regex("a{0,1000000000}"),
        regex(".*a.{400}"),
        regex("(.*a.{20}){20}"),
        regex(&"(".repeat(10_000)),
        regex(&"a".repeat(300_000)),
        lark(&format!("start: {}\"a\"{}", "(".repeat(5000), ")".repeat(5000))),
        lark("start: start start | \"a\""),
        lark("start: a{1000}\na: b{1000}\nb: \"x\"{1000}"),
        gbnf("root ::= (((\"a\"{60000}){60000}){60000}){60000}"),
        gbnf("root ::= (\"a\" | \"aa\" | root root)*"),
        regex(&"a?".repeat(2048)),
        regex(&r"\w?".repeat(1365)),
        regex(&r"\w".repeat(2048)),
        schema(json!({ "type": "string", "format": "date", "pattern": "a?".repeat(2048) })),
        lark(&format!("start: A\nA: {}", "\"a\"? ".repeat(2000))),
        lark(&format!("start: A\nA: {}", "B ".repeat(100_000))),
        lark(&format!("start: A\n{}", "A: a[)".repeat(40_000))),
        lark(&format!("start: {}", "\"a\"? ".repeat(10_000))),
        lark(&format!("start: {}", "%json { \"type\": \"string\" } ".repeat(100))),
        gbnf(&format!("root ::= {}", "\"a\" * ".repeat(2000))),
    ];
    let check = |error: tallow::Error| {
        assert_eq!(error.kind(), ErrorKind::GrammarError);
        assert!(!error.detail().contains("panic:"), "{error}");
    };
    for constraint in &constraints {
        let begun = Instant::now();
        match compile(constraint) {
            Err(error) => check(error),
            Ok(mut matching) => {
                // Some tokens far, as a model would go.
                let mut logits = vec![0.0; TOKENIZER.n_vocab()];
                for _ in 0..50 {
                    logits.fill(0.0);
                    match matching.mask(&mut logits, |id| TOKENIZER.is_eog(id)) {
                        Ok(Next::Tokens) => {}
                        Ok(Next::End) => break,
                        Err(error) => {
                            check(error);
                            break;
                        }
                    }
                    let id = (0..logits.len()).find(|&id| logits[id] == 0.0 && !TOKENIZER.is_eog(id as u32));
                    if let Err(error) = matching.accept(id.unwrap() as u32) {
                        check(error);
                        break;
                    }
                }
            }
        }
        let shown: String = format!("{constraint:?}").chars().take(80).collect();
        let took = begun.elapsed();
        println!("{took:?} {shown}");
        assert!(took < Duration::from_secs(20), "{shown} took {took:?}");
    }
    // And what comes after them is as ever.
    assert!(takes(&regex("ok"), "ok"));
}

/// At every token of an answer, for all tokens of the vocabulary, and behind what a mask has changed.
#[test]
fn a_token_is_allowed_where_the_mask_has_it() {
    let person = schema(json!({
        "type": "object",
        "properties": { "name": { "enum": ["Ann", "Anna"] }, "born": { "type": "string", "format": "date" } },
        "required": ["name", "born"],
    }));
    let sum = lark(
        r#"start: N (" + " N)*
                      N: /[0-9]{1,3}/"#,
    );
    for (constraint, answer, may_go_on) in [
        (Constraint::JsonObject, r#"{"a b": [1, -2.5, null], "k": {"é": "x\n"}}"#, false),
        (person, r#"{"name": "Anna", "born": "2024-02-28"}"#, false),
        (regex("(Once|One) [a-z]{1,12}( [a-z]+)*[.]"), "Once upon a time.", false),
        (sum, "12 + 345 + 6", true),
        (gbnf(r#"root ::= ("a" | "ab" | "é")+ " fin""#), "aabé fin", false),
    ] {
        let mut matching = compile(&constraint).unwrap();
        let mut logits = vec![0.0; TOKENIZER.n_vocab()];
        let ids = TOKENIZER.encode(answer, false, false).unwrap();
        for at in 0..=ids.len() {
            let before: Vec<bool> =
                (0..logits.len() as u32).map(|id| matching.clone().allows(id).unwrap()).collect();
            logits.fill(0.0);
            let complete = matching.mask(&mut logits, |id| TOKENIZER.is_eog(id)).unwrap() == Next::End;
            assert_eq!(complete, at == ids.len() && !may_go_on);
            for (id, before) in (0..).zip(before) {
                let text = TOKENIZER.token_text(id).unwrap_or_default();
                let masked = complete || logits[id as usize] != 0.0;
                assert_eq!(before, !masked, "{constraint:?}: {text:?} behind {at} tokens of {answer}");
                assert_eq!(matching.allows(id).unwrap(), before, "{text:?}, once more");
            }
            if let Some(&id) = ids.get(at) {
                matching.accept(id).unwrap();
            }
        }
    }
}
