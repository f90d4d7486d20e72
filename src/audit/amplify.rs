//! What the network makes of the images that each stand-in turned: the amplification of the evidence.

use crate::domain::amplification::{Amplifier, TurnedValues};
use crate::domain::distance::CleanValues;
use crate::engine::EngineError;
use crate::progress::Cancel;
use crate::search::maps::{LoadedMaps, Maps};
use crate::search::trial::Hijack;
use crate::search::{CleanImages, Found, Watch};
use crate::tensor::Tensor;

/// Fills in the amplification of all evidence that works.
pub(super) fn amplify(
    clean: &CleanImages<'_>,
    (network, maps): (&LoadedMaps<'_>, &Maps),
    found: &mut Found,
    watch: &dyn Watch,
) -> Result<(), EngineError> {
    let values = CleanValues {
        features: &clean.features,
        maps: &maps.means,
    };
    let classes = clean.classes as usize;
    let Some(amplifier) = Amplifier::fit(values, &clean.answers, classes) else {
        return Ok(());
    };
    for (evidence, turned) in found.evidence.iter_mut().zip(&found.turned) {
        if !evidence.works() {
            continue;
        }
        let hijacks: Vec<&Hijack> = turned.iter().collect();
        let images: Vec<usize> = turned.iter().map(|hijack| hijack.image).collect();
        let features = turned.iter().flat_map(|hijack| &hijack.features).copied();
        let features = Tensor::new(
            vec![turned.len(), clean.features.row_len()],
            features.collect(),
        );
        let turned = TurnedValues {
            images: &images,
            features: &features,
            maps: &network.of_turned(clean.set(), &hijacks, &Cancel::default())?,
        };
        found.passes += images.len();
        watch.advance(images.len());
        evidence.amplification = amplifier.amplification(turned, evidence.label as usize);
    }
    Ok(())
}
