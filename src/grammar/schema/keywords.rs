//! The keywords of JSON Schema, by what their values are.

/// What a keyword's value is.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Schema,
    Schemas,
    SchemaOrSchemas,
    SchemasByName,
    Count,
    Number,
    NumberOrFlag,
    Text,
    Pattern,
    Texts,
    Type,
    Values,
    Value,
    /// What `otherwise.rs` says by other keywords, where it can.
    Otherwise,
    /// Schemas that only count where they are referred to.
    Definitions,
    Note,
    /// What an answer can't be kept to.
    Missing,
}

pub(super) fn kind(keyword: &str) -> Kind {
    match keyword {
        "items" => Kind::SchemaOrSchemas,
        "additionalItems" | "additionalProperties" | "unevaluatedItems" | "unevaluatedProperties" => {
            Kind::Schema
        }
        "prefixItems" | "anyOf" | "oneOf" | "allOf" => Kind::Schemas,
        "properties" | "patternProperties" => Kind::SchemasByName,
        "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" => {
            Kind::Count
        }
        "minimum" | "maximum" | "multipleOf" => Kind::Number,
        "exclusiveMinimum" | "exclusiveMaximum" => Kind::NumberOrFlag,
        "format" | "$ref" => Kind::Text,
        "pattern" => Kind::Pattern,
        "required" => Kind::Texts,
        "type" => Kind::Type,
        "enum" => Kind::Values,
        "const" => Kind::Value,
        "$defs" | "definitions" => Kind::Definitions,
        "not" | "uniqueItems" | "propertyNames" | "dependentRequired" => Kind::Otherwise,
        "if" | "then" | "else" | "contains" | "minContains" | "maxContains" | "dependencies"
        | "dependentSchemas" | "$dynamicRef" | "$recursiveRef" => Kind::Missing,
        _ => Kind::Note,
    }
}
