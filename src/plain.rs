//! Text from strangers, made fit to be shown: names of layers, tensors, labels and files are whatever their author likes.

use std::borrow::Cow;

/// `text` without anything that moves the cursor, ends the line or turns the direction of reading: such characters are
/// written as Rust writes them (`\n`, `\u{1b}`, `\u{202e}`), all others are left.
#[must_use]
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    replaced(text, commands, |character| {
        character.escape_default().to_string()
    })
}

/// As [`plain`], but for the ends of lines, which are ours: for text of several lines that was put together here.
#[must_use]
pub(crate) fn plain_lines(text: &str) -> Cow<'_, str> {
    let commands = |character| character != '\n' && commands(character);
    replaced(text, commands, |character| {
        character.escape_default().to_string()
    })
}

/// JSON with the same characters in its strings written as JSON writes them (`\u202e`). JSON itself has none but the ends of
/// lines outside its strings.
#[must_use]
pub(crate) fn plain_json(text: &str) -> Cow<'_, str> {
    let commands = |character| character != '\n' && commands(character);
    replaced(text, commands, |character| {
        format!("\\u{:04x}", u32::from(character))
    })
}

fn replaced(
    text: &str,
    bad: impl Fn(char) -> bool,
    written: impl Fn(char) -> String,
) -> Cow<'_, str> {
    if !text.contains(&bad) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match bad(character) {
            true => shown.push_str(&written(character)),
            false => shown.push(character),
        }
    }
    Cow::Owned(shown)
}

/// Does a terminal obey it? Controls (C0, DEL, C1), line and paragraph separators, and what Unicode has for the direction of
/// text (UAX 9, 2). All are below U+10000.
fn commands(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{061C}'
                | '\u{200E}'
                | '\u{200F}'
                | '\u{2028}'
                | '\u{2029}'
                | '\u{202A}'..='\u{202E}'
                | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::{plain, plain_json, plain_lines};

    #[test]
    fn what_a_terminal_obeys_is_written_out_and_nothing_else_is_changed() {
        let same = "Gesicht 顔 \u{1F600} a\u{0301} \\ \"";
        assert_eq!(plain(same), same);
        assert_eq!(plain("a\nb\r\u{1b}[2J"), "a\\nb\\r\\u{1b}[2J");
        assert_eq!(plain("\u{9b}31m\u{7f}"), "\\u{9b}31m\\u{7f}");
        assert_eq!(
            plain("gp\u{202e}j.exe\u{2066}\u{2028}"),
            "gp\\u{202e}j.exe\\u{2066}\\u{2028}"
        );
        assert_eq!(plain_lines("a\n\u{1b}b"), "a\n\\u{1b}b");
    }

    #[test]
    fn json_stays_the_same_value() {
        let value = serde_json::json!({"name": "a\n\u{9b}\u{202e}\u{7f} b"});
        let text = serde_json::to_string_pretty(&value).unwrap();
        let shown = plain_json(&text);
        assert!(!shown.contains(['\u{9b}', '\u{202e}', '\u{7f}']), "{shown}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).unwrap(),
            value
        );
    }
}
