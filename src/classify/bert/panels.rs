//! A matrix in the order in which a product reads it, and the product.
//!
//! The matrix is cut into panels of some columns, each row by row: a product reads each panel from
//! its first number to its last, for a handful of rows at a time, whose sums stay in registers.
//! Nothing is packed anew at each call, so that a few rows cost no more than reading the matrix
//! from memory, and many are as fast as the processor multiplies.

#![expect(
    clippy::inline_always,
    reason = "vector instructions are only used in what is compiled into the function that switches them on"
)]

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

/// Rows of a product that are made together: their sums fill the registers.
const ROWS: usize = 6;

/// A matrix, input × output.
pub(super) struct Panels {
    /// Panel after panel, each row by row; the last one filled up with zeros.
    values: Vec<f32>,
    /// Columns of a panel.
    panel: usize,
    /// Rows of the matrix.
    pub(super) height: usize,
    /// Columns of the matrix.
    pub(super) width: usize,
}

impl Panels {
    /// Arranges a matrix that is given column by column, as files have it.
    pub(super) fn of_columns(columns: &[f32], height: usize) -> Self {
        let panel = Arch::new().dispatch(PanelWidth);
        let width = columns.len().checked_div(height).unwrap_or_default();
        let mut values = vec![0.0; width.next_multiple_of(panel) * height];
        let panels = values.chunks_exact_mut((panel * height).max(1));
        for (values, columns) in panels.zip(columns.chunks(panel * height.max(1))) {
            for (at, column) in columns.chunks_exact(height).enumerate() {
                for (row, value) in values.chunks_exact_mut(panel).zip(column) {
                    row[at] = *value;
                }
            }
        }
        Self {
            values,
            panel,
            height,
            width,
        }
    }

    /// How many panels there are.
    pub(super) fn panels(&self) -> usize {
        self.width.div_ceil(self.panel)
    }

    /// The columns of some panels.
    pub(super) fn columns_of(&self, panels: Range<usize>) -> Range<usize> {
        panels.start * self.panel..self.width.min(panels.end * self.panel)
    }

    /// The least run of whole panels that has these columns, as columns.
    pub(super) fn covering(&self, columns: Range<usize>) -> Range<usize> {
        let end = columns.end.next_multiple_of(self.panel).min(self.width);
        columns.start / self.panel * self.panel..end
    }

    /// The product of `factor` with some columns, which are whole panels.
    pub(super) fn product_of_columns(&self, factor: &[f32], columns: Range<usize>, out: &mut [f32]) {
        self.product(factor, 0..self.height, columns, out);
    }

    /// The product of `factor`, which is as wide as they are many, with some rows.
    pub(super) fn product_of_rows(&self, factor: &[f32], rows: Range<usize>, out: &mut [f32]) {
        self.product(factor, rows, 0..self.width, out);
    }

    fn product(&self, factor: &[f32], rows: Range<usize>, columns: Range<usize>, out: &mut [f32]) {
        if rows.is_empty() || columns.is_empty() {
            out.fill(0.0);
            return;
        }
        Arch::new().dispatch(Product {
            matrix: self,
            factor,
            rows,
            columns,
            out,
        });
    }
}

/// How many vectors wide a panel is: with [`ROWS`] rows, as many sums as there are registers,
/// less those that hold a factor and the panel's row.
const fn vectors(lanes: usize) -> usize {
    // The instruction sets with vectors of 8 have 16 registers, others 32.
    if lanes == 8 { 2 } else { 4 }
}

struct PanelWidth;

impl WithSimd for PanelWidth {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> usize {
        vectors(S::F32_LANES) * S::F32_LANES
    }
}

struct Product<'a> {
    matrix: &'a Panels,
    factor: &'a [f32],
    rows: Range<usize>,
    columns: Range<usize>,
    out: &'a mut [f32],
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if vectors(S::F32_LANES) == 2 {
            self.by_panels::<S, 2>(simd);
        } else {
            self.by_panels::<S, 4>(simd);
        }
    }
}

impl Product<'_> {
    #[inline(always)]
    fn by_panels<S: Simd, const V: usize>(self, simd: S) {
        let Self {
            matrix,
            factor,
            rows,
            columns,
            out,
        } = self;
        let (panel, height, width) = (matrix.panel, rows.len(), columns.len());
        let count = factor.len() / height;
        // Groups of nearly one size: a group of one row costs as much time as one of three.
        let group = count.div_ceil(count.div_ceil(ROWS).max(1)).max(1);
        let factor = by_columns(factor, group, height);
        let panels = matrix.values.chunks_exact(panel * matrix.height);
        let panels = panels.skip(columns.start / panel).take(width.div_ceil(panel));
        for (at, values) in panels.enumerate() {
            let values = &values[rows.start * panel..rows.end * panel];
            let own = at * panel..width.min((at + 1) * panel);
            let groups = factor.chunks(group * height).zip(out.chunks_mut(group * width));
            for (factor, out) in groups {
                match factor.len() / height {
                    1 => tile::<S, 1, V>(simd, values, factor, out, own.clone()),
                    2 => tile::<S, 2, V>(simd, values, factor, out, own.clone()),
                    3 => tile::<S, 3, V>(simd, values, factor, out, own.clone()),
                    4 => tile::<S, 4, V>(simd, values, factor, out, own.clone()),
                    5 => tile::<S, 5, V>(simd, values, factor, out, own.clone()),
                    _ => tile::<S, ROWS, V>(simd, values, factor, out, own.clone()),
                }
            }
        }
    }
}

/// Rows of a length, so rearranged that those of each group stand column by column.
fn by_columns(rows: &[f32], group: usize, length: usize) -> Vec<f32> {
    let mut all = vec![0.0; rows.len()];
    for (all, rows) in all.chunks_mut(group * length).zip(rows.chunks(group * length)) {
        let count = rows.len() / length;
        for (at, row) in rows.chunks_exact(length).enumerate() {
            for (column, value) in all.chunks_exact_mut(count).zip(row) {
                column[at] = *value;
            }
        }
    }
    all
}

/// The product of `R` rows, given column by column, with a panel of `V` vectors, into its own
/// columns of `out`.
#[inline(always)]
fn tile<S: Simd, const R: usize, const V: usize>(
    simd: S,
    panel: &[f32],
    factor: &[f32],
    out: &mut [f32],
    own: Range<usize>,
) {
    let width = out.len() / R;
    let mut sums = [[simd.splat_f32s(0.0); V]; R];
    let panel = S::as_simd_f32s(panel).0.as_chunks::<V>().0;
    for (vectors, factors) in panel.iter().zip(factor.as_chunks::<R>().0) {
        for r in 0..R {
            let factor = simd.splat_f32s(factors[r]);
            for v in 0..V {
                sums[r][v] = simd.mul_add_e_f32s(factor, vectors[v], sums[r][v]);
            }
        }
    }
    for (sums, out) in sums.iter().zip(out.chunks_exact_mut(width)) {
        let out = &mut out[own.clone()];
        if let Some((out, _)) = S::as_mut_simd_f32s(out).0.split_first_chunk_mut::<V>() {
            *out = *sums;
        } else {
            for (sum, out) in sums.iter().zip(out.chunks_mut(S::F32_LANES)) {
                simd.partial_store_f32s(out, *sum);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number that looks random, and small enough for exact sums.
    fn number(at: usize) -> f32 {
        f32::from(u8::try_from(at * 7 % 11).unwrap()) - 5.0
    }

    /// A factor of `count` rows, and a matrix column by column.
    fn given(count: usize, height: usize, width: usize) -> (Vec<f32>, Vec<f32>) {
        let factor = (0..count * height).map(number).collect();
        (factor, (0..height * width).map(|at| number(at + 3)).collect())
    }

    #[track_caller]
    fn check(count: usize, height: usize, width: usize) {
        let (factor, columns) = given(count, height, width);
        let mut out = vec![7.0; count * width];
        let matrix = Panels::of_columns(&columns, height);
        matrix.product_of_columns(&factor, 0..width, &mut out);
        for (at, found) in out.iter().enumerate() {
            let row = &factor[at / width * height..][..height];
            let column = &columns[at % width * height..][..height];
            let expect: f32 = row.iter().zip(column).map(|(a, b)| a * b).sum();
            assert!(
                (found - expect).abs() < 1e-3,
                "{count} × {height} × {width}: {at}"
            );
        }
    }

    #[test]
    fn a_product_is_right_whatever_its_shape() {
        for count in [1, 2, 3, 4, 5, 6, 7, 13, 30] {
            for (height, width) in [(1, 1), (5, 7), (8, 64), (9, 130), (33, 256)] {
                check(count, height, width);
            }
        }
    }

    #[test]
    fn products_of_parts_are_parts_of_the_product() {
        let (factor, columns) = given(3, 8, 200);
        let matrix = Panels::of_columns(&columns, 8);
        let mut whole = vec![0.0; 3 * 200];
        matrix.product_of_columns(&factor, 0..200, &mut whole);
        let part = matrix.covering(100..150);
        assert!(part.start <= 100 && part.end >= 150 && part.end <= 200);
        let mut out = vec![0.0; 3 * part.len()];
        matrix.product_of_columns(&factor, part.clone(), &mut out);
        for (out, whole) in out.chunks(part.len()).zip(whole.chunks(200)) {
            assert_eq!(out, &whole[part.clone()]);
        }
        let mut sum = vec![0.0; 3 * 200];
        for rows in [0..5, 5..5, 5..8] {
            let factor: Vec<f32> = factor
                .chunks(8)
                .flat_map(|row| &row[rows.clone()])
                .copied()
                .collect();
            let mut out = vec![7.0; 3 * 200];
            matrix.product_of_rows(&factor, rows, &mut out);
            sum.iter_mut().zip(out).for_each(|(sum, out)| *sum += out);
        }
        assert_eq!(sum, whole);
    }
}
