//! Figures of several repetitions, and how they are printed.

use std::time::Duration;

/// What was measured of each contender, in the order in which they are shown.
#[derive(Default)]
pub struct Figures(Vec<(String, Vec<f64>)>);

impl Figures {
    /// Notes one more figure of a contender.
    pub fn note(&mut self, name: &str, figure: f64) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, figures)) => figures.push(figure),
            None => self.0.push((name.to_owned(), vec![figure])),
        }
    }

    /// Notes a rate.
    pub fn note_rate(&mut self, name: &str, count: usize, took: Duration) {
        let rate = count as f64 / took.as_secs_f64();
        println!("  {name}: {rate:.0}/s");
        self.note(name, rate);
    }

    /// The median of a contender.
    pub fn median(&self, name: &str) -> Option<f64> {
        let (_, figures) = self.0.iter().find(|(known, _)| known == name)?;
        let mut sorted = figures.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        Some(if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        })
    }

    /// One median by another.
    pub fn ratio(&self, of: &str, to: &str) -> Option<f64> {
        Some(self.median(of)? / self.median(to)?)
    }

    /// Prints each contender's median, least and most, and, where there is one, the median of the
    /// `reference` by it.
    pub fn print(&self, title: &str, reference: Option<&str>) {
        let (heading, rule) = reference.map_or_else(Default::default, |reference| {
            (format!(" {reference}, by this |"), "---|")
        });
        println!("\n| {title} | median | least | most |{heading}\n|---|---|---|---|{rule}");
        for (name, figures) in &self.0 {
            let least = figures.iter().copied().fold(f64::INFINITY, f64::min);
            let most = figures.iter().copied().fold(0.0, f64::max);
            let median = self.median(name).unwrap_or_default();
            let ratio = reference.and_then(|reference| self.ratio(reference, name));
            let ratio = ratio.map_or_else(String::new, |ratio| format!(" {ratio:.2} |"));
            let [median, least, most] = [median, least, most].map(shown);
            println!("| {name} | {median} | {least} | {most} |{ratio}");
        }
    }
}

/// Whole numbers where they are large.
fn shown(figure: f64) -> String {
    if figure >= 100.0 {
        format!("{figure:.0}")
    } else {
        format!("{figure:.2}")
    }
}

/// The figure below which a share of sorted times lies, in milliseconds.
pub fn percentile_ms(sorted: &[Duration], share: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in a list"
    )]
    let at = (sorted.len() as f64 * share) as usize;
    sorted
        .get(at.min(sorted.len().saturating_sub(1)))
        .map_or(f64::NAN, |time| time.as_secs_f64() * 1_000.0)
}
