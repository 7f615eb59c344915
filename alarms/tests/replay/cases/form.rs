//! The form of a `.case` file.
//!
//! What stands before the first section is the head: what the text asks, in a sentence or two, with its source and
//! the doubts. Then follow sections, each opened by a line of its own:
//!
//! ```text
//! --- rules              the rules, complete, TOML
//! --- input              the input, JSON lines
//! --- until 60           the last second, whole seconds; absent: replay ends at the last `at`
//! --- file tight.toml    a further file beside the input
//! --- expect             patterns that match lines of the output in this order; other lines may stand between
//! --- some               patterns that each match at least one line, in no order
//! --- never              patterns that match no line
//! --- count              a number and a pattern: exactly so many lines match
//! --- refused 12         instead of the four above: an input error that names line 12; without a number, any error
//! ```
//!
//! In the four sections of patterns an empty line, and one that begins with `#`, is a remark.

use serde_json::Value;
use telemetry::time::Span;

/// One case: what goes into replay, and what has to come out.
pub(super) struct Case {
    /// The rules file.
    pub(super) rules: String,
    /// The input file.
    pub(super) input: String,
    /// Where the run ends, on the clock of the input.
    pub(super) until: Option<Span>,
    /// Further files beside the input: name and text.
    pub(super) files: Vec<(String, String)>,
    /// What has to come out.
    pub(super) wanted: Wanted,
}

/// What has to come out of replay.
pub(super) enum Wanted {
    /// An output that grants each of the wishes.
    Output(Wishes),
    /// An error, which names this line of the input.
    Refused(Option<u64>),
}

/// What the lines of an output are held to.
#[derive(Default)]
pub(super) struct Wishes {
    /// Matched in this order.
    pub(super) in_order: Vec<Value>,
    /// Each matched somewhere.
    pub(super) some: Vec<Value>,
    /// Each matched nowhere.
    pub(super) never: Vec<Value>,
    /// Each matched exactly so often.
    pub(super) count: Vec<(usize, Value)>,
}

struct Section<'t> {
    title: &'t str,
    lines: Vec<&'t str>,
}

impl Section<'_> {
    /// The text, without the empty lines that part it from the next section.
    fn text(&self) -> String {
        format!("{}\n", self.lines.join("\n").trim_end())
    }

    fn patterns(&self) -> Result<Vec<Value>, String> {
        self.statements().map(pattern).collect()
    }

    fn counts(&self) -> Result<Vec<(usize, Value)>, String> {
        self.statements()
            .map(|line| {
                let (number, rest) = line
                    .split_once(' ')
                    .ok_or_else(|| format!("no number before {line}"))?;
                let number = number
                    .parse::<usize>()
                    .map_err(|e| format!("how often, in {line}: {e}"))?;
                Ok((number, pattern(rest)?))
            })
            .collect()
    }

    fn statements(&self) -> impl Iterator<Item = &str> {
        self.lines
            .iter()
            .map(|line| line.trim())
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
    }
}

/// Reads one case.
///
/// # Errors
/// A sentence about what of the form the file breaks.
pub(super) fn parse(text: &str) -> Result<Case, String> {
    let (mut rules, mut input, mut until, mut refused) = (None, None, None, None);
    let mut files = Vec::new();
    let mut wishes = Wishes::default();
    for section in sections(text) {
        match section.title.split_once(' ').unwrap_or((section.title, "")) {
            ("rules", "") => rules = Some(section.text()),
            ("input", "") => input = Some(section.text()),
            ("until", seconds) => until = Some(span(seconds)?),
            ("file", name) if !name.is_empty() => files.push((name.to_owned(), section.text())),
            ("expect", "") => wishes.in_order.extend(section.patterns()?),
            ("some", "") => wishes.some.extend(section.patterns()?),
            ("never", "") => wishes.never.extend(section.patterns()?),
            ("count", "") => wishes.count.extend(section.counts()?),
            ("refused", "") => refused = Some(None),
            ("refused", line) => refused = Some(Some(number(line)?)),
            _ => return Err(format!("no section is called {:?}", section.title)),
        }
    }
    Ok(Case {
        rules: rules.ok_or("the section rules is missing")?,
        input: input.ok_or("the section input is missing")?,
        until,
        files,
        wanted: refused.map_or(Wanted::Output(wishes), Wanted::Refused),
    })
}

fn sections(text: &str) -> Vec<Section<'_>> {
    let mut found: Vec<Section<'_>> = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("--- ") {
            found.push(Section {
                title: title.trim(),
                lines: Vec::new(),
            });
        } else if let Some(section) = found.last_mut() {
            section.lines.push(line);
        }
    }
    found
}

fn span(seconds: &str) -> Result<Span, String> {
    let ms = number(seconds)?
        .checked_mul(1000)
        .ok_or_else(|| format!("{seconds} s is too long"))?;
    Ok(Span::from_millis(ms))
}

fn number(text: &str) -> Result<u64, String> {
    text.trim()
        .parse::<u64>()
        .map_err(|e| format!("{text:?} is no whole number: {e}"))
}

fn pattern(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|e| format!("the pattern {text} is not JSON: {e}"))
}
