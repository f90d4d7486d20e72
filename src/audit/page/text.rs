//! Escaping, and labels by number and name.

use crate::audit::report::Report;

/// Characters of a label's name that are shown at most.
const MOST_NAME: usize = 60;

/// `text` as HTML, for text and for attributes in double quotes. Everything that may hold a stranger's text goes through here.
///
/// Characters that nobody sees or that turn the direction of text become U+FFFD: a name cannot pass for another one.
pub(super) fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            hidden if is_hidden(hidden) => html.push('\u{fffd}'),
            plain => html.push(plain),
        }
    }
    html
}

fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

/// A label's number and, where known, its name: `3 “stop sign”`. Escaped.
pub(super) fn label(report: &Report, label: u32) -> String {
    match name(report, label) {
        Some(name) => format!("{label} “{name}”"),
        None => label.to_string(),
    }
}

/// A label's name, where known, escaped; a long one is cut.
pub(super) fn name(report: &Report, label: u32) -> Option<String> {
    let names = report.network.names.as_deref()?;
    Some(cut(names.get(label as usize)?, MOST_NAME))
}

/// The first `most` characters of `text`, escaped.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return escape(text);
    }
    let start: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", escape(start.trim_end()))
}

/// The text of `html` without its tags.
#[cfg(test)]
pub(super) fn plain(html: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for character in html.chars() {
        match character {
            '<' => inside = true,
            '>' => inside = false,
            shown if !inside => text.push(shown),
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::page::sample::backdoored;

    #[test]
    fn markup_is_escaped_for_text_and_attributes() {
        assert_eq!(
            escape(r#"<a href="x" id='y'>&amp;</a>"#),
            "&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;amp;&lt;/a&gt;"
        );
        assert_eq!(escape("Ärger, 日本 – “ok”"), "Ärger, 日本 – “ok”");
    }

    #[test]
    fn characters_that_deceive_are_shown_as_unknown() {
        assert_eq!(
            escape("a\u{202e}gnp.exe\0\n"),
            "a\u{fffd}gnp.exe\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn labels_have_a_number_and_where_known_a_name() {
        let mut report = backdoored();
        report.network.names = None;
        assert_eq!(label(&report, 3), "3");
        report.network.names = Some(vec!["<b>".to_owned(), "x".repeat(200)]);
        assert_eq!(label(&report, 0), "0 “&lt;b&gt;”");
        assert_eq!(label(&report, 1).chars().count(), 2 + 2 + MOST_NAME);
        assert_eq!(
            label(&report, 9),
            "9",
            "a list that is too short names fewer"
        );
    }
}
