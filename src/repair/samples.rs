//! Images stored in the bundle: for a person to try, and for the service's self-test.

use super::error::RepairError;
use super::evaluate::{BatchClasses, BundleNetworks};
use crate::bundle::manifest::{SampleKind, SampleRecord};
use crate::domain::label::ClassIndex;
use crate::domain::verdict::disagreement;
use crate::input::dataset::DataSet;
use crate::input::image::RgbImage8;
use image::ImageEncoder;

/// Images looked through for good samples.
const CANDIDATES: usize = 256;

/// A sample and its file's bytes.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) record: SampleRecord,
    pub(super) png: Vec<u8>,
}

/// Up to `count` samples of `data`: clean ones that B answers rightly and no drop flags, of different labels, or
/// triggered ones that B answers with their target, those that most drops flag first.
///
/// Data whose pixels are not whole numbers 0..255 yields none: they have no image file that gives the same tensor.
pub(super) fn choose(
    data: &DataSet,
    kind: SampleKind,
    networks: &BundleNetworks,
    classes: u32,
    count: usize,
) -> Result<Vec<Sample>, RepairError> {
    let Some(batch) = data.batches(CANDIDATES).next().transpose()? else {
        return Ok(Vec::new());
    };
    let BatchClasses { badnet, pruned, .. } = networks.answers(&batch.images)?;
    let mut records: Vec<(usize, SampleRecord)> = batch
        .labels
        .iter()
        .enumerate()
        .filter(|&(index, &label)| badnet[index] == label)
        .map(|(index, &label)| {
            let verdicts = pruned
                .iter()
                .map(|p| disagreement(ClassIndex(badnet[index]), ClassIndex(p[index]), classes).0)
                .collect();
            let record = SampleRecord {
                file: String::new(),
                kind,
                label,
                badnet: badnet[index],
                verdicts,
            };
            (index, record)
        })
        .collect();
    let flags = |record: &SampleRecord| record.verdicts.iter().filter(|&&v| v == classes).count();
    match kind {
        SampleKind::Clean => {
            records.retain(|(_, record)| flags(record) == 0);
            let mut seen = std::collections::BTreeSet::new();
            records.retain(|(_, record)| seen.insert(record.label));
        }
        SampleKind::Triggered => {
            records.sort_by_key(|(index, record)| (std::cmp::Reverse(flags(record)), *index));
        }
    }
    let chosen = records.into_iter().take(count).enumerate();
    let samples = chosen.map(|(number, (index, mut record))| {
        let name = match kind {
            SampleKind::Clean => "clean",
            SampleKind::Triggered => "triggered",
        };
        record.file = format!("samples/{name}_{}.png", number + 1);
        let Some(picture) = data.raw8(index as u64)? else {
            return Ok(None);
        };
        let png = encode(&picture)?;
        Ok(Some(Sample { record, png }))
    });
    samples.filter_map(Result::transpose).collect()
}

fn encode(picture: &RgbImage8) -> Result<Vec<u8>, RepairError> {
    let mut png = Vec::new();
    image::codecs::png::PngEncoder::new(&mut png)
        .write_image(
            &picture.pixels,
            picture.width,
            picture.height,
            image::ExtendedColorType::Rgb8,
        )
        .map_err(|error| RepairError::Report(error.to_string()))?;
    Ok(png)
}
