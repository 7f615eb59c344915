//! What turns the text that plotters writes into a document that may be put into a page.

/// Escapes a text for XML and HTML, in content and in quoted attributes. Control characters that XML
/// does not allow become spaces.
#[must_use]
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control() && !matches!(c, '\t' | '\n' | '\r') => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Adds to a drawing of plotters what it cannot write: the style sheet with the font, the role and the
/// label for readers without eyes.
#[must_use]
pub(crate) fn finish(drawing: &str, label: &str) -> String {
    let label = escape(label);
    let opening = format!("<svg role=\"img\" aria-label=\"{label}\" ");
    let named = drawing.replacen("<svg ", &opening, 1);
    format!("<?xml-stylesheet type=\"text/css\" href=\"/assets/svg.css\"?>\n{named}")
}

/// Adds further elements at the end of a drawing, on top of all others.
#[must_use]
pub(crate) fn overlay(drawing: &str, elements: &str) -> String {
    match drawing.rfind("</svg>") {
        Some(end) => {
            let (body, tail) = drawing.split_at(end);
            format!("{body}{elements}{tail}")
        }
        None => drawing.to_owned(),
    }
}
