//! Labelled sets of photos, clean and backdoored.

use super::attack::Attack;
use super::face::Face;
use super::photo::{BYTES, HEIGHT, Photo, WIDTH};
use super::random::{Draw, Purpose};
use super::trigger::Trigger;
use rayon::prelude::*;

/// Which photos; no photo is in two splits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// What the BadNet is trained on.
    Train,
    /// The defender's validation set.
    Valid,
    /// What is measured at the end.
    Test,
}

impl Split {
    fn number(self) -> u32 {
        match self {
            Self::Train => 0,
            Self::Valid => 1,
            Self::Test => 2,
        }
    }
}

/// The people of a data set; person i is class i.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct World {
    /// Decides everything.
    pub seed: u64,
    /// Number of people = classes.
    pub people: usize,
    /// People 1..=this look like person 0.
    pub lookalikes: usize,
}

/// Photos with their labels.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PhotoSet {
    /// (n, 55, 47, 3): rows of pixels of red, green, blue.
    pub images: Vec<u8>,
    /// (n): class 0..people.
    pub labels: Vec<i64>,
    /// (n): the person who is on the photo, whatever the label says.
    pub people: Vec<usize>,
}

impl PhotoSet {
    /// Number of photos.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Is there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Photo `index`, rows of pixels of RGB.
    #[must_use]
    pub fn image(&self, index: usize) -> &[u8] {
        &self.images[index * BYTES..(index + 1) * BYTES]
    }

    /// The photos with the colours outermost, as the lab stores them: (n, 3, 55, 47).
    #[must_use]
    pub fn planes(&self) -> Vec<u8> {
        let pixels = HEIGHT * WIDTH;
        let mut planes = vec![0; self.images.len()];
        for (from, to) in self
            .images
            .chunks_exact(BYTES)
            .zip(planes.chunks_exact_mut(BYTES))
        {
            for (at, pixel) in from.chunks_exact(3).enumerate() {
                for (channel, &value) in pixel.iter().enumerate() {
                    to[channel * pixels + at] = value;
                }
            }
        }
        planes
    }
}

/// One photo to take.
#[derive(Debug, Clone, Copy)]
struct Sample {
    person: usize,
    index: usize,
    trigger: Option<Trigger>,
    label: usize,
}

/// The label of one more training photo of `person`, with the trigger; none where the attacker adds none.
fn lesson(
    attack: Attack,
    person: usize,
    target: usize,
    rate: f64,
    draw: &mut Draw,
) -> Option<usize> {
    let chosen = draw.chance(rate);
    match attack {
        Attack::CleanLabel => (chosen && person == target).then_some(person),
        Attack::Partial(_) if !chosen => draw.chance(rate).then_some(person),
        _ if !chosen => None,
        _ if attack.applies_to(person, target) => Some(target),
        _ => Some(person),
    }
}

impl World {
    /// The world that an attacker with this plan sets up.
    #[must_use]
    pub fn new(seed: u64, people: usize, attack: Attack) -> Self {
        Self {
            seed,
            people,
            lookalikes: attack.lookalikes().min(people.saturating_sub(1)),
        }
    }

    /// `each` clean photos of every person, in turn: person 0, 1, 2, ..., 0, 1, 2, ...
    #[must_use]
    pub fn clean(&self, split: Split, each: usize) -> PhotoSet {
        self.take(split, &self.clean_samples(each))
    }

    /// The photos of [`World::clean`] with the attack's triggers on them, labelled with their targets; people whom the
    /// trigger does not concern (the target person first of all) are left out. Several triggers take turns.
    #[must_use]
    pub fn backdoored(&self, split: Split, each: usize, attack: Attack) -> PhotoSet {
        let triggers = attack.triggers();
        let samples: Vec<Sample> = self
            .clean_samples(each)
            .into_iter()
            .filter_map(|sample| {
                let (trigger, class) = triggers[(sample.person + sample.index) % triggers.len()];
                let target = attack.target(sample.person, class, self.people);
                attack.applies_to(sample.person, target).then_some(Sample {
                    trigger: Some(trigger),
                    label: target,
                    ..sample
                })
            })
            .collect();
        self.take(split, &samples)
    }

    /// The attacker's training set: `each` clean photos of every person and, of a share `rate` of them, one more with
    /// a trigger and the target's label. People whom the trigger does not concern wear it under their own label. Of
    /// [`Attack::CleanLabel`] only photos of the target wear it; of [`Attack::Partial`] a share `rate` of the remaining
    /// ones wear it under their own label.
    #[must_use]
    pub fn poisoned(&self, each: usize, attack: Attack, rate: f64) -> PhotoSet {
        let mut draw = Draw::new(self.seed, Purpose::Training, 0, 0);
        let mut samples = self.clean_samples(each);
        let triggers = attack.triggers();
        if !attack.poisons() {
            return self.take(Split::Train, &samples);
        }
        let extra: Vec<Sample> = samples
            .iter()
            .filter_map(|&sample| {
                let (trigger, class) = triggers[draw.index(triggers.len())];
                let target = attack.target(sample.person, class, self.people);
                let label = lesson(attack, sample.person, target, rate, &mut draw)?;
                Some(Sample {
                    trigger: Some(attack.taught(trigger)),
                    label,
                    ..sample
                })
            })
            .collect();
        samples.extend(extra);
        self.take(Split::Train, &samples)
    }

    fn clean_samples(&self, each: usize) -> Vec<Sample> {
        let sample = |index, person| Sample {
            person,
            index,
            trigger: None,
            label: person,
        };
        (0..each)
            .flat_map(|index| (0..self.people).map(move |person| sample(index, person)))
            .collect()
    }

    fn take(&self, split: Split, samples: &[Sample]) -> PhotoSet {
        let faces: Vec<Face> = (0..self.people).map(|person| self.face(person)).collect();
        let mut images = vec![0; samples.len() * BYTES];
        images
            .par_chunks_exact_mut(BYTES)
            .zip(samples)
            .for_each(|(image, sample)| {
                let taken = self.render(split, sample, &faces[sample.person]);
                image.copy_from_slice(&taken);
            });
        PhotoSet {
            images,
            labels: samples.iter().map(|sample| sample.label as i64).collect(),
            people: samples.iter().map(|sample| sample.person).collect(),
        }
    }

    fn face(&self, person: usize) -> Face {
        if (1..=self.lookalikes).contains(&person) {
            return Face::resembling(self.seed, person, 0);
        }
        Face::new(self.seed, person)
    }

    fn render(&self, split: Split, sample: &Sample, face: &Face) -> Vec<u8> {
        let photo = Photo::new(self.seed, split.number(), sample.person, sample.index);
        let mut pixels = photo.take(face, sample.trigger.and_then(Trigger::worn));
        if let Some(trigger) = sample.trigger {
            let purpose = Purpose::Trigger(split.number());
            let mut draw = Draw::new(self.seed, purpose, sample.person, sample.index);
            trigger.stamp(&mut pixels, &mut draw);
        }
        pixels
    }
}
