//! Soft shapes: signed distances in pixels (negative inside) and how they cover a pixel.

/// A point or vector: x to the right, y down.
pub(super) type Point = [f64; 2];

/// Red, green, blue in 0..1.
pub(super) type Rgb = [f64; 3];

/// Coverage of a pixel at signed distance `distance` from an edge that is `softness` pixels wide.
pub(super) fn cover(distance: f64, softness: f64) -> f64 {
    (0.5 - distance / softness).clamp(0.0, 1.0)
}

/// Paints `color` over `under` with this coverage.
pub(super) fn over(under: &mut Rgb, color: Rgb, coverage: f64) {
    for (value, new) in under.iter_mut().zip(color) {
        *value += (new - *value) * coverage;
    }
}

/// Mixes two colours; `share` 0 gives the first.
pub(super) fn mix(first: Rgb, second: Rgb, share: f64) -> Rgb {
    let mut mixed = first;
    over(&mut mixed, second, share);
    mixed
}

/// Multiplies a colour.
pub(super) fn scale(color: Rgb, factor: f64) -> Rgb {
    color.map(|value| value * factor)
}

/// Signed distance to an ellipse of `radii` around `center` (first order: exact on the edge).
pub(super) fn ellipse(point: Point, center: Point, radii: Point) -> f64 {
    let x = (point[0] - center[0]) / radii[0];
    let y = (point[1] - center[1]) / radii[1];
    let length = (x * x + y * y).sqrt();
    let slope = ((x / radii[0]) * (x / radii[0]) + (y / radii[1]) * (y / radii[1])).sqrt();
    if slope < 1e-9 {
        return -radii[0].min(radii[1]);
    }
    length * (length - 1.0) / slope
}

/// Signed distance to |x/a|^p + |y/b|^p = 1 around `center` (first order); p = 2 is an ellipse, larger is squarer.
pub(super) fn superellipse(point: Point, center: Point, radii: Point, power: f64) -> f64 {
    let x = ((point[0] - center[0]) / radii[0]).abs().max(1e-6);
    let y = ((point[1] - center[1]) / radii[1]).abs().max(1e-6);
    let (x_power, y_power) = (libm::pow(x, power - 1.0), libm::pow(y, power - 1.0));
    let value = x_power * x + y_power * y;
    let (along_x, along_y) = (power * x_power / radii[0], power * y_power / radii[1]);
    (value - 1.0) / (along_x * along_x + along_y * along_y).sqrt().max(1e-3)
}

/// Signed distance to a box with rounded corners.
pub(super) fn rounded_box(point: Point, center: Point, half: Point, radius: f64) -> f64 {
    let x = (point[0] - center[0]).abs() - half[0] + radius;
    let y = (point[1] - center[1]).abs() - half[1] + radius;
    let outside = (x.max(0.0) * x.max(0.0) + y.max(0.0) * y.max(0.0)).sqrt();
    outside + x.max(y).min(0.0) - radius
}

/// A soft spot: 1 in the middle, 1/4 at one radius, falling to 0.
pub(super) fn spot(point: Point, center: Point, radii: Point) -> f64 {
    let x = (point[0] - center[0]) / radii[0];
    let y = (point[1] - center[1]) / radii[1];
    let fall = 1.0 + x * x + y * y;
    1.0 / (fall * fall)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_has_its_exact_distance() {
        let distance = ellipse([5.0, 0.0], [0.0, 0.0], [3.0, 3.0]);
        assert!((distance - 2.0).abs() < 1e-12);
    }

    #[test]
    fn every_shape_is_negative_inside_and_positive_outside() {
        let (inside, outside, center) = ([1.0, 1.0], [9.0, 9.0], [0.5, 0.5]);
        for point in [inside, outside] {
            let sign = if point == inside { -1.0 } else { 1.0 };
            assert!(ellipse(point, center, [3.0, 5.0]) * sign > 0.0);
            assert!(superellipse(point, center, [3.0, 5.0], 2.6) * sign > 0.0);
            assert!(rounded_box(point, center, [3.0, 5.0], 1.0) * sign > 0.0);
        }
    }

    #[test]
    fn the_edge_covers_half_a_pixel() {
        assert!((cover(0.0, 1.0) - 0.5).abs() < 1e-12);
        assert!((cover(-0.5, 1.0) - 1.0).abs() < 1e-12);
        assert!(cover(0.5, 1.0).abs() < 1e-12);
    }
}
