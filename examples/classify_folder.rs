//! Answers every file of a folder: `cargo run --example classify_folder -- models/samples`.

use goodnet::{BackendChoice, Classifier, Engine, load_bundle};
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("expected a folder")?;
    let engine = Engine::start(&BackendChoice::Auto)?;
    let classifier = Classifier::new(&engine, load_bundle(Path::new("models"))?, None, None)?;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        match classifier.classify(std::fs::read(&path)?) {
            Ok(answer) if answer.flagged => println!("{}: flagged", path.display()),
            Ok(answer) => println!("{}: class {}", path.display(), answer.class),
            Err(error) => println!("{}: {error}", path.display()),
        }
    }
    Ok(())
}
