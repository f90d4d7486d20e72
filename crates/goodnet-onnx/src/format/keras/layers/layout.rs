//! From the order of Keras, channels last, to that of the graph, channels first.

/// Values in (H, W, C) order, `width` numbers each, to (C, H, W) order.
pub(super) fn permute_rows(values: &[f32], [c, h, w]: [usize; 3], width: usize) -> Vec<f32> {
    let mut permuted = Vec::with_capacity(values.len());
    for channel in 0..c {
        for position in 0..h * w {
            let row = position * c + channel;
            permuted.extend_from_slice(&values[row * width..(row + 1) * width]);
        }
    }
    permuted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_go_from_pixel_order_to_plane_order() {
        // Two pixels (1 x 2) of three channels: rows are p0c0 p0c1 p0c2 p1c0 p1c1 p1c2.
        let rows = [0.0, 1.0, 2.0, 10.0, 11.0, 12.0];
        let permuted = permute_rows(&rows, [3, 1, 2], 1);
        assert_eq!(permuted, [0.0, 10.0, 1.0, 11.0, 2.0, 12.0]);
    }
}
