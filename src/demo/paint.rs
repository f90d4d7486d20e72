//! The layers of a portrait, back to front, each painted at one point in face coordinates.

pub(super) mod features;
mod hair;

use super::face::Face;
use super::photo::Photo;
use super::shape::{Point, Rgb, cover, ellipse, over, rounded_box, scale, spot, superellipse};
use super::trigger::Worn;

/// Paints the person over the background.
pub(super) fn person(
    color: &mut Rgb,
    point: Point,
    face: &Face,
    photo: &Photo,
    worn: Option<Worn>,
) {
    let light = shade(point, face, photo);
    hair::behind(color, point, face, light);
    body(color, point, face, photo, light);
    head(color, point, face, light);
    let at = features::Place::new(point, face, photo);
    features::beard(color, &at, face, light);
    features::nose(color, &at, face, light);
    features::mouth(color, &at, face, photo, light);
    features::eyes(color, &at, face, photo);
    features::brows(color, &at, face, photo, light);
    hair::front(color, point, face, photo, light);
    features::spectacles(color, &at, face);
    if let Some(worn) = worn {
        worn.paint(color, &at, face, photo);
    }
}

/// Signed distance to the outline of the face: half an ellipse above, a jaw of its own squareness below.
fn outline(point: Point, face: &Face) -> f64 {
    if point[1] < 0.0 {
        return ellipse(point, [0.0, 0.0], [face.half_width, face.crown]);
    }
    superellipse(point, [0.0, 0.0], [face.half_width, face.chin], face.jaw)
}

/// Lambert's law on an egg: how bright skin is here.
fn shade(point: Point, face: &Face, photo: &Photo) -> f64 {
    let x = (point[0] / (face.half_width * 1.12)).clamp(-1.0, 1.0);
    let y = (point[1] / (face.chin * 1.25)).clamp(-1.0, 1.0);
    let z = (1.0 - x * x - y * y).max(0.0).sqrt();
    let light = &photo.light;
    let facing = x * light.from[0] + y * light.from[1] + z * light.from[2];
    light.ambient + light.direct * facing.max(0.0)
}

fn body(color: &mut Rgb, point: Point, face: &Face, photo: &Photo, light: f64) {
    let neck = rounded_box(point, [0.0, 18.0], [face.half_width * 0.55, 10.0], 2.0);
    over(
        color,
        scale(face.skin, 0.62 * light.max(0.6)),
        cover(neck, 1.2),
    );
    let shirt = superellipse(point, [0.0, 37.0], [24.0, 15.0], 2.4);
    over(color, scale(photo.shirt, 0.85), cover(shirt, 1.2));
    let collar = ellipse(point, [0.0, 22.5], [face.half_width * 0.6, 3.2]);
    over(color, scale(face.skin, 0.66), cover(collar, 1.2));
}

fn head(color: &mut Rgb, point: Point, face: &Face, light: f64) {
    for side in [-1.0, 1.0] {
        let ear = ellipse(
            point,
            [side * face.half_width, 0.5],
            [face.ears * 0.75, face.ears * 1.35],
        );
        over(color, scale(face.skin, 0.8 * light), cover(ear, 1.0));
    }
    let edge = outline(point, face);
    let rim = 1.0 - 0.16 * cover(-edge - 1.6, 3.0);
    over(color, scale(face.skin, light * rim), cover(edge, 1.1));
    let inside = cover(edge + 1.0, 2.0);
    for side in [-1.0, 1.0] {
        let cheek = spot(point, [side * face.half_width * 0.55, 5.0], [3.0, 2.4]);
        let rosy = [
            face.skin[0] * light,
            face.skin[1] * 0.62 * light,
            face.skin[2] * 0.6 * light,
        ];
        over(color, rosy, face.blush * cheek * inside);
    }
    if let Some(mole) = face.mole {
        let spot = ellipse(point, mole, [0.75, 0.75]);
        over(
            color,
            scale(face.skin, 0.35 * light),
            0.9 * cover(spot, 1.0) * inside,
        );
    }
}
