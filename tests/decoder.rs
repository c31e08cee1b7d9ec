//! What others use to read the wire format: the JSON Schema and the Python example, held against the fixtures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn fixture(name: &str) -> PathBuf {
    root().join("tests/data/wire/v2").join(name)
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// The same, with numbers as the 32-bit ones that the wire has.
fn rounded(value: &Value) -> Value {
    match value {
        Value::Number(n) if n.is_f64() => Value::from(n.as_f64().unwrap() as f32),
        Value::Array(a) => a.iter().map(rounded).collect(),
        Value::Object(o) => o.iter().map(|(k, v)| (k.clone(), rounded(v))).collect(),
        other => other.clone(),
    }
}

#[test]
fn the_python_example_reads_every_fixture() {
    let expected: Vec<_> =
        lines(&std::fs::read_to_string(fixture("events.jsonl")).unwrap()).iter().map(rounded).collect();
    for (form, name) in [("text", "events.txt"), ("binary", "events.bin"), ("binary", "records.bin")] {
        let out =
            Command::new("python3").arg(root().join("examples/mercam_decode.py")).arg(form).arg(fixture(name)).output();
        let out = out.unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let got: Vec<_> = lines(std::str::from_utf8(&out.stdout).unwrap()).iter().map(rounded).collect();
        assert_eq!(got, expected, "{name}");
    }
}

#[test]
fn the_python_example_passes_over_damage() {
    let dir = tempfile::tempdir().unwrap();
    for (form, name) in [("text", "events.txt"), ("binary", "events.bin")] {
        let mut bytes = std::fs::read(fixture(name)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x21;
        bytes.splice(0..0, b"noise \x00\x01\xff\n".iter().copied());
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let out = Command::new("python3").arg(root().join("examples/mercam_decode.py")).arg(form).arg(&path).output();
        let out = out.unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        assert_eq!(lines(std::str::from_utf8(&out.stdout).unwrap()).len(), 8, "one of nine is damaged: {name}");
    }
}

/// The part of JSON Schema (draft 2020-12) that our schema uses. A keyword that is not known here is an error, so that
/// none is passed over.
fn check(schema: &Value, root: &Value, value: &Value, at: &str) -> Result<(), String> {
    let fail = |what: String| Err(format!("{at}: {what}"));
    let Some(schema) = schema.as_object() else {
        return if schema == &Value::Bool(true) { Ok(()) } else { fail("must not be there".into()) };
    };
    for (key, rule) in schema {
        match key.as_str() {
            "$schema" | "$id" | "$defs" | "title" | "description" => {}
            "$ref" => {
                let target = rule.as_str().unwrap().strip_prefix('#').unwrap();
                check(root.pointer(target).unwrap_or_else(|| panic!("{target}")), root, value, at)?;
            }
            "type" => {
                let fits = match rule.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "number" => value.is_number(),
                    other => panic!("type {other}"),
                };
                if !fits {
                    return fail(format!("is no {rule}"));
                }
            }
            "const" => {
                if value != rule {
                    return fail(format!("is not {rule}"));
                }
            }
            "enum" => {
                if !rule.as_array().unwrap().contains(value) {
                    return fail(format!("is none of {rule}"));
                }
            }
            "minimum" | "maximum" => {
                let (Some(v), limit) = (value.as_f64(), rule.as_f64().unwrap()) else { continue };
                if (key == "minimum" && v < limit) || (key == "maximum" && v > limit) {
                    return fail(format!("{v} is beyond the {key} {limit}"));
                }
            }
            "minLength" | "maxLength" => {
                let Some(text) = value.as_str() else { continue };
                let (n, limit) = (text.chars().count() as u64, rule.as_u64().unwrap());
                if (key == "minLength" && n < limit) || (key == "maxLength" && n > limit) {
                    return fail(format!("{n} characters, {key} {limit}"));
                }
            }
            "required" => {
                for name in rule.as_array().unwrap() {
                    if value.get(name.as_str().unwrap()).is_none() {
                        return fail(format!("{name} is missing"));
                    }
                }
            }
            "properties" => {
                for (name, inner) in rule.as_object().unwrap() {
                    if let Some(v) = value.get(name) {
                        check(inner, root, v, &format!("{at}/{name}"))?;
                    }
                }
            }
            "additionalProperties" => {
                let known = schema.get("properties").and_then(Value::as_object);
                for (name, v) in value.as_object().into_iter().flatten() {
                    if !known.is_some_and(|k| k.contains_key(name)) {
                        check(rule, root, v, &format!("{at}/{name}"))?;
                    }
                }
            }
            "propertyNames" => {
                for name in value.as_object().into_iter().flatten().map(|(name, _)| name) {
                    check(rule, root, &Value::from(name.as_str()), at)?;
                }
            }
            "items" => {
                for (i, v) in value.as_array().into_iter().flatten().enumerate() {
                    check(rule, root, v, &format!("{at}/{i}"))?;
                }
            }
            "oneOf" => {
                let results: Vec<_> = rule.as_array().unwrap().iter().map(|one| check(one, root, value, at)).collect();
                if results.iter().filter(|r| r.is_ok()).count() != 1 {
                    return fail(format!("not exactly one form fits: {results:?}"));
                }
            }
            other => panic!("keyword {other} is not known to this test"),
        }
    }
    Ok(())
}

/// The forms refuse what they do not name, so that a key that is sent and not described is found here; receivers are
/// told to pass over what they do not know.
#[test]
fn the_schema_takes_every_fixture_and_describes_every_key() {
    let text = std::fs::read_to_string(root().join("docs/reference/wire.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&text).unwrap();
    let events = lines(&std::fs::read_to_string(fixture("events.jsonl")).unwrap());
    for event in &events {
        check(&schema, &schema, event, "").unwrap_or_else(|e| panic!("{event}: {e}"));
    }
    // It is able to refuse.
    for (key, wrong) in [
        ("v", Value::from(1)),
        ("run", Value::from(12)),
        ("kind", Value::from("cake")),
        ("class", Value::from(7)),
        ("component", Value::from("ear")),
        ("blood_pressure", Value::from(120)),
    ] {
        let mut event = events[3].clone();
        event[key] = wrong;
        assert!(check(&schema, &schema, &event, "").is_err(), "{key}");
    }
    for key in ["device", "seq", "onset", "model", "relations"] {
        let mut event = events[3].clone();
        event.as_object_mut().unwrap().remove(key);
        assert!(check(&schema, &schema, &event, "").is_err(), "without {key}");
    }
}
