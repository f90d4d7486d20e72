//! First look: random stand-ins on random clean images, every label watched at once.

use super::Search;
use super::arm::{Arm, Member};
use super::family::Family;
use super::network::Network;
use super::plan::{RACES, SURVEY_IMAGES};
use super::stand_in::StandIn;
use super::trial::{Trial, try_on};
use crate::defence::random::Draws;
use crate::parallel::in_parallel;
use std::sync::Arc;

/// Stand-ins tried before their results are taken up: bounds the memory that 1283 labels take.
const CHUNK: usize = 64;

impl<C: Network> Search<'_, C> {
    /// Tries random stand-ins of every family; gives the most promising arms of each of [`RACES`], the best first.
    pub(super) fn survey(&mut self) -> Result<[Vec<Arm>; RACES.len()], C::Error> {
        let labels: Vec<u32> = (0..self.clean.classes).collect();
        let mut of_families: Vec<Vec<Arm>> = Family::ALL
            .iter()
            .map(|&family| {
                labels
                    .iter()
                    .map(|&label| Arm::new(label, family))
                    .collect()
            })
            .collect();
        let counts = Family::ALL.map(|family| self.options.survey(family));
        let most = counts.into_iter().max().unwrap_or(0);
        // A chunk of each family in turn: a search that is ended early has seen something of all of them.
        for start in (0..most).step_by(CHUNK) {
            for (of_family, (family, count)) in of_families
                .iter_mut()
                .zip(Family::ALL.into_iter().zip(counts))
            {
                if self.watch.stopped() {
                    break;
                }
                let numbers: Vec<usize> = (start..count.min(start + CHUNK)).collect();
                for (stand_in, trial) in self.try_random(family, &numbers, &labels)? {
                    self.take_survey(of_family, &stand_in, trial);
                }
            }
        }
        let grid = self.clean.grid();
        let mut seen: Vec<Arm> = of_families.into_iter().flatten().collect();
        seen.retain(|arm| !arm.members.is_empty());
        Ok(RACES.map(|race| {
            let (mut arms, others) = std::mem::take(&mut seen)
                .into_iter()
                .partition::<Vec<Arm>, _>(|arm| race.families.contains(&arm.family));
            seen = others;
            arms.sort_by(|a, b| b.promise(grid).total_cmp(&a.promise(grid)));
            arms.truncate(race.most_arms);
            arms
        }))
    }

    /// The random stand-ins of these numbers, each tried; fewer where the search is ended meanwhile.
    fn try_random(
        &mut self,
        family: Family,
        numbers: &[usize],
        labels: &[u32],
    ) -> Result<Vec<(Arc<StandIn>, Trial)>, C::Error> {
        let (clean, seed, shown) = (self.clean, self.options.seed, &self.shown);
        let watch = self.watch;
        let found = in_parallel(self.networks, numbers.len(), |network, index| {
            if watch.stopped() {
                return Ok(None);
            }
            let number = (numbers[index] as u64).to_le_bytes();
            let mut draws = Draws::new(seed, "survey", &[family.name().as_bytes(), &number]);
            let stand_in = Arc::new(StandIn::random(family, clean.grid(), &mut draws));
            let chosen = draws.sample(shown.len(), SURVEY_IMAGES);
            let images: Vec<usize> = chosen.into_iter().map(|place| shown[place]).collect();
            let trial = try_on(network, clean, &stand_in, &images, labels)?;
            watch.advance(images.len());
            Ok(Some((stand_in, trial)))
        })?;
        let found: Vec<_> = found.into_iter().flatten().collect();
        self.passes += found.len() * SURVEY_IMAGES.min(shown.len());
        self.stand_ins += found.len();
        Ok(found)
    }

    fn take_survey(&mut self, arms: &mut [Arm], stand_in: &Arc<StandIn>, trial: Trial) {
        let grid = self.clean.grid();
        for (arm, record) in arms.iter_mut().zip(&trial.labels) {
            if record.hijacked.images > 0 {
                let member = Member {
                    stand_in: Arc::clone(stand_in),
                    record: *record,
                };
                arm.offer(member, grid);
            }
        }
        self.hijacks.extend(trial.hijacks);
    }
}
