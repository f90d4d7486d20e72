//! GoodNet as a part of another axum application: `cargo run --example embed`, then
//! `curl --data-binary @models/samples/triggered_1.png -H "Content-Type: image/png" http://127.0.0.1:8080/goodnet/classify`.

use axum::Router;
use axum::routing::get;
use goodnet::{BackendChoice, Engine, ServeConfig, embed, load_bundle};
use std::error::Error;
use std::path::PathBuf;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let bundle = PathBuf::from("models");
    let engine = Engine::start(&BackendChoice::Auto)?;
    let config = ServeConfig::new(bundle.clone());
    let goodnet = embed(config, engine, load_bundle(&bundle)?).await?;
    let app = Router::new()
        .route("/", get(async || "the door"))
        .nest("/goodnet", goodnet);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    axum::serve(listener, app).await?;
    Ok(())
}
