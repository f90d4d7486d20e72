//! What the caller says of a network where its file leaves it open: which output, how large an image.

use super::error::OnnxError;
use super::model::{Dim, Model, ValueInfo};

impl Model {
    /// Keeps the output `name` alone.
    ///
    /// # Errors
    /// [`OnnxError::NotAClassifier`] if there is no such output.
    pub fn choose_output(&mut self, name: &str) -> Result<(), OnnxError> {
        let outputs = &self.graph.outputs;
        let Some(at) = outputs.iter().position(|output| output.name == name) else {
            let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
            return Err(OnnxError::NotAClassifier {
                expected: format!("an output named {name}"),
                found: names.join(", "),
            });
        };
        self.graph.outputs = vec![self.graph.outputs.swap_remove(at)];
        self.graph.remove_unused();
        Ok(())
    }

    /// Sets the height and width of the only input, where the file leaves them open.
    ///
    /// # Errors
    /// [`OnnxError::NotAClassifier`] if the input is no image (n, C, H, W) or (n, H, W, C) with C of 1 or 3, or the file has
    /// another size.
    pub fn choose_input_size(&mut self, [height, width]: [usize; 2]) -> Result<(), OnnxError> {
        let fail = |found: &str| OnnxError::NotAClassifier {
            expected: format!("an image input that can be {height} x {width}"),
            found: found.to_owned(),
        };
        let [input] = self.graph.inputs.as_mut_slice() else {
            return Err(fail("another number of inputs"));
        };
        let found = describe(input);
        let Some([_, sides @ ..]) = input.shape.as_deref_mut() else {
            return Err(fail(&found));
        };
        let is_color = |dim: &Dim| matches!(dim, Dim::Fixed(1 | 3));
        let sides = match sides {
            [channels, sides @ ..] if sides.len() == 2 && is_color(channels) => sides,
            [sides @ .., channels] if sides.len() == 2 && is_color(channels) => sides,
            _ => return Err(fail(&found)),
        };
        for (side, wanted) in sides.iter_mut().zip([height, width]) {
            match side {
                Dim::Fixed(known) if *known != wanted => return Err(fail(&found)),
                side => *side = Dim::Fixed(wanted),
            }
        }
        // What the file states of inner tensors is of any size.
        self.graph.value_info.clear();
        Ok(())
    }
}

fn describe(input: &ValueInfo) -> String {
    let extent = |dim: &Dim| match dim {
        Dim::Fixed(extent) => extent.to_string(),
        Dim::Symbol(name) => name.clone(),
        Dim::Unknown => "?".to_owned(),
    };
    let shape = input.shape.iter().flatten().map(extent);
    format!("{} ({})", input.name, shape.collect::<Vec<_>>().join(", "))
}
