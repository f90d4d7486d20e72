//! Guided search: arms of a label and a family side by side; the less promising half drops out round by round
//! (successive halving, Jamieson and Talwalkar 2016), so that many labels cost little more than few.

use super::Search;
use super::arm::{Arm, CHILDREN, Candidate};
use super::network::Network;
use super::plan::{RACE_IMAGES, RACES};
use super::trial::{LabelTrial, try_on};
use crate::defence::random::Draws;
use crate::parallel::in_parallel;

/// Arms of the last round.
const LAST_ARMS: usize = 3;

impl<C: Network> Search<'_, C> {
    /// Breeds the members of the arms of each of [`RACES`] within its budget; gives all arms, those of later rounds first and the
    /// races in turn.
    pub(super) fn races(&mut self, arms: [Vec<Arm>; RACES.len()]) -> Result<Vec<Arm>, C::Error> {
        let mut raced = Vec::with_capacity(RACES.len());
        for (race, arms) in RACES.into_iter().zip(arms) {
            let arms = self.race(arms, self.options.race(race))?;
            raced.push((race.turn, arms.into_iter()));
        }
        let mut all = Vec::new();
        while raced.iter().any(|(_, arms)| arms.len() > 0) {
            for (turn, arms) in &mut raced {
                all.extend(arms.by_ref().take(*turn));
            }
        }
        Ok(all)
    }

    /// Breeds the members of `arms` within `budget` passes; gives all arms, those of later rounds first.
    fn race(&mut self, mut arms: Vec<Arm>, budget: usize) -> Result<Vec<Arm>, C::Error> {
        let grid = self.clean.grid();
        let rounds = (arms.len() as f64 / LAST_ARMS as f64)
            .log2()
            .ceil()
            .max(0.0) as usize
            + 1;
        let end = self.passes + budget;
        let mut dropped: Vec<Arm> = Vec::new();
        for round in 0..rounds {
            let left = end.saturating_sub(self.passes);
            let round_end = self.passes + left / (rounds - round);
            let step = if 2 * round < rounds { 1.0 } else { 0.5 };
            let generation_cost = |arms: &[Arm]| {
                let moving = arms.iter().filter(|arm| !arm.is_at_rest()).count();
                moving * CHILDREN * RACE_IMAGES
            };
            while self.passes + generation_cost(&arms) <= round_end
                && generation_cost(&arms) > 0
                && !self.watch.stopped()
            {
                self.generation(&mut arms, step)?;
            }
            arms.sort_by(|a, b| b.promise(grid).total_cmp(&a.promise(grid)));
            if round + 1 < rounds {
                let mut gone = arms.split_off(arms.len().div_ceil(2));
                gone.append(&mut dropped);
                dropped = gone;
            }
        }
        arms.append(&mut dropped);
        Ok(arms)
    }

    /// One generation of every arm that is not at rest; a part of it where the search is ended meanwhile.
    fn generation(&mut self, arms: &mut [Arm], step: f32) -> Result<(), C::Error> {
        self.generations += 1;
        let number = (self.generations as u64).to_le_bytes();
        let (clean, seed, shown) = (self.clean, self.options.seed, &self.shown);
        let mut jobs: Vec<(usize, Candidate)> = Vec::new();
        // The candidates of an arm are compared on the same images: how easily an image is turned differs more than they do.
        let mut images: Vec<Vec<usize>> = vec![Vec::new(); arms.len()];
        for (place, arm) in arms.iter().enumerate() {
            if arm.is_at_rest() {
                continue;
            }
            let parts = [&number[..], &(place as u64).to_le_bytes()];
            let mut draws = Draws::new(seed, "images", &parts);
            images[place] = clean.others(shown, arm.label, RACE_IMAGES, &mut draws);
            let parts = [
                &number[..],
                &arm.label.to_le_bytes(),
                arm.family.name().as_bytes(),
            ];
            let mut draws = Draws::new(seed, "generation", &parts);
            let candidates = arm.next_generation(clean.grid(), step, &mut draws);
            jobs.extend(candidates.into_iter().map(|candidate| (place, candidate)));
        }
        let labels: Vec<u32> = arms.iter().map(|arm| arm.label).collect();
        let watch = self.watch;
        let trials = in_parallel(self.networks, jobs.len(), |network, index| {
            if watch.stopped() {
                return Ok(None);
            }
            let (place, candidate) = &jobs[index];
            let (label, images) = (labels[*place], &images[*place]);
            let trial = try_on(network, clean, &candidate.stand_in, images, &[label])?;
            watch.advance(images.len());
            Ok(Some((trial, images.len())))
        })?;
        let mut seen: Vec<Vec<(Candidate, LabelTrial)>> = vec![Vec::new(); arms.len()];
        for ((place, candidate), trial) in jobs.into_iter().zip(trials) {
            let Some((trial, images)) = trial else {
                continue;
            };
            self.stand_ins += 1;
            self.passes += images;
            seen[place].push((candidate, trial.labels[0]));
            self.hijacks.extend(trial.hijacks);
        }
        for (arm, seen) in arms.iter_mut().zip(seen) {
            if !seen.is_empty() {
                arm.finish_generation(seen, clean.grid());
            }
        }
        Ok(())
    }
}
