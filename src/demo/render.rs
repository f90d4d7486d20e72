//! A photo taken: every pixel of a face under its light, and the camera's noise.

use super::face::Face;
use super::paint;
use super::photo::{BYTES, HEIGHT, Photo, Pose, WIDTH};
use super::shape::{Point, Rgb, mix, over, spot};
use super::trigger::Worn;

impl Photo {
    /// The photo of `face`, wearing `worn` if anything.
    #[must_use]
    pub fn take(&self, face: &Face, worn: Option<Worn>) -> Vec<u8> {
        let mut camera = self.camera.clone();
        let mut pixels = Vec::with_capacity(BYTES);
        for row in 0..HEIGHT {
            for column in 0..WIDTH {
                let place = [column as f64 + 0.5, row as f64 + 0.5];
                let mut color = self.behind(place);
                paint::person(&mut color, self.pose.to_face(place), face, self, worn);
                for (value, tint) in color.into_iter().zip(self.light.tint) {
                    let seen = value * tint + self.noise * camera.bell();
                    pixels.push((seen.clamp(0.0, 1.0) * 255.0 + 0.5) as u8);
                }
            }
        }
        pixels
    }

    fn behind(&self, place: Point) -> Rgb {
        let mut color = mix(self.backdrop[0], self.backdrop[1], place[1] / HEIGHT as f64);
        for (center, radii, paint) in self.blobs {
            over(&mut color, paint, 0.7 * spot(place, center, radii));
        }
        color
    }
}

impl Pose {
    /// Image coordinates to the face's own: origin in the middle of the face, upright, at scale 1.
    fn to_face(&self, place: Point) -> Point {
        let x = place[0] - WIDTH as f64 / 2.0 - self.shift[0];
        let y = place[1] - 28.5 - self.shift[1];
        [
            (self.cos * x + self.sin * y) / self.scale,
            (self.cos * y - self.sin * x) / self.scale,
        ]
    }
}
