//! Takes channels out of a network: `cargo run -p goodnet-onnx --example prune_graph -- badnet.onnx 0,7 pruned.onnx`.

use goodnet_onnx::prune::prune;
use goodnet_onnx::site::{default_site, expose};
use goodnet_onnx::{ChannelMask, Model, prepare};
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let [network, channels, out] = std::env::args()
        .skip(1)
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| "expected a network, channels and a file to write")?;
    let removed: Vec<usize> = channels
        .split(',')
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let network = prepare(&Model::load(Path::new(&network))?)?;
    let (network, site) = expose(&network, &default_site(&network)?);
    let mask = ChannelMask::removing(site.channels, &removed)?;
    let pruned = prune(&network, &site, &mask);
    pruned.model.save(Path::new(&out))?;
    println!(
        "{out}: {} of {} channels {}",
        removed.len(),
        site.channels,
        pruned.method
    );
    Ok(())
}
