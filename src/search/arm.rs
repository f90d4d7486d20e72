//! One guided search: stand-ins of a family for a label, bred from the best of them.

use super::family::Family;
use super::stand_in::StandIn;
use super::trial::LabelTrial;
use crate::defence::grid::Grid;
use crate::defence::random::Draws;
use std::sync::Arc;

/// Stand-ins that children are bred from.
const PARENTS: usize = 8;
/// Children of a generation.
pub(super) const CHILDREN: usize = 14;
/// A parent is asked again until it was seen on this many images.
const ENOUGH_IMAGES: u64 = 32;
/// Weight of the size against the margin.
const SIZE_WEIGHT: f32 = 0.4;
/// Generations without [`PROGRESS`] after which an arm is at rest.
const fn patience(family: Family) -> usize {
    match family {
        Family::Bar | Family::Patch => 10,
        _ => 6,
    }
}

/// A better score by less than this is no progress.
const PROGRESS: f32 = 0.01;

/// A stand-in and how it fared.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    /// The stand-in.
    pub(super) stand_in: Arc<StandIn>,
    /// What was seen of it.
    pub(super) record: LabelTrial,
}

impl Member {
    /// What the search climbs: the mean clipped margin, less for size.
    #[must_use]
    pub(super) fn fitness(&self, grid: &Grid) -> f32 {
        let size = self.stand_in.size(grid) / typical_size(self.stand_in.family());
        self.record.score() - SIZE_WEIGHT * size
    }
}

/// A size that random stand-ins of the family have, so that the size weighs alike in all families.
fn typical_size(family: Family) -> f32 {
    match family {
        Family::Rectangle => 0.2,
        Family::Patch => 0.035,
        Family::Bar => 0.083,
        Family::Blend => 0.25,
        Family::Wave => 0.1,
        Family::Warp => 0.04,
    }
}

/// The search of a label in a family.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Arm {
    /// The label.
    pub(super) label: u32,
    /// The family.
    pub(super) family: Family,
    /// Best first.
    pub(super) members: Vec<Member>,
    best: f32,
    idle: usize,
}

impl Arm {
    /// An arm without members.
    #[must_use]
    pub(super) fn new(label: u32, family: Family) -> Self {
        Self {
            label,
            family,
            members: Vec::new(),
            best: f32::NEG_INFINITY,
            idle: 0,
        }
    }

    /// Takes up a member, if it is among the best.
    pub(super) fn offer(&mut self, member: Member, grid: &Grid) {
        let fitness = member.fitness(grid);
        let place = self
            .members
            .partition_point(|other| other.fitness(grid) >= fitness);
        if place < PARENTS {
            self.members.insert(place, member);
            self.members.truncate(PARENTS);
        }
    }

    /// How promising it is: the mean fitness of its four best members.
    #[must_use]
    pub(super) fn promise(&self, grid: &Grid) -> f32 {
        let best = &self.members[..self.members.len().min(4)];
        if best.is_empty() {
            return f32::NEG_INFINITY;
        }
        best.iter().map(|member| member.fitness(grid)).sum::<f32>() / best.len() as f32
    }

    /// The best member.
    #[must_use]
    pub(super) fn best(&self) -> Option<&Member> {
        self.members.first()
    }

    /// Has it made no progress for as long as its family is worth?
    #[must_use]
    pub(super) fn is_at_rest(&self) -> bool {
        self.idle >= patience(self.family)
    }

    /// What the next generation asks: its parents that were seen on few images, then new children.
    pub(super) fn next_generation(
        &self,
        grid: &Grid,
        step: f32,
        draws: &mut Draws,
    ) -> Vec<Candidate> {
        let mut candidates: Vec<Candidate> = self
            .members
            .iter()
            .enumerate()
            .filter(|(_, member)| member.record.hijacked.images < ENOUGH_IMAGES)
            .map(|(place, member)| Candidate {
                parent: Some(place),
                stand_in: Arc::clone(&member.stand_in),
            })
            .collect();
        if self.members.is_empty() {
            return candidates;
        }
        candidates.extend((0..CHILDREN).map(|_| {
            let (first, second) = (
                draws.below(self.members.len()),
                draws.below(self.members.len()),
            );
            let (first, second) = (
                &self.members[first].stand_in,
                &self.members[second].stand_in,
            );
            Candidate {
                parent: None,
                stand_in: Arc::new(first.mutate(second, grid, step, draws)),
            }
        }));
        candidates
    }

    /// Takes up what a generation showed.
    pub(super) fn finish_generation(&mut self, seen: Vec<(Candidate, LabelTrial)>, grid: &Grid) {
        let mut members = std::mem::take(&mut self.members);
        let mut children = Vec::new();
        for (candidate, record) in seen {
            match candidate.parent {
                Some(place) => members[place].record.add(&record),
                None => children.push(Member {
                    stand_in: candidate.stand_in,
                    record,
                }),
            }
        }
        for member in members.into_iter().chain(children) {
            self.offer(member, grid);
        }
        let promise = self.promise(grid);
        if promise > self.best + PROGRESS {
            self.best = promise;
            self.idle = 0;
        } else {
            self.idle += 1;
        }
    }
}

/// A stand-in to be tried in a generation.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    /// Which member it is; none for a child.
    parent: Option<usize>,
    pub(super) stand_in: Arc<StandIn>,
}
