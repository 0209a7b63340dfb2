//! The JSON Schema project's own test suite: every schema of it is either kept to, so that no invalid instance is an answer,
//! or refused with the place that Tallow can't keep to. Which, and what valid instances can't be given, is in `suite.json`.
//!
//! After a change that is meant, `TALLOW_BLESS=1 cargo test --test grammar suite` writes the file anew.

use super::{Value, refused, schema, takes};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");

#[derive(Deserialize)]
struct Group {
    description: String,
    schema: Value,
    tests: Vec<Test>,
}

#[derive(Deserialize)]
struct Test {
    description: String,
    data: Value,
    valid: bool,
}

/// What is expected of a file's schemas, by their descriptions.
#[derive(Debug, Default, PartialEq, Deserialize, serde::Serialize)]
struct Expected {
    /// The JSON pointer that the refusal names.
    refused: BTreeMap<String, String>,
    /// Valid instances that are never given.
    narrower: BTreeMap<String, Vec<String>>,
}

#[test]
fn json_schemas_own_suite() {
    let suite = format!("{TESTS}/golden/json-schema-suite/draft2020-12");
    let mut wrong = Vec::new();
    let mut found: BTreeMap<String, Expected> = BTreeMap::new();
    for name in names(Path::new(&suite), "") {
        let text = std::fs::read_to_string(format!("{suite}/{name}.json")).unwrap();
        let groups: Vec<Group> = serde_json::from_str(&text).unwrap();
        let mut outcome = Expected::default();
        for Group { description, schema: source, tests } in groups {
            let constraint = schema(source.clone());
            if super::compile(&constraint).is_err() {
                outcome.refused.insert(description, pointer(&refused(&constraint)));
                continue;
            }
            let mut narrower = Vec::new();
            for test in tests {
                match (takes(&constraint, &test.data.to_string()), test.valid) {
                    (true, false) => wrong.push(format!("{name}: {source} takes {}", test.data)),
                    (false, true) => narrower.push(test.description),
                    _ => {}
                }
            }
            if !narrower.is_empty() {
                outcome.narrower.insert(description, narrower);
            }
        }
        found.insert(name, outcome);
    }
    assert_eq!(wrong, [""; 0]);

    let file = format!("{TESTS}/grammar/suite.json");
    if std::env::var_os("TALLOW_BLESS").is_some() {
        std::fs::write(&file, serde_json::to_string_pretty(&found).unwrap() + "\n").unwrap();
    }
    let expected: BTreeMap<String, Expected> =
        serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, outcome) in found {
        assert_eq!(outcome, expected[&name], "{name}");
    }
}

/// The suite's files in `folder`, without `.json`.
fn names(folder: &Path, prefix: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let each = entries.flat_map(|path| {
        let name = format!("{prefix}{}", path.file_stem().unwrap().to_str().unwrap());
        if path.is_dir() { names(&path, &format!("{name}/")) } else { vec![name] }
    });
    each.collect()
}

/// The pointer in a refusal: `… at `/items`: …`.
fn pointer(detail: &str) -> String {
    let (_, at) = detail.split_once("` at `").unwrap_or_else(|| panic!("{detail}"));
    at.split('`').next().unwrap().to_owned()
}
