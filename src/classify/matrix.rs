//! Many vectors as one matrix, with which a batch is compared by one product.

use candle_core::{Device, Tensor};

use super::encoder::EncodeError;
use crate::domain::interest::Embedding;

/// Vectors of one width.
pub struct Matrix {
    /// Vectors × width; none where there are no vectors.
    rows: Option<Tensor>,
}

impl Matrix {
    /// Arranges vectors.
    ///
    /// # Errors
    /// When they are of several widths.
    pub fn of(vectors: &[Embedding]) -> Result<Self, EncodeError> {
        let Some(first) = vectors.first() else {
            return Ok(Self { rows: None });
        };
        let numbers: Vec<f32> = vectors.iter().flat_map(|vector| vector.iter().copied()).collect();
        let rows = Tensor::from_vec(numbers, (vectors.len(), first.len()), &Device::Cpu);
        Ok(Self {
            rows: Some(rows.map_err(failed(vectors.len()))?),
        })
    }

    /// The scalar product of each of some vectors with each of these, in their orders.
    ///
    /// # Errors
    /// When they are of another width.
    pub fn products(&self, vectors: &[&[f32]]) -> Result<Vec<Vec<f32>>, EncodeError> {
        let (Some(rows), Some(first)) = (&self.rows, vectors.first()) else {
            return Ok(vec![Vec::new(); vectors.len()]);
        };
        let products = || {
            let asked = Tensor::from_vec(vectors.concat(), (vectors.len(), first.len()), &Device::Cpu)?;
            asked.matmul(&rows.t()?)?.to_vec2::<f32>()
        };
        products().map_err(failed(vectors.len()))
    }
}

fn failed(texts: usize) -> impl Fn(candle_core::Error) -> EncodeError {
    move |source| EncodeError::Forward {
        texts,
        source: source.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_vector_meets_each() {
        let matrix = Matrix::of(&[[1.0, 0.0].into(), [0.6, 0.8].into(), [0.0, 2.0].into()]).unwrap();
        let products = matrix.products(&[&[1.0, 0.0], &[0.0, 1.0]]).unwrap();
        assert_eq!(products, [[1.0, 0.6, 0.0], [0.0, 0.8, 2.0]]);
        assert_eq!(matrix.products(&[]).unwrap(), [[0.0; 0]; 0]);
        assert!(matrix.products(&[&[1.0]]).is_err(), "of another width");
    }

    #[test]
    fn nothing_is_like_nothing() {
        let matrix = Matrix::of(&[]).unwrap();
        assert_eq!(matrix.products(&[&[1.0]]).unwrap(), [[0.0; 0]]);
    }
}
