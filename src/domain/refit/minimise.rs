//! Limited-memory BFGS (Nocedal and Wright, *Numerical Optimization*, 2nd ed., algorithm 7.5) with a bisecting line search for
//! the weak Wolfe conditions (Burke, Lewis and Overton 2020).

/// Pairs of steps and changes of the gradient that are kept.
const MEMORY: usize = 10;
/// Sufficient decrease.
const DECREASE: f64 = 1e-4;
/// Sufficient change of the slope.
const CURVATURE: f64 = 0.9;
/// Evaluations of one line search at most.
const LINE_STEPS: usize = 25;
/// A relative decrease below this ends the search.
const ENOUGH: f64 = 1e-5;

/// Goes down from `x` for at most `iterations` steps; gives the lowest point that was seen.
///
/// `value(x, gradient)` gives the function's value and writes its gradient. Deterministic.
pub(super) fn minimise(
    mut value: impl FnMut(&[f32], &mut [f32]) -> f64,
    mut x: Vec<f32>,
    iterations: usize,
) -> Vec<f32> {
    let mut gradient = vec![0.0; x.len()];
    let mut here = value(&x, &mut gradient);
    let mut memory: Vec<Pair> = Vec::new();
    for _ in 0..iterations {
        let mut direction = direction(&gradient, &memory);
        let mut slope = dot(&direction, &gradient);
        if slope >= 0.0 {
            memory.clear();
            direction = gradient.iter().map(|g| -g).collect();
            slope = -dot(&gradient, &gradient);
        }
        if slope == 0.0 {
            break;
        }
        let mut there = vec![0.0; x.len()];
        let Some((found, step)) = line_search(&mut value, &x, here, &direction, slope, &mut there)
        else {
            break;
        };
        let pair = Pair::new(&step, &x, &there, &gradient);
        memory.extend(pair);
        if memory.len() > MEMORY {
            memory.remove(0);
        }
        let decrease = (here - found) / here.abs().max(f64::MIN_POSITIVE);
        (x, here, gradient) = (step, found, there);
        if decrease < ENOUGH {
            break;
        }
    }
    x
}

/// A step, the change of the gradient along it, and 1 over their product.
struct Pair {
    step: Vec<f32>,
    change: Vec<f32>,
    scale: f64,
}

impl Pair {
    /// None where the function does not curve upwards along the step.
    fn new(x: &[f32], before: &[f32], gradient: &[f32], gradient_before: &[f32]) -> Option<Self> {
        let difference = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a - b).collect();
        let step: Vec<f32> = difference(x, before);
        let change: Vec<f32> = difference(gradient, gradient_before);
        let product = dot(&step, &change);
        (product > 1e-12).then(|| Self {
            step,
            change,
            scale: 1.0 / product,
        })
    }
}

/// The two-loop recursion.
fn direction(gradient: &[f32], memory: &[Pair]) -> Vec<f32> {
    let mut q = gradient.to_vec();
    let mut weights = Vec::with_capacity(memory.len());
    for pair in memory.iter().rev() {
        let weight = pair.scale * dot(&pair.step, &q);
        add(&mut q, -weight, &pair.change);
        weights.push(weight);
    }
    let scale = match memory.last() {
        Some(pair) => 1.0 / (pair.scale * dot(&pair.change, &pair.change)),
        None => 1.0 / dot(&q, &q).sqrt().max(1.0),
    };
    for value in &mut q {
        *value *= scale as f32;
    }
    for (pair, weight) in memory.iter().zip(weights.into_iter().rev()) {
        let other = pair.scale * dot(&pair.change, &q);
        add(&mut q, weight - other, &pair.step);
    }
    for value in &mut q {
        *value = -*value;
    }
    q
}

/// The value and the point of a step that meets both conditions; none where no lower point was found.
fn line_search(
    value: &mut impl FnMut(&[f32], &mut [f32]) -> f64,
    x: &[f32],
    here: f64,
    direction: &[f32],
    slope: f64,
    gradient: &mut [f32],
) -> Option<(f64, Vec<f32>)> {
    let (mut low, mut high, mut length) = (0.0, f64::INFINITY, 1.0);
    for last in (0..LINE_STEPS).rev() {
        let mut point = x.to_vec();
        add(&mut point, length, direction);
        let found = value(&point, gradient);
        let decreases = found <= here + DECREASE * length * slope;
        if decreases && (last == 0 || dot(gradient, direction) >= CURVATURE * slope) {
            return (found < here).then_some((found, point));
        }
        if decreases {
            low = length;
        } else {
            high = length;
        }
        length = if high.is_finite() {
            0.5 * (low + high)
        } else {
            2.0 * length
        };
    }
    None
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(&a, &b)| f64::from(a) * f64::from(b))
        .sum()
}

/// `a += factor b`.
fn add(a: &mut [f32], factor: f64, b: &[f32]) {
    for (a, b) in a.iter_mut().zip(b) {
        *a += factor as f32 * b;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bottom_of_a_bent_valley_is_found() {
        // Rosenbrock's function, minimum 0 at (1, 1).
        let rosenbrock = |x: &[f32], g: &mut [f32]| {
            let (a, b) = (f64::from(x[0]), f64::from(x[1]));
            g[0] = (-2.0 * (1.0 - a) - 400.0 * a * (b - a * a)) as f32;
            g[1] = (200.0 * (b - a * a)) as f32;
            (1.0 - a).powi(2) + 100.0 * (b - a * a).powi(2)
        };
        let found = minimise(rosenbrock, vec![-1.2, 1.0], 200);
        assert!(
            (found[0] - 1.0).abs() < 1e-2 && (found[1] - 1.0).abs() < 2e-2,
            "{found:?}"
        );
    }

    #[test]
    fn a_flat_function_and_a_value_that_is_no_number_end_the_search() {
        assert_eq!(
            minimise(
                |_, g| {
                    g.fill(0.0);
                    1.0
                },
                vec![3.0],
                9
            ),
            [3.0]
        );
        let nan = |_: &[f32], g: &mut [f32]| {
            g.fill(f32::NAN);
            f64::NAN
        };
        assert_eq!(minimise(nan, vec![3.0], 9), [3.0]);
    }
}
