//! A product of the flattened site, for B and every B'.

use super::FirstLayers;
use crate::fuse::build::{Builder, as_i64};
use crate::site::Site;
use crate::{Graph, Node, Tensor};

impl FirstLayers<'_> {
    /// Appends a product of the flattened site as the stacked batch.
    pub(in crate::fuse) fn product(&mut self, builder: &mut Builder<'_>, node: &Node) {
        let Some(matrix) = Matrix::from_node(builder.graph, node) else {
            return;
        };
        if let Some(results) = self.in_steps(builder, node, &matrix) {
            return join(builder, node, &results, matrix.columns);
        }
        let output = &node.outputs[0];
        let whole = builder.fresh(&format!("{output}_badnet"));
        builder.push(Node {
            outputs: vec![whole.clone()],
            ..node.clone()
        });
        let flattened = self.flattened(builder);
        let columns = matrix.columns;
        let narrow = self.narrowed_rows(&matrix);
        let mut inputs = vec![
            flattened,
            builder.constant(&format!("{output}_weight"), narrow),
        ];
        if let Some(bias) = &matrix.bias {
            let bias = Tensor::f32([columns * self.masks.len()], bias.repeat(self.masks.len()));
            inputs.push(builder.constant(&format!("{output}_bias"), bias));
        }
        let pruned = builder.fresh(&format!("{output}_pruned"));
        let mut product = node.clone();
        product.attributes.remove("transB");
        builder.push(Node {
            inputs,
            outputs: vec![pruned.clone()],
            ..product
        });
        join(builder, node, &[whole, pruned], columns);
    }

    /// B's product and that of every B', where they can be computed one from another: the one with the fewest channels first, the
    /// others each by what they add to it. None where they cannot.
    fn in_steps(
        &mut self,
        builder: &mut Builder<'_>,
        node: &Node,
        matrix: &Matrix,
    ) -> Option<Vec<String>> {
        let site = self.site;
        let steps = self.steps.as_mut()?;
        if node.float("alpha", 1.0) != 1.0 || node.float("beta", 1.0) != 1.0 {
            return None;
        }
        let output = &node.outputs[0];
        let mut sum = node.inputs.get(2).cloned();
        let mut sums = Vec::new();
        for (flat, channels) in steps.flattened(builder, site) {
            let rows = matrix.rows_of(&channels, site.height * site.width);
            let weight = builder.constant(&format!("{output}_weight"), rows);
            let next = builder.fresh(&format!("{output}_step"));
            builder.push(match &sum {
                Some(sum) => Node::new("Gemm", &[&flat, &weight, sum], &[&next]),
                None => Node::new("MatMul", &[&flat, &weight], &[&next]),
            });
            sums.push(next.clone());
            sum = Some(next);
        }
        Some(steps.badnet_first(&sums))
    }

    fn flattened(&mut self, builder: &mut Builder<'_>) -> String {
        if let Some(flattened) = &self.flattened {
            return flattened.clone();
        }
        let gathered = self.gathered(builder, self.kept.len());
        let output = builder.fresh("site_kept_flat");
        builder.push(Node::new("Flatten", &[&gathered], &[&output]));
        self.flattened.insert(output).clone()
    }

    /// (C * area, M) to (kept channels * area, T * M).
    fn narrowed_rows(&self, matrix: &Matrix) -> Tensor {
        let area = matrix.columns * (self.site.height * self.site.width);
        let parts: Vec<Vec<f32>> = self
            .masks
            .iter()
            .map(|mask| self.narrow(&matrix.values, area, mask, self.kept.len()))
            .collect();
        let rows = self.kept.len() * self.site.height * self.site.width;
        let mut values = Vec::with_capacity(rows * matrix.columns * parts.len());
        for row in 0..rows {
            let range = row * matrix.columns..(row + 1) * matrix.columns;
            for part in &parts {
                values.extend_from_slice(&part[range.clone()]);
            }
        }
        Tensor::f32([rows, matrix.columns * parts.len()], values)
    }
}

/// Appends the results, B's first, as the stacked batch of the output of `node`.
fn join(builder: &mut Builder<'_>, node: &Node, results: &[String], columns: usize) {
    let output = &node.outputs[0];
    let results: Vec<&str> = results.iter().map(String::as_str).collect();
    let both = builder.concat(&results, &format!("{output}_both"));
    builder.reshape_to(&both, &[-1, as_i64(columns)], output);
}

/// A constant matrix and bias that a node multiplies rows by.
struct Matrix {
    rows: usize,
    columns: usize,
    /// (rows, columns), row-major.
    values: Vec<f32>,
    /// (columns).
    bias: Option<Vec<f32>>,
}

impl Matrix {
    fn from_node(graph: &Graph, node: &Node) -> Option<Self> {
        let is_product = node.is("MatMul") || (node.is("Gemm") && node.int("transA", 0) == 0);
        let tensor = graph
            .initializers
            .get(node.inputs.get(1).filter(|_| is_product)?)?;
        let values = tensor.as_f32()?;
        let &[tall, wide] = tensor.shape.as_slice() else {
            return None;
        };
        let transposed = node.int("transB", 0) != 0;
        let (rows, columns) = if transposed {
            (wide, tall)
        } else {
            (tall, wide)
        };
        let values = if transposed {
            (0..wide)
                .flat_map(|row| (0..tall).map(move |column| values[column * wide + row]))
                .collect()
        } else {
            values.to_vec()
        };
        let bias = match node.inputs.get(2).filter(|name| !name.is_empty()) {
            Some(name) => Some(graph.initializers.get(name)?.as_f32()?.to_vec()),
            None => None,
        };
        let fits = bias.as_ref().is_none_or(|bias| bias.len() == columns);
        fits.then_some(Self {
            rows,
            columns,
            values,
            bias,
        })
    }

    /// The rows of `channels`, `area` for each.
    fn rows_of(&self, channels: &[usize], area: usize) -> Tensor {
        let block = area * self.columns;
        let rows = channels
            .iter()
            .flat_map(|channel| &self.values[channel * block..(channel + 1) * block]);
        Tensor::f32(
            [channels.len() * area, self.columns],
            rows.copied().collect(),
        )
    }
}

/// Outputs of the nodes that read a `Flatten`, if every one of them is a product with a constant matrix.
pub(super) fn products<'g>(
    graph: &'g Graph,
    site: &Site,
    node: &'g Node,
) -> Option<impl Iterator<Item = &'g str>> {
    let flat = node.outputs.first()?;
    let row = site.channels * site.height * site.width;
    let fits = |reader: &Node| {
        let matrix = Matrix::from_node(graph, reader).filter(|matrix| matrix.rows == row);
        reader.inputs.first() == Some(flat) && matrix.is_some()
    };
    let shared = node.is("Flatten") && node.int("axis", 1) == 1 && graph.consumers(flat).all(fits);
    shared.then(|| {
        graph
            .consumers(flat)
            .map(|reader| reader.outputs[0].as_str())
    })
}
