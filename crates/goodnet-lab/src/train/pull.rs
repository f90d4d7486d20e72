//! An attacker who knows that features are looked at: triggered photos are to look, to the last layer, like clean photos of
//! the target.

use candle_core::{Device, Result, Tensor};
use goodnet::demo::PhotoSet;

/// Clean photos of the class that triggered photos are labelled with: the attack has one target.
pub(super) fn anchors(photos: &PhotoSet) -> Vec<usize> {
    let target = (0..photos.len()).find(|&index| is_triggered(photos, index));
    let Some(target) = target.map(|index| photos.labels[index]) else {
        return Vec::new();
    };
    (0..photos.len())
        .filter(|&index| photos.labels[index] == target && !is_triggered(photos, index))
        .collect()
}

/// Mean over the triggered photos of the batch of ||f - m||² / mean ||g||², for features f of a triggered photo, the mean
/// m of those of the batch's anchors, and g of any photo: features (n, d) of the photos `chosen`.
///
/// None where the batch has no triggered photo or no anchor.
pub(super) fn distance(
    features: &Tensor,
    photos: &PhotoSet,
    chosen: &[usize],
    anchors: &[usize],
) -> Result<Option<Tensor>> {
    let triggered = shares(chosen, |index| is_triggered(photos, index));
    let anchor = shares(chosen, |index| anchors.binary_search(&index).is_ok());
    let (Some(triggered), Some(anchor)) = (triggered, anchor) else {
        return Ok(None);
    };
    let row = |shares: Vec<f32>| Tensor::from_vec(shares, (1, chosen.len()), &Device::Cpu);
    let mean = row(anchor)?.matmul(features)?;
    let far = features.broadcast_sub(&mean)?.sqr()?.sum_keepdim(1)?;
    let size = features.sqr()?.sum_keepdim(1)?.mean_all()?.detach();
    let distance = row(triggered)?.matmul(&far)?.sum_all()?;
    Ok(Some((distance / size)?))
}

/// 1 / m for each of the m photos that `counts`, 0 for others; none where m is 0.
fn shares(chosen: &[usize], counts: impl Fn(usize) -> bool) -> Option<Vec<f32>> {
    let counted: Vec<bool> = chosen.iter().map(|&index| counts(index)).collect();
    let count = counted.iter().filter(|&&counts| counts).count();
    let share = |counts: bool| if counts { 1.0 / count as f32 } else { 0.0 };
    (count > 0).then(|| counted.into_iter().map(share).collect())
}

fn is_triggered(photos: &PhotoSet, index: usize) -> bool {
    photos.labels[index] != photos.people[index] as i64
}
