//! Tables as `docs/BENCHMARKS.md` has them. What else is printed while a benchmark runs does not
//! begin with `|` or `**`, so that `scripts/bench` can tell the two apart.

use super::statistics::shown;

/// Prints a table: a caption, the headings, and of each row its name and its figures.
pub fn print(caption: &str, headings: &[&str], rows: &[(String, Vec<f64>)]) {
    let texts: Vec<Vec<String>> = (rows.iter())
        .map(|(name, figures)| {
            let figures = figures.iter().map(|figure| cell(*figure));
            std::iter::once(name.clone()).chain(figures).collect()
        })
        .collect();
    print_texts(caption, headings, &texts);
}

/// The same of texts.
pub fn print_texts(caption: &str, headings: &[&str], rows: &[Vec<String>]) {
    println!("\n**{caption}**\n");
    println!("| {} |", headings.join(" | "));
    println!("|{}", "---|".repeat(headings.len()));
    for row in rows {
        println!("| {} |", row.join(" | "));
    }
    println!();
}

/// A figure; nothing where there is none.
fn cell(figure: f64) -> String {
    if figure.is_finite() {
        shown(figure)
    } else {
        String::new()
    }
}
