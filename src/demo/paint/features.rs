//! Eyes, brows, nose, mouth, beard, spectacles.

use crate::demo::face::Face;
use crate::demo::photo::Photo;
use crate::demo::shape::{
    Point, Rgb, cover, ellipse, mix, over, rounded_box, scale, spot, superellipse,
};

/// A point as the features see it: they slide over the face when it turns or nods, the nose most.
#[derive(Debug, Clone, Copy)]
pub(in crate::demo) struct Place {
    /// For what lies flat: eyes, brows, what is worn on them.
    pub(in crate::demo) flat: Point,
    /// For mouth and beard.
    pub(in crate::demo) front: Point,
    /// For the nose.
    pub(in crate::demo) tip: Point,
    /// Signed distance to the outline of the face.
    edge: f64,
}

impl Place {
    pub(super) fn new(point: Point, face: &Face, photo: &Photo) -> Self {
        let (turn, nod) = (photo.pose.turn, photo.pose.nod);
        let slide = |depth: f64| [point[0] - depth * turn, point[1] - depth * nod * 0.5];
        Self {
            flat: slide(1.5),
            front: slide(1.8),
            tip: slide(2.6),
            edge: super::outline(point, face),
        }
    }
}

/// Beard and moustache; stubble is a thin one.
pub(super) fn beard(color: &mut Rgb, at: &Place, face: &Face, light: f64) {
    let shade = scale(face.beard.color, 0.4 + 0.5 * light);
    let inside = cover(at.edge - 0.4, 1.6);
    let [x, y] = at.front;
    let line = 5.4 + 0.018 * x * x * 2.0 - (x.abs() - 7.0).max(0.0) * 2.2;
    let bare = superellipse(
        at.front,
        [0.0, face.mouth.height - 0.6],
        [face.mouth.width + 1.2, 3.0],
        2.2,
    );
    let chin = cover(line - y, 2.0) * cover(-bare, 1.2);
    over(color, shade, face.beard.chin * chin * inside);
    let lip = ellipse(
        at.front,
        [0.0, face.mouth.height - 2.3],
        [face.mouth.width + 0.6, 1.35],
    );
    over(color, shade, face.beard.lip * cover(lip, 1.1));
}

/// Bridge, tip and nostrils.
pub(super) fn nose(color: &mut Rgb, at: &Place, face: &Face, light: f64) {
    let nose = &face.nose;
    let skin = |factor: f64| scale(face.skin, factor * light);
    let ridge = spot(at.tip, [0.5, nose.tip - 3.5], [0.9, 3.6]);
    over(color, skin(1.12), 0.55 * ridge);
    let side = spot(at.tip, [-nose.width * 0.75, nose.tip - 3.2], [0.8, 3.2]);
    over(color, skin(0.72), 0.4 * side);
    let wings = ellipse(at.tip, [0.0, nose.tip], [nose.width, 1.5]);
    over(color, skin(0.9), 0.75 * cover(wings, 1.3));
    over(
        color,
        skin(1.15),
        0.6 * spot(at.tip, [0.3, nose.tip - 0.7], [1.0, 0.8]),
    );
    for across in [-1.0, 1.0] {
        let nostril = ellipse(
            at.tip,
            [across * nose.width * 0.5, nose.tip + 0.9],
            [0.75, 0.5],
        );
        over(color, skin(0.36), 0.85 * cover(nostril, 1.0));
    }
}

/// The mouth in its own coordinates, straightened: (x, y) from its middle, with the smile taken out.
fn mouth_place(at: &Place, face: &Face, photo: &Photo) -> Point {
    let across = at.front[0] / face.mouth.width;
    let bend = photo.mood.smile * (across * across - 0.35);
    [at.front[0], at.front[1] - face.mouth.height + bend]
}

/// Signed distances to upper lip, lower lip and the gap between them.
pub(in crate::demo) fn lips(at: &Place, face: &Face, photo: &Photo) -> [f64; 3] {
    let mouth = &face.mouth;
    let point = mouth_place(at, face, photo);
    let gape = photo.mood.gape;
    let width = mouth.width * (1.0 + 0.08 * photo.mood.smile);
    let bow = 0.35 * spot(point, [0.0, -mouth.upper], [0.8, 1.0]);
    [
        ellipse(point, [0.0, -0.1 + bow], [width, mouth.upper]).max(point[1] - 0.1),
        ellipse(point, [0.0, gape], [width * 0.88, mouth.lower]).max(0.1 - point[1]),
        ellipse(point, [0.0, gape * 0.5], [width * 0.8, 0.32 + gape * 0.55]),
    ]
}

/// Lips, and teeth where it is open.
pub(super) fn mouth(color: &mut Rgb, at: &Place, face: &Face, photo: &Photo, light: f64) {
    let [upper, lower, gap] = lips(at, face, photo);
    over(
        color,
        scale(face.mouth.color, 0.85 * light),
        cover(upper, 1.0),
    );
    over(
        color,
        scale(face.mouth.color, 1.02 * light),
        cover(lower, 1.0),
    );
    let dark = [0.16, 0.05, 0.05];
    over(color, dark, 0.85 * cover(gap, 0.9));
    if photo.mood.gape > 1.0 {
        let point = mouth_place(at, face, photo);
        let teeth = rounded_box(point, [0.0, 0.1], [face.mouth.width * 0.6, 0.5], 0.4);
        over(color, [0.93, 0.91, 0.86], cover(teeth, 0.9));
    }
}

/// Both eyes: socket, white, iris, pupil, glint, upper lid.
pub(super) fn eyes(color: &mut Rgb, at: &Place, face: &Face, photo: &Photo) {
    for side in [-1.0, 1.0] {
        eye(color, at.flat, side, face, photo);
    }
}

fn eye(color: &mut Rgb, place: Point, side: f64, face: &Face, photo: &Photo) {
    let eyes = &face.eyes;
    let x = place[0] - side * eyes.spacing;
    let y = place[1] - eyes.height - eyes.slant * x * side;
    let open = eyes.open * photo.mood.lids;
    let point = [x, y];
    over(
        color,
        scale(face.skin, 0.6),
        0.45 * spot(point, [0.0, -0.3], [eyes.width, open + 0.7]),
    );
    let white = superellipse(point, [0.0, 0.0], [eyes.width, open], 1.8);
    let seen = cover(white, 0.9);
    over(color, [0.93, 0.92, 0.90], seen);
    let iris = ellipse(point, [photo.mood.gaze, -0.1], [1.25, 1.35]);
    over(color, eyes.iris, seen * cover(iris, 0.9));
    let pupil = ellipse(point, [photo.mood.gaze, -0.1], [0.6, 0.65]);
    over(color, [0.03, 0.03, 0.03], seen * cover(pupil, 0.9));
    over(
        color,
        [1.0, 1.0, 1.0],
        0.8 * seen * spot(point, [photo.mood.gaze + 0.5, -0.6], [0.35, 0.35]),
    );
    let lid = (white.abs() - 0.35).max(y + 0.1);
    over(
        color,
        scale(mix(face.skin, face.brows.color, 0.7), 0.45),
        0.9 * cover(lid, 0.9),
    );
}

/// Signed distance to the brow on this side, `grow` pixels thicker than it is.
pub(in crate::demo) fn brow(place: Point, side: f64, face: &Face, photo: &Photo, grow: f64) -> f64 {
    let brows = &face.brows;
    let x = (place[0] - side * face.eyes.spacing) * side;
    let rise = brows.slant * x - brows.arch * x * x;
    let y = place[1] - face.eyes.height + brows.gap + photo.mood.brows + rise;
    let taper = 1.0 - 0.08 * (x + brows.width).clamp(0.0, 6.0);
    ellipse(
        [x, y],
        [0.0, 0.0],
        [brows.width + grow, (brows.thickness + grow) * taper],
    )
}

/// Both brows.
pub(super) fn brows(color: &mut Rgb, at: &Place, face: &Face, photo: &Photo, light: f64) {
    for side in [-1.0, 1.0] {
        let distance = brow(at.flat, side, face, photo, 0.0);
        over(
            color,
            scale(face.brows.color, 0.4 + 0.5 * light),
            0.9 * cover(distance, 1.0),
        );
    }
}

/// Clear spectacles, for those who wear them.
pub(super) fn spectacles(color: &mut Rgb, at: &Place, face: &Face) {
    let Some(worn) = &face.spectacles else {
        return;
    };
    let height = face.eyes.height + 0.3;
    let mut frame = rounded_box(at.flat, [0.0, height - 0.8], [2.4, 0.35], 0.2);
    for side in [-1.0, 1.0] {
        let lens = rounded_box(at.flat, [side * 6.0, height], worn.half, worn.radius);
        over(color, [0.9, 0.95, 1.0], 0.08 * cover(lens, 1.0));
        let arm = rounded_box(at.flat, [side * 12.0, height - 0.8], [2.2, 0.35], 0.2);
        frame = frame.min(lens.abs() - 0.4).min(arm);
    }
    over(color, worn.color, 0.9 * cover(frame, 0.9));
}
