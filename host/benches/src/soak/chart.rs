//! Line charts over time, as an SVG file.

use std::fmt::{self, Write as _};

const WIDTH: f64 = 960.0;
const PANEL_HEIGHT: f64 = 180.0;
/// Room for the title above all panels.
const TOP: f64 = 40.0;
/// Room inside a panel for its title and for the labels of the axes.
const ABOVE: f64 = 34.0;
const BELOW: f64 = 26.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
/// Approximate number of intervals between the labels of an axis.
const STEPS: f64 = 4.0;
const COLOURS: [&str; 3] = ["#1f6feb", "#d1570b", "#2da44e"];

/// Panels one below the other, with a common horizontal axis.
#[derive(Debug)]
pub(super) struct Chart {
    pub(super) title: String,
    /// The unit of the horizontal axis.
    pub(super) axis: &'static str,
    pub(super) panels: Vec<Panel>,
}

/// Lines with one unit.
#[derive(Debug)]
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) unit: &'static str,
    pub(super) series: Vec<Series>,
}

#[derive(Debug)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

impl Chart {
    /// The chart as the text of an SVG file.
    pub(super) fn svg(&self) -> Result<String, fmt::Error> {
        let height = TOP + PANEL_HEIGHT * self.panels.len() as f64;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n\
             <text x=\"{LEFT}\" y=\"26\" font-size=\"18\">{}</text>\n",
            escaped(&self.title)
        );
        let points = || self.panels.iter().flat_map(|panel| panel.points());
        let end = points().map(|(x, _)| x).fold(0.0, f64::max);
        for (number, panel) in self.panels.iter().enumerate() {
            panel.draw(&mut svg, TOP + PANEL_HEIGHT * number as f64, end, self.axis)?;
        }
        svg.push_str("</svg>\n");
        Ok(svg)
    }
}

impl Panel {
    fn points(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        let series = self.series.iter();
        series.flat_map(|series| series.points.iter().copied())
    }

    fn draw(&self, svg: &mut String, top: f64, end: f64, axis: &str) -> fmt::Result {
        let (step, most) = scale(self.points().map(|(_, y)| y).fold(0.0, f64::max));
        let (x_step, _) = scale(end);
        let (floor, ceiling) = (top + PANEL_HEIGHT - BELOW, top + ABOVE);
        let x = |value: f64| LEFT + value / end.max(f64::MIN_POSITIVE) * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| floor - value / most * (floor - ceiling);
        writeln!(
            svg,
            "<text x=\"{LEFT}\" y=\"{}\" font-weight=\"bold\">{} ({})</text>",
            top + 18.0,
            escaped(&self.title),
            self.unit
        )?;
        for value in ticks(step, most) {
            writeln!(
                svg,
                "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{1:.1}\" y2=\"{1:.1}\" stroke=\"#ddd\"/>\
                 <text x=\"{2}\" y=\"{3:.1}\" text-anchor=\"end\">{value}</text>",
                WIDTH - RIGHT,
                y(value),
                LEFT - 6.0,
                y(value) + 4.0,
            )?;
        }
        for value in ticks(x_step, end) {
            writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{value}</text>",
                x(value),
                floor + 16.0
            )?;
        }
        writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{axis}</text>",
            WIDTH - RIGHT,
            floor + 24.0
        )?;
        for (number, series) in self.series.iter().enumerate() {
            let colour = COLOURS[number % COLOURS.len()];
            let name = escaped(&series.name);
            let place = WIDTH - RIGHT - 60.0 * (self.series.len() - number) as f64;
            writeln!(
                svg,
                "<text x=\"{place}\" y=\"{}\" fill=\"{colour}\">{name}</text>",
                top + 18.0
            )?;
            write!(
                svg,
                "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\""
            )?;
            for (at, value) in &series.points {
                write!(svg, "{:.1},{:.1} ", x(*at), y(*value))?;
            }
            writeln!(svg, "\"/>")?;
        }
        Ok(())
    }
}

/// Returns the step between two labels (1, 2 or 5 times a power of ten) and the end of the axis.
/// The axis has room for `most`.
fn scale(most: f64) -> (f64, f64) {
    let rough = (most / STEPS).max(1e-3);
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|times| times * power)
        .into_iter()
        .find(|step| *step >= rough)
        .unwrap_or(rough);
    (step, (most / step).ceil().max(1.0) * step)
}

/// The labels of an axis.
fn ticks(step: f64, most: f64) -> impl Iterator<Item = f64> {
    let count = (most / step + 1e-9).floor() as u32;
    // Multiples of 0.1 have rounding errors.
    (0..=count).map(move |number| (f64::from(number) * step * 1e6).round() / 1e6)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_round_labels_and_room_for_all() {
        for most in [0.0, 0.03, 0.7, 1.0, 3.0, 59.9, 60.0, 101.0, 4_096.0] {
            let (step, end) = scale(most);
            let labels: Vec<f64> = ticks(step, end).collect();
            assert!(end >= most, "{most}: {end}");
            assert!((2..=6).contains(&labels.len()), "{most}: {labels:?}");
        }
        assert_eq!(ticks(0.1, 0.3).last(), Some(0.3));
    }

    #[test]
    fn every_series_is_a_line_with_all_its_points_inside() {
        let series = |name: &str, most: f64| Series {
            name: name.to_owned(),
            points: (0..=10).map(|at| (f64::from(at), most)).collect(),
        };
        let chart = Chart {
            title: "a < b".to_owned(),
            axis: "minutes",
            panels: vec![Panel {
                title: "p".to_owned(),
                unit: "ms",
                series: vec![series("one", 3.0), series("two", 7.0)],
            }],
        };
        let svg = chart.svg().unwrap();
        assert!(svg.contains("a &lt; b") && svg.contains("one") && svg.contains("two"));
        let lines = svg.lines().filter(|line| line.starts_with("<polyline"));
        let points = lines.map(|line| line.rsplit('"').nth(1).unwrap());
        let mut count = 0;
        for points in points {
            let places: Vec<&str> = points.split_whitespace().collect();
            assert_eq!(places.len(), 11);
            for place in places {
                let (x, y) = place.split_once(',').unwrap();
                let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
                assert!((LEFT..=WIDTH - RIGHT).contains(&x));
                assert!((TOP + ABOVE..=TOP + PANEL_HEIGHT).contains(&y));
            }
            count += 1;
        }
        assert_eq!(count, 2);
    }
}
