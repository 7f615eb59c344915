//! What the patterns of a case mean, and which of them an output leaves unmet.

use serde_json::Value;

use super::form::Wishes;

/// The wishes that `lines` do not grant, a sentence each; none if all is well.
pub(super) fn unmet(wishes: &Wishes, lines: &[Value]) -> Vec<String> {
    let mut reasons: Vec<String> = first_out_of_order(&wishes.in_order, lines).into_iter().collect();
    let occurrences = |pattern: &Value| lines.iter().filter(|line| matches(pattern, line)).count();
    for pattern in &wishes.some {
        if occurrences(pattern) == 0 {
            reasons.push(format!("no line matches {pattern}"));
        }
    }
    for pattern in &wishes.never {
        if occurrences(pattern) > 0 {
            reasons.push(format!("a line matches what must never be: {pattern}"));
        }
    }
    for (wanted, pattern) in &wishes.count {
        let found = occurrences(pattern);
        if found != *wanted {
            reasons.push(format!("{found} lines match, {wanted} wanted: {pattern}"));
        }
    }
    reasons
}

/// The first pattern that no line matches after the lines of the patterns before it.
///
/// Each pattern takes the first line it can: what is left for the next ones is then as much as can be.
fn first_out_of_order(patterns: &[Value], lines: &[Value]) -> Option<String> {
    let mut rest = lines.iter();
    let mut before = "the beginning".to_owned();
    for pattern in patterns {
        if !rest.any(|line| matches(pattern, line)) {
            return Some(format!("after {before} no line matches {pattern}"));
        }
        before = pattern.to_string();
    }
    None
}

/// Whether `line` has what `pattern` asks: of an object the keys that are named, of a list each element in its
/// place, of `tags` at least the elements that are named. Numbers compare as numbers: 5 is 5.0.
fn matches(pattern: &Value, line: &Value) -> bool {
    match (pattern, line) {
        (Value::Object(wanted), Value::Object(found)) => wanted.iter().all(|(key, value)| {
            let compare = if key == "tags" { contains } else { matches };
            found.get(key).is_some_and(|there| compare(value, there))
        }),
        (Value::Array(wanted), Value::Array(found)) => {
            wanted.len() == found.len() && wanted.iter().zip(found).all(|(w, f)| matches(w, f))
        }
        (Value::Number(wanted), Value::Number(found)) => {
            wanted.as_f64().partial_cmp(&found.as_f64()) == Some(std::cmp::Ordering::Equal)
        }
        (wanted, found) => wanted == found,
    }
}

/// Whether each element of the list `wanted` is somewhere in the list `found`.
fn contains(wanted: &Value, found: &Value) -> bool {
    let (Value::Array(wanted), Value::Array(found)) = (wanted, found) else {
        return false;
    };
    wanted
        .iter()
        .all(|tag| found.iter().any(|there| matches(tag, there)))
}
