//! What the benchmarks reckon with, since a benchmark has no tests of its own.

#[path = "../../benches/serve/statistics.rs"]
mod reckoning;

use std::time::Duration;

use reckoning::{Line, Times, Trend, exponent, median, percentile, shown};

#[track_caller]
fn expect(figure: f64, wanted: f64) {
    assert!((figure - wanted).abs() < 1e-9, "{figure} instead of {wanted}");
}

#[test]
fn a_percentile_is_one_of_the_figures() {
    let figures: Vec<f64> = (1..=100).map(f64::from).collect();
    for (share, wanted) in [(0.0, 1.0), (0.5, 50.0), (0.99, 99.0), (1.0, 100.0)] {
        expect(percentile(&figures, share), wanted);
    }
    expect(percentile(&[7.0], 0.99), 7.0);
    assert!(percentile(&[], 0.5).is_nan());
}

#[test]
fn times_are_sorted_and_in_milliseconds() {
    let times = Times::of([30, 10, 20].map(Duration::from_millis));
    assert_eq!(times.count(), 3);
    expect(times.ms(0.5), 20.0);
    expect(times.ms(0.99), 30.0);
}

#[test]
fn a_median_of_an_even_number_lies_between_two() {
    expect(median(&[3.0, 1.0, 2.0]), 2.0);
    expect(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    assert!(median(&[]).is_nan());
}

#[test]
fn a_line_goes_through_points_that_lie_on_one() {
    let line = Line::through(&[(0.0, 1.0), (1.0, 3.0), (4.0, 9.0)]).unwrap();
    expect(line.slope, 2.0);
    expect(line.start, 1.0);
    expect(line.at(10.0), 21.0);
}

#[test]
fn a_line_lies_between_points_that_do_not() {
    // By hand: the slopes between any two are 2, 0.5 and −1, and with 0.5 they start at 1, 2.5 and 1.
    let line = Line::through(&[(0.0, 1.0), (1.0, 3.0), (2.0, 2.0)]).unwrap();
    expect(line.slope, 0.5);
    expect(line.start, 1.0);
}

#[test]
fn a_wild_point_does_not_bend_a_line() {
    let mut points: Vec<(f64, f64)> = (0..10).map(f64::from).map(|at| (at, at + 5.0)).collect();
    points[9].1 = 1_000.0;
    let line = Line::through(&points).unwrap();
    expect(line.slope, 1.0);
    expect(line.start, 5.0);
}

#[test]
fn there_is_no_line_through_one_place() {
    assert_eq!(Line::through(&[]), None);
    assert_eq!(Line::through(&[(1.0, 1.0)]), None);
    assert_eq!(Line::through(&[(1.0, 1.0), (1.0, 2.0)]), None);
}

#[test]
fn what_rises_is_not_flat_and_what_sinks_or_wavers_is() {
    let series = |figure: fn(f64) -> f64| -> Vec<(f64, f64)> {
        (0..=60)
            .map(|at| f64::from(at) * 60.0)
            .map(|at| (at, figure(at)))
            .collect()
    };
    let rising = Trend::of(&series(|at| 100.0 + at / 36.0)).unwrap();
    expect(rising.per_hour, 100.0);
    expect(rising.rise, 1.0);
    assert!(!rising.is_flat(0.05));
    assert!(Trend::of(&series(|at| 100.0 - at / 360.0)).unwrap().is_flat(0.05));
    let wavering = series(|at| if at % 120.0 == 0.0 { 103.0 } else { 97.0 });
    assert!(Trend::of(&wavering).unwrap().is_flat(0.05));
    expect(Trend::of(&series(|_| 0.0)).unwrap().rise, 0.0);
    let step = Trend::of(&series(|at| if at < 2_880.0 { 100.0 } else { 200.0 })).unwrap();
    expect(step.rise, 1.0);
    assert!(!step.is_flat(0.05));
    let torn = series(|at| if at < 3_600.0 { 100.0 } else { f64::NAN });
    assert!(!Trend::of(&torn).unwrap().is_flat(0.05));
    assert_eq!(Trend::of(&[(0.0, 1.0)]), None);
}

#[test]
fn an_exponent_says_how_a_cost_grows() {
    expect(exponent((10.0, 5.0), (1_000.0, 5.0)), 0.0);
    expect(exponent((10.0, 5.0), (1_000.0, 500.0)), 1.0);
    expect(exponent((10.0, 5.0), (1_000.0, 50_000.0)), 2.0);
}

#[test]
fn figures_are_shown_as_exactly_as_they_are_known() {
    for (figure, text) in [
        (1234.5, "1234"),
        (12.34, "12.3"),
        (1.234, "1.23"),
        (-0.5, "-0.50"),
    ] {
        assert_eq!(shown(figure), text);
    }
}
