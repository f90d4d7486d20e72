//! How the stand-in of a suspect label looks, and where on the image it works.

use super::png;
use super::report::{Example, HeatMap, Suspect};
use crate::defence::grid::Grid;
use crate::domain::held_out::spread_out;
use crate::input::InputSpec;
use crate::input::spec::ColorOrder;
use crate::parallel::in_parallel;
use crate::search::trial::try_on;
use crate::search::{CleanImages, Evidence, Network, StandIn, Watch};
use crate::tensor::TensorView;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Clean images shown before and after.
const EXAMPLES: usize = 3;
/// Places along each axis of a heat map.
const PLACES: usize = 8;
/// Images tried at each place.
const PLACE_IMAGES: usize = 8;

/// Files by name.
pub type Pictures = BTreeMap<String, Vec<u8>>;

/// Forward passes that showing `evidence` takes, at most.
#[must_use]
pub fn most_passes(evidence: &Evidence) -> usize {
    match evidence.family.is_local() {
        true => EXAMPLES + PLACES * PLACES * PLACE_IMAGES,
        false => EXAMPLES,
    }
}

/// Forward passes that showing `suspect` took.
#[must_use]
pub fn passes(suspect: &Suspect) -> usize {
    let map = suspect.heat_map.as_ref();
    suspect.examples.len() + map.map_or(0, |map| map.rates.len() * map.images)
}

/// Shows `evidence`, from which a label has its score; pictures are added to `pictures`.
///
/// # Errors
/// If a network fails.
pub fn suspect<C: Network>(
    networks: &mut [C],
    (clean, spec): (&CleanImages<'_>, &InputSpec),
    (evidence, score): (&Evidence, f64),
    pictures: &mut Pictures,
    watch: &dyn Watch,
) -> Result<Suspect, C::Error> {
    let (grid, label) = (clean.grid(), evidence.label);
    let others: Vec<usize> = (0..clean.len())
        .filter(|&index| {
            clean.answers[index] != label && clean.answers[index] == clean.label(index)
        })
        .collect();
    let name = |what: &str| format!("label_{label}_{what}.png");
    let grey = grey(grid);
    let mut painted = Vec::new();
    evidence.stand_in.paint(grid, &grey, &mut painted);
    let stand_in_png = name("stand_in");
    pictures.insert(stand_in_png.clone(), picture(spec, grid, &painted));
    let mut examples = Vec::new();
    for (number, &index) in spread_out(&others, EXAMPLES).iter().enumerate() {
        let image = clean.image(index);
        let mut painted = Vec::new();
        evidence.stand_in.paint(grid, image, &mut painted);
        let example = Example {
            before_png: name(&format!("{}_before", number + 1)),
            before: clean.answers[index],
            after_png: name(&format!("{}_after", number + 1)),
            after: answer(&mut networks[0], grid, &painted)?,
        };
        watch.advance(1);
        pictures.insert(example.before_png.clone(), picture(spec, grid, image));
        pictures.insert(example.after_png.clone(), picture(spec, grid, &painted));
        examples.push(example);
    }
    Ok(Suspect {
        label,
        score,
        bounds: evidence.stand_in.bounds(grid),
        heat_map: heat_map(networks, clean, &others, evidence, watch)?,
        evidence: evidence.clone(),
        stand_in_png,
        examples,
    })
}

fn answer<C: Network>(network: &mut C, grid: &Grid, image: &[f32]) -> Result<u32, C::Error> {
    let response = network.respond(TensorView {
        shape: &grid.batch_shape(1),
        data: image,
    })?;
    Ok(crate::domain::scores::argmax(response.scores.row(0)).0)
}

fn heat_map<C: Network>(
    networks: &mut [C],
    clean: &CleanImages<'_>,
    others: &[usize],
    evidence: &Evidence,
    watch: &dyn Watch,
) -> Result<Option<HeatMap>, C::Error> {
    let grid = clean.grid();
    let [_, _, rows, columns] = evidence.stand_in.bounds(grid);
    let place = |number: usize, length: usize, side: usize| {
        number * (length - side.min(length)) / (PLACES - 1)
    };
    let mut moved: Vec<Arc<StandIn>> = Vec::new();
    for row in 0..PLACES {
        for column in 0..PLACES {
            let (top, left) = (
                place(row, grid.height, rows),
                place(column, grid.width, columns),
            );
            moved.extend(evidence.stand_in.moved_to(top, left, grid).map(Arc::new));
        }
    }
    let images = spread_out(others, PLACE_IMAGES);
    if moved.is_empty() || images.is_empty() {
        return Ok(None);
    }
    let rates = in_parallel(networks, moved.len(), |network, index| {
        let trial = try_on(network, clean, &moved[index], &images, &[evidence.label])?;
        watch.advance(images.len());
        Ok(trial.labels[0].hijacked.share())
    })?;
    Ok(Some(HeatMap {
        rows: PLACES,
        columns: PLACES,
        rates,
        images: images.len(),
    }))
}

/// An image of medium grey.
fn grey(grid: &Grid) -> Vec<f32> {
    let mut image = vec![0.0; grid.len()];
    for channel in 0..grid.channels {
        let value = grid.value(channel, 0.5);
        for row in 0..grid.height {
            for column in 0..grid.width {
                image[grid.index(channel, row, column)] = value;
            }
        }
    }
    image
}

/// What the network is fed, as a PNG file; empty where there is no such picture (other than 1 or 3 channels).
fn picture(spec: &InputSpec, grid: &Grid, image: &[f32]) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(grid.len());
    for row in 0..grid.height {
        for column in 0..grid.width {
            for channel in 0..grid.channels {
                let channel = match spec.color {
                    ColorOrder::Bgr => grid.channels - 1 - channel,
                    ColorOrder::Rgb | ColorOrder::Grey => channel,
                };
                let (black, white) = (grid.value(channel, 0.0), grid.value(channel, 1.0));
                let intensity = (image[grid.index(channel, row, column)] - black) / (white - black);
                pixels.push((intensity.clamp(0.0, 1.0) * 255.0).round() as u8);
            }
        }
    }
    png::encode(&pixels, grid.channels, grid.height, grid.width).unwrap_or_default()
}
