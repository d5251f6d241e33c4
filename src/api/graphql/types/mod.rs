//! The shapes of the answers: each is made from a service's view, and knows nothing more.

pub mod account;
pub mod analytics;
pub mod audit;
pub mod change;
pub mod classification;
pub mod cohort;
pub mod correction;
pub mod definition;
pub mod identity;
pub mod ingest;
pub mod judgement;
pub mod privacy;
pub mod profile;
pub mod quality;
pub mod search;
pub mod timeline;
pub mod webhook;

/// A score as people read it. Widened as it is, 0.93 would show as 0.9300000071525574.
fn rounded(score: f32) -> f64 {
    (f64::from(score) * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_score_shows_the_digits_it_has() {
        assert!((super::rounded(0.93) - 0.93_f64).abs() < f64::EPSILON);
    }
}
