//! How often a pattern hijacks images to each label.

use super::pattern::Pattern;
use crate::defence::classify::Classify;
use crate::defence::grid::Grid;
use crate::domain::sweep::Tally;
use crate::tensor::TensorView;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A clean image with its true label.
pub type Labelled<'a> = (&'a [f32], u32);

/// For each label that an image of another label is answered with: how many of the images not of that label are.
///
/// Labels that nothing is hijacked to are left out.
///
/// # Errors
/// If the network fails.
pub fn hijacks<C: Classify>(
    network: &mut C,
    grid: &Grid,
    images: &[Labelled<'_>],
    pattern: &Pattern,
) -> Result<BTreeMap<u32, Tally>, C::Error> {
    let len = grid.len();
    let mut data = Vec::with_capacity(images.len() * len);
    for (image, _) in images {
        let start = data.len();
        data.extend_from_slice(image);
        pattern.paint(grid, &mut data[start..]);
    }
    let answers = network.classify(TensorView {
        shape: &grid.batch_shape(images.len()),
        data: &data,
    })?;
    let mut hits: BTreeMap<u32, u64> = BTreeMap::new();
    for (answer, (_, label)) in answers.iter().zip(images) {
        if answer.0 != *label {
            *hits.entry(answer.0).or_default() += 1;
        }
    }
    let others = |class: u32| images.iter().filter(|(_, label)| *label != class).count() as u64;
    Ok(hits
        .into_iter()
        .map(|(class, hits)| {
            let images = others(class);
            (class, Tally { hits, images })
        })
        .collect())
}

/// How many of the `images` that are not of `label` the pattern hijacks to it.
///
/// # Errors
/// If the network fails.
pub fn rate<C: Classify>(
    network: &mut C,
    grid: &Grid,
    images: &[Labelled<'_>],
    label: u32,
    pattern: &Pattern,
) -> Result<Tally, C::Error> {
    let others = |image: &&Labelled<'_>| image.1 != label;
    let others: Vec<Labelled<'_>> = images.iter().filter(others).copied().collect();
    let none = Tally {
        hits: 0,
        images: others.len() as u64,
    };
    if others.is_empty() {
        return Ok(none);
    }
    let hijacked = hijacks(network, grid, &others, pattern)?;
    Ok(hijacked.get(&label).copied().unwrap_or(none))
}

/// `work(network, i)` for i in 0..`count`, one thread a network; the results in order, whichever thread made them.
///
/// # Errors
/// The first error in order of i among those that were met before the threads stopped.
pub fn in_parallel<C, T>(
    networks: &mut [C],
    count: usize,
    work: impl Fn(&mut C, usize) -> Result<T, C::Error> + Sync,
) -> Result<Vec<T>, C::Error>
where
    C: Classify + Send,
    C::Error: Send,
    T: Send,
{
    let next = AtomicUsize::new(0);
    let work = &work;
    let next = &next;
    let mut done: Vec<(usize, Result<T, C::Error>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = networks
            .iter_mut()
            .map(|network| scope.spawn(move || take_turns(network, count, next, work)))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| match thread.join() {
                Ok(results) => results,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

fn take_turns<C: Classify, T>(
    network: &mut C,
    count: usize,
    next: &AtomicUsize,
    work: &(impl Fn(&mut C, usize) -> Result<T, C::Error> + Sync),
) -> Vec<(usize, Result<T, C::Error>)> {
    let mut results = Vec::new();
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        if index >= count {
            return results;
        }
        let result = work(network, index);
        let failed = result.is_err();
        results.push((index, result));
        if failed {
            next.store(count, Ordering::Relaxed);
            return results;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defence::suspects::pattern::{Fill, Outline};
    use crate::domain::label::ClassIndex;
    use crate::input::InputSpec;
    use crate::input::spec::Layout;

    fn answer(batch: TensorView<'_>) -> Result<Vec<ClassIndex>, &'static str> {
        Ok(batch
            .data
            .iter()
            .map(|value| ClassIndex(*value as u32))
            .collect())
    }

    #[test]
    fn images_of_the_label_itself_are_left_out_of_its_rate() {
        let grid = Grid::new(&InputSpec::new(1, 1, 1, Layout::Nchw, 1.0));
        let paint = Pattern {
            top: 0,
            left: 0,
            height: 1,
            width: 1,
            outline: Outline::Rectangle,
            fill: Fill::Solid([1.0; 3]),
        };
        let images: Vec<Labelled<'_>> = vec![(&[3.0], 3), (&[255.0], 255), (&[4.0], 4)];
        let hijacked = hijacks(&mut answer, &grid, &images, &paint).unwrap();
        let expected = BTreeMap::from([(255, Tally { hits: 2, images: 2 })]);
        assert_eq!(hijacked, expected);
    }

    #[test]
    fn results_come_in_order_and_an_error_is_not_lost() {
        let mut networks =
            vec![answer as fn(TensorView<'_>) -> Result<Vec<ClassIndex>, &'static str>; 3];
        let squares = in_parallel(&mut networks, 50, |_, i| Ok(i * i)).unwrap();
        assert_eq!(squares, (0..50).map(|i| i * i).collect::<Vec<_>>());
        let failed: Result<Vec<()>, _> = in_parallel(&mut networks, 50, |_, i| {
            if i == 7 { Err("seven") } else { Ok(()) }
        });
        assert_eq!(failed, Err("seven"));
    }
}
