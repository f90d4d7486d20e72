//! The numbers of a tensor in JSON, flat or nested.

use serde::de::{Deserialize, DeserializeSeed, Deserializer, SeqAccess, Visitor};
use std::fmt;

/// Numbers in lists, in the order in which they are written.
///
/// Read straight into FP32: a list of lists costs no more memory than the numbers in it. The parser bounds the nesting,
/// the body's length the count.
#[derive(Debug, Default)]
pub(super) struct Numbers(pub(super) Vec<f32>);

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut values = Vec::new();
        deserializer.deserialize_seq(Lists(&mut values))?;
        Ok(Self(values))
    }
}

/// Appends the numbers of a list, or of the lists in it.
struct Lists<'a>(&'a mut Vec<f32>);

impl<'de> DeserializeSeed<'de> for Lists<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Lists<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("numbers in lists")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Lists(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.0.push(value as f32);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.0.push(value as f32);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.0.push(value as f32);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flat_and_nested_lists_hold_the_same_numbers() {
        for text in [
            "[1,-2,0.5,4]",
            "[[1,-2],[0.5,4]]",
            "[[[1],[-2]],[],[0.5,4]]",
        ] {
            let Numbers(values) = serde_json::from_str(text).unwrap();
            assert_eq!(values, [1.0, -2.0, 0.5, 4.0], "{text}");
        }
    }

    #[test]
    fn what_is_no_number_in_a_list_is_refused() {
        let deep = format!("{}1{}", "[".repeat(1000), "]".repeat(1000));
        for text in [
            "1", "\"a\"", "[\"a\"]", "[true]", "[null]", "[{}]", "[1e999]", &deep,
        ] {
            assert!(serde_json::from_str::<Numbers>(text).is_err(), "{text}");
        }
    }
}
