//! Networks of TensorFlow that are not read: the command that makes ONNX of them.

use std::path::Path;

/// The operator set that tf2onnx is asked for.
const OPSET: u32 = 17;

/// Why a directory of a SavedModel is refused.
pub(super) fn saved_model(path: &Path) -> String {
    command("a SavedModel of TensorFlow", "--saved-model", path)
}

/// Why a TensorFlow Lite file is refused.
pub(super) fn tflite(path: &Path) -> String {
    command("a TensorFlow Lite file", "--tflite", path)
}

fn command(found: &str, option: &str, path: &Path) -> String {
    format!(
        "expected ONNX or Keras, found {found}; run: python -m tf2onnx.convert {option} {} --opset {OPSET} --output network.onnx",
        quoted(&path.display().to_string())
    )
}

/// As a POSIX shell takes it.
fn quoted(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+=@%:,".contains(letter);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn names_with_blanks_and_quotes_are_one_word_of_a_shell() {
        assert_eq!(quoted("models/net-1.tflite"), "models/net-1.tflite");
        assert_eq!(quoted("my net's"), "'my net'\\''s'");
    }
}
