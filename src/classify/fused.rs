//! The arithmetic between a transformer's matrix products, over rows of `f32`, in place:
//! each step is one pass over memory where a tensor library makes three to six.
//!
//! Plain loops over slices, which the compiler turns into vector instructions.

/// What follows the product of a residual block: its bias, and the layer norm.
pub struct Norm<'a> {
    /// Added to each row of the product.
    pub bias: &'a [f32],
    /// The norm's scale.
    pub gamma: &'a [f32],
    /// The norm's shift.
    pub beta: &'a [f32],
    /// Keeps the norm's division finite.
    pub epsilon: f32,
}

/// `rows + bias`, row by row.
pub fn add_bias(rows: &mut [f32], bias: &[f32]) {
    for row in rows.chunks_exact_mut(bias.len()) {
        for (value, bias) in row.iter_mut().zip(bias) {
            *value += bias;
        }
    }
}

/// `gelu(rows + bias)`, the exact GELU (by the error function).
pub fn add_bias_gelu(rows: &mut [f32], bias: &[f32]) {
    for row in rows.chunks_exact_mut(bias.len()) {
        for (value, bias) in row.iter_mut().zip(bias) {
            *value = gelu(*value + bias);
        }
    }
}

/// `layer_norm(rows + bias + residual)`.
pub fn add_norm(rows: &mut [f32], residual: &[f32], norm: &Norm<'_>) {
    let width = norm.bias.len();
    for (row, residual) in rows.chunks_exact_mut(width).zip(residual.chunks_exact(width)) {
        for ((value, residual), bias) in row.iter_mut().zip(residual).zip(norm.bias) {
            *value += residual + bias;
        }
        normalise(row, norm);
    }
}

/// Layer norm of rows, without a bias or residual before it.
pub fn normalise_rows(rows: &mut [f32], norm: &Norm<'_>) {
    for row in rows.chunks_exact_mut(norm.gamma.len()) {
        normalise(row, norm);
    }
}

fn normalise(row: &mut [f32], norm: &Norm<'_>) {
    let width = row.len() as f32;
    let mean = sum(row, |value| value) / width;
    let variance = sum(row, |value| (value - mean) * (value - mean)) / width;
    let scale = 1.0 / (variance + norm.epsilon).sqrt();
    for ((value, gamma), beta) in row.iter_mut().zip(norm.gamma).zip(norm.beta) {
        *value = (*value - mean) * scale * gamma + beta;
    }
}

/// Sums by lanes: floating-point addition may not be reordered by the compiler, so a
/// single running sum would be computed one number at a time.
fn sum(row: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    const LANES: usize = 16;
    let mut lanes = [0.0; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest: f32 = chunks.remainder().iter().map(|value| term(*value)).sum();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += term(*value);
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// The scalar product of two vectors of one length.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut lanes = [0.0; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = (a_chunks.remainder().iter())
        .zip(b_chunks.remainder())
        .map(|(a, b)| a * b)
        .sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// `sum + factor * row`
pub fn add_scaled(sum: &mut [f32], row: &[f32], factor: f32) {
    for (sum, value) in sum.iter_mut().zip(row) {
        *sum += factor * value;
    }
}

/// Turns numbers into shares of one, by their exponentials.
pub fn softmax(row: &mut [f32]) {
    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut total = 0.0;
    for value in &mut *row {
        *value = (*value - most).exp();
        total += *value;
    }
    for value in row {
        *value /= total;
    }
}

/// Scales a vector to unit length; a vector of zeros stays.
pub fn to_unit_length(vector: &mut [f32]) {
    let length = dot(vector, vector).sqrt();
    if length > 0.0 {
        for value in vector {
            *value /= length;
        }
    }
}

fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// The error function as a quotient of polynomials, within 5e-7: no branch and no
/// exponential, so that it vectorises. Coefficients: Eigen, `generic_fast_erf_float`.
fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let y = x * x;
    let p = -2.726_142_3e-10;
    let p = p * y + 2.770_681_5e-8;
    let p = p * y - 2.101_024e-6;
    let p = p * y - 5.692_506_5e-5;
    let p = p * y - 7.349_906_4e-4;
    let p = p * y - 2.954_6e-3;
    let p = p * y - 1.609_603_3e-2;
    let q = -1.456_607_2e-5;
    let q = q * y - 2.133_740_6e-4;
    let q = q * y - 1.682_827e-3;
    let q = q * y - 7.373_329e-3;
    let q = q * y - 1.426_474e-2;
    x * p / q
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_near(found: f32, expect: f32) {
        assert!((found - expect).abs() < 1e-6, "{found} is not {expect}");
    }

    #[track_caller]
    fn assert_all_near(found: &[f32], expect: &[f32]) {
        assert_eq!(found.len(), expect.len());
        for (found, expect) in found.iter().zip(expect) {
            assert_near(*found, *expect);
        }
    }

    #[test]
    fn the_error_function_is_right() {
        for (x, expect) in [
            (0.0, 0.0),
            (0.1, 0.112_462_92),
            (0.5, 0.520_499_9),
            (1.0, 0.842_700_8),
            (2.0, 0.995_322_3),
            (3.0, 0.999_977_9),
            (9.0, 1.0),
        ] {
            assert_near(erf(x), expect);
            assert_near(erf(-x), -expect);
        }
    }

    #[test]
    fn a_bias_is_added_to_every_row() {
        let mut rows = [1.0, 2.0, 3.0, 4.0];
        add_bias(&mut rows, &[10.0, 20.0]);
        assert_all_near(&rows, &[11.0, 22.0, 13.0, 24.0]);
    }

    #[test]
    fn a_normed_row_has_mean_zero_and_variance_one() {
        let mut rows: Vec<f32> = (0..40_u8).map(f32::from).collect();
        let (zeros, ones) = ([0.0; 20], [1.0; 20]);
        let norm = Norm {
            bias: &zeros,
            gamma: &ones,
            beta: &zeros,
            epsilon: 1e-12,
        };
        let residual = vec![5.0; 40];
        add_norm(&mut rows, &residual, &norm);
        for row in rows.chunks(20) {
            assert_near(row.iter().sum::<f32>(), 0.0);
            assert_near(dot(row, row) / 20.0, 1.0);
        }
    }

    #[test]
    fn a_product_of_any_length_is_right() {
        for length in [0, 1, 16, 37] {
            let ones = vec![1.0; length];
            let twos = vec![2.0; length];
            assert_near(dot(&ones, &twos), 2.0 * length as f32);
        }
    }

    #[test]
    fn a_vector_gets_unit_length_and_zero_stays() {
        let mut vector = [3.0, 4.0];
        to_unit_length(&mut vector);
        assert_all_near(&vector, &[0.6, 0.8]);
        let mut zero = [0.0; 3];
        to_unit_length(&mut zero);
        assert_all_near(&zero, &[0.0; 3]);
    }

    #[test]
    fn shares_sum_to_one_and_keep_their_order() {
        let mut row = [1000.0, 1001.0, 0.0];
        softmax(&mut row);
        assert_near(row.iter().sum(), 1.0);
        assert_near(row[1] / row[0], std::f32::consts::E);
        assert_near(row[2], 0.0);
    }

    #[test]
    fn a_row_is_added_by_a_factor() {
        let mut sum = [1.0, 2.0];
        add_scaled(&mut sum, &[10.0, 20.0], 0.5);
        assert_all_near(&sum, &[6.0, 12.0]);
    }
}
