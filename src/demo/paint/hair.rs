//! Hair: what hangs behind the face and what lies over the forehead.

use crate::demo::face::Face;
use crate::demo::photo::Photo;
use crate::demo::shape::{Point, Rgb, cover, ellipse, over, rounded_box, scale};

fn tone(point: Point, face: &Face, light: f64) -> Rgb {
    let wave =
        libm::sin((point[0] + 0.12 * point[1] * point[0].abs() / 6.0) * face.hair.strands * 2.0);
    scale(face.hair.color, (0.35 + 0.6 * light) * (1.0 + 0.13 * wave))
}

/// Signed distance to the hair's outer edge on top of the head.
fn cap(point: Point, face: &Face) -> f64 {
    let volume = face.hair.volume;
    ellipse(
        point,
        [0.0, -1.0],
        [
            face.half_width + 0.55 * volume + 0.4,
            face.crown + volume - 0.5,
        ],
    )
}

/// The hair behind the face.
pub(super) fn behind(color: &mut Rgb, point: Point, face: &Face, light: f64) {
    let hair = &face.hair;
    if hair.bald {
        return;
    }
    let hanging = rounded_box(
        point,
        [0.0, (hair.length - 4.0) / 2.0],
        [
            face.half_width + 0.55 * hair.volume + 0.6,
            (hair.length + 4.0) / 2.0,
        ],
        4.0,
    );
    let upper = cap(point, face).max(point[1] - 1.0);
    let edge = if hair.length > 4.0 {
        upper.min(hanging)
    } else {
        upper
    };
    over(
        color,
        scale(tone(point, face, light), 0.72),
        cover(edge, 1.6),
    );
}

/// The hair over the forehead and the temples.
pub(super) fn front(color: &mut Rgb, point: Point, face: &Face, photo: &Photo, light: f64) {
    let hair = &face.hair;
    if hair.bald {
        return;
    }
    let x = point[0] - 0.8 * photo.pose.turn;
    let line = hair.line + hair.curve * x * x + hair.slant * x + 0.4 * photo.pose.nod;
    let temple = hair.length.clamp(-8.0, 3.0);
    let fringe = (point[1] - line).max(cap(point, face));
    let sides = (face.half_width - 1.3 - x.abs())
        .max(point[1] - temple)
        .max(cap(point, face));
    over(
        color,
        tone(point, face, light),
        cover(fringe.min(sides), 1.8),
    );
}
