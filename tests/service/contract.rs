//! `openapi.yaml`, to hold answers against.

use serde_json::{Value, json};
use std::path::PathBuf;

/// The contract of the repository.
pub struct Contract(Value);

impl Contract {
    pub fn path() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("openapi.yaml")
    }

    /// The document of the code, which another test holds against the committed one.
    pub fn read() -> Self {
        Self(goodnet::serve::routes::openapi::json().unwrap())
    }

    pub fn knows(&self, method: &str, path: &str) -> bool {
        self.operation(method, path).is_some()
    }

    fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        self.0["paths"].get(path)?.get(method.to_ascii_lowercase())
    }

    /// The example of the operation's good answer; null where it has none.
    pub fn example(&self, method: &str, path: &str) -> &Value {
        let operation = self.operation(method, path).unwrap();
        &operation["responses"]["200"]["content"]["application/json"]["example"]
    }

    /// Fails unless the operation answers with this status, type and form.
    pub fn check(&self, method: &str, path: &str, status: u16, kind: &str, body: &Value) {
        let operation = self.operation(method, path).unwrap();
        let content = &operation["responses"][status.to_string()]["content"];
        let schema = &content[kind]["schema"];
        assert!(
            schema.is_object(),
            "{method} {path} {status} {kind} is not in the contract"
        );
        let mut schema = schema.clone();
        schema["components"] = self.0["components"].clone();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(body)
            .map(|e| format!("{}: {e}", e.instance_path()))
            .collect();
        assert!(
            errors.is_empty(),
            "{method} {path} {status}: {errors:?} in {}",
            json!(body)
        );
    }
}
