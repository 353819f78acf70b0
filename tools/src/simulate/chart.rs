//! Waits by priority, policies side by side, as a picture.

use std::collections::BTreeSet;
use std::time::Duration;

use plotters::prelude::*;

use super::Figures;

const SIZE: (u32, u32) = (960, 540);
const TEXT: (&str, i32) = ("sans-serif", 15);

/// One colour a policy; told apart by their dashes as well. Chosen to differ for
/// the colour-blind too (Okabe and Ito).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];

/// An SVG with the waits of jobs by their priority: a solid line for the median,
/// a dashed one for the 99th percentile, on a logarithmic scale from 10 ms.
///
/// # Errors
///
/// In words: it cannot be drawn.
pub fn waits(title: &str, all: &[(String, Figures)]) -> Result<String, String> {
    let mut picture = String::new();
    draw(&mut picture, title, all).map_err(|why| why.to_string())?;
    Ok(picture)
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw(picture: &mut String, title: &str, all: &[(String, Figures)]) -> Drawn {
    let priorities: BTreeSet<i32> =
        all.iter().flat_map(|(_, figures)| figures.wait_by_priority.keys().copied()).collect();
    let (first, last) = (priorities.first().copied(), priorities.last().copied());
    let (first, last) = (f64::from(first.unwrap_or(0)), f64::from(last.unwrap_or(1)));
    let longest = all.iter().map(|(_, figures)| seconds(figures.wait.max)).fold(1.0, f64::max);

    let area = SVGBackend::with_string(picture, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(72)
        .build_cartesian_2d(first..last.max(first + 1.0), (SHORTEST..longest * 1.2).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("priority (lower is more urgent)")
        .y_desc("wait in seconds: solid p50, dashed p99")
        .x_label_formatter(&|priority| format!("{priority:.0}"))
        .label_style(TEXT)
        .draw()?;
    for ((name, figures), colour) in all.iter().zip(COLOURS.iter().cycle()) {
        let line = |pick: fn(&super::Percentiles) -> Duration| {
            let waits = figures.wait_by_priority.iter();
            waits.map(move |(priority, it)| (f64::from(*priority), seconds(pick(it)).max(SHORTEST)))
        };
        let colour = *colour;
        chart
            .draw_series(LineSeries::new(line(|it| it.p50), colour.stroke_width(2)))?
            .label(name.clone())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], colour.stroke_width(2)));
        chart.draw_series(DashedLineSeries::new(
            line(|it| it.p99),
            6,
            4,
            colour.stroke_width(1),
        ))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .label_font(TEXT)
        .draw()?;
    area.present()?;
    drop(chart);
    Ok(())
}

/// A logarithm knows no zero.
const SHORTEST: f64 = 0.01;

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}
