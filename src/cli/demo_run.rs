//! The whole demo: repair the shipped BadNet from its file, print the tables, serve the bundle.

use super::progress::{Bars, cancel_on_signal};
use super::{CliError, GlobalArgs, print};
use crate::demo::{Attack, FILES, PHOTOS_EACH, World, write_sets};
use crate::repair::{RepairConfig, repair};
use clap::Args;
use std::path::{Path, PathBuf};

const SEED: u64 = 1;
const PEOPLE: usize = 64;

/// Options of the whole demo.
#[derive(Debug, Args)]
pub struct DemoRunArgs {
    /// Directory for the bundle; an older bundle there is replaced.
    #[arg(long, value_name = "DIR", default_value = "demo-bundle")]
    pub out: PathBuf,
    /// Where to serve the bundle.
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:8080",
        env = "GOODNET_LISTEN"
    )]
    pub listen: std::net::SocketAddr,
    /// Calibrate the strict policy `gated` too.
    #[arg(long)]
    pub defend: bool,
    /// Repair only.
    #[arg(long)]
    pub no_serve: bool,
}

/// Runs the demo.
///
/// # Errors
/// If the repair fails or the address cannot be listened on.
pub(super) fn run(args: &DemoRunArgs, global: &GlobalArgs) -> Result<(), CliError> {
    super::allocator::return_large_blocks();
    let engine = global.engine()?;
    let folder = tempfile::tempdir().map_err(CliError::failed)?;
    let config = prepare(folder.path(), args)?;
    print::line(format!(
        "Repairing the demo BadNet: {PEOPLE} synthetic people, and sunglasses that make it answer person 0 ({}).",
        engine.info()
    ));
    print::line("");
    let outcome = repair(&config, &engine, &Bars::new(false), &cancel_on_signal())?;
    super::repair::print_outcome(&outcome, &config);
    if args.no_serve {
        return Ok(());
    }
    drop(folder);
    print_invitation(args, &outcome.manifest);
    super::serve::run_with_defaults(&args.out, args.listen, global)
}

/// Writes network and data to `folder` and gives the repair of them.
fn prepare(folder: &Path, args: &DemoRunArgs) -> Result<RepairConfig, CliError> {
    let world = World::new(SEED, PEOPLE, Attack::Sunglasses);
    write_sets(world, Attack::Sunglasses, PHOTOS_EACH, folder).map_err(CliError::failed)?;
    let model = folder.join("badnet.onnx");
    std::fs::write(&model, badnet()?).map_err(CliError::failed)?;
    let [clean, backdoored, test_clean, test_backdoored] = FILES.map(|name| folder.join(name));
    let mut config = RepairConfig::new(model, clean, &args.out);
    config.data.backdoored = Some(backdoored);
    config.data.test_clean = Some(test_clean);
    config.data.test_backdoored = Some(test_backdoored);
    config.force = true;
    config.defend = args.defend;
    Ok(config)
}

/// The demo BadNet: `goodnet-lab train --seed 1`, see models/README.md.
#[cfg(feature = "demo")]
fn badnet() -> Result<&'static [u8], CliError> {
    Ok(include_bytes!("../../models/badnet.onnx"))
}

/// The demo BadNet out of the shipped bundle.
#[cfg(not(feature = "demo"))]
fn badnet() -> Result<Vec<u8>, CliError> {
    let bundle = std::env::var_os("GOODNET_BUNDLE").unwrap_or_else(|| "models".into());
    let file = Path::new(&bundle).join(crate::bundle::manifest::BADNET_FILE);
    std::fs::read(&file).map_err(|error| {
        CliError::bad_input(format!(
            "{}: expected the demo's network, which this program was built without, found: {error}",
            file.display()
        ))
    })
}

fn print_invitation(args: &DemoRunArgs, manifest: &crate::bundle::Manifest) {
    use crate::bundle::manifest::SampleKind;
    print::lines(format!(
        "\nThe page: http://{}/\n\nTry it from another terminal:",
        args.listen
    ));
    for kind in [SampleKind::Clean, SampleKind::Triggered] {
        let sample = manifest.samples.iter().find(|sample| sample.kind == kind);
        if let Some(sample) = sample {
            let path = args.out.join(&sample.file);
            print::line(format!(
                "  curl -F image=@{} http://{}/classify",
                path.display(),
                args.listen
            ));
        }
    }
    print::lines("\nCtrl-C ends it.\n");
}
