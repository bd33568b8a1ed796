//! Curves as an SVG, one panel per axis.

/// Points that belong together.
#[derive(Clone, Debug)]
pub struct Curve {
    /// What grows to the right.
    pub axis: &'static str,
    /// What the curve is called.
    pub name: &'static str,
    /// In milliseconds.
    pub points: Vec<(f64, f64)>,
}

/// A drawing of curves.
#[derive(Clone, Copy, Debug)]
pub struct Plot<'a> {
    /// What stands above it.
    pub title: &'a str,
    /// Those of one axis stand together.
    pub curves: &'a [Curve],
}

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 260.0;
const MARGIN: f64 = 48.0;
const COLOURS: [&str; 3] = ["#1f6f8b", "#c8553d", "#6b705c"];

impl Plot<'_> {
    /// The drawing.
    pub fn svg(&self) -> String {
        let mut axes: Vec<&str> = self.curves.iter().map(|curve| curve.axis).collect();
        axes.dedup();
        let width = (WIDTH + 2.0 * MARGIN) * count(axes.len());
        let height = HEIGHT + 3.0 * MARGIN;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
             <text x=\"{MARGIN}\" y=\"24\" font-size=\"14\">{}</text>\n",
            self.title
        );
        for (panel, axis) in axes.iter().enumerate() {
            let left = MARGIN + (WIDTH + 2.0 * MARGIN) * count(panel);
            let curves: Vec<_> = self.curves.iter().filter(|curve| curve.axis == *axis).collect();
            draw(&mut svg, left, axis, &curves);
        }
        svg + "</svg>\n"
    }
}

fn draw(svg: &mut String, left: f64, axis: &str, curves: &[&Curve]) {
    let points = || curves.iter().flat_map(|curve| curve.points.iter().copied());
    let most = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::MIN_POSITIVE, f64::max);
    let (right, top) = (most(&mut points().map(|it| it.0)), most(&mut points().map(|it| it.1)));
    let bottom = HEIGHT + MARGIN;
    let x = |value: f64| left + value / right * WIDTH;
    let y = |value: f64| bottom - value / top * HEIGHT;
    let mut line = |text: String| svg.push_str(&(text + "\n"));
    line(format!(
        "<path d=\"M{left} {MARGIN}V{bottom}H{}\" fill=\"none\" stroke=\"#444\"/>",
        left + WIDTH
    ));
    for part in 0..=4 {
        let (across, up) = (right * f64::from(part) / 4.0, top * f64::from(part) / 4.0);
        line(format!("<text x=\"{}\" y=\"{}\">{across:.1}</text>", x(across) - 8.0, bottom + 16.0));
        line(format!("<text x=\"{}\" y=\"{}\">{up:.1}</text>", left - 36.0, y(up) + 4.0));
    }
    line(format!(
        "<text x=\"{left}\" y=\"{}\">{axis} (milliseconds upwards)</text>",
        bottom + 36.0
    ));
    for (index, (curve, colour)) in curves.iter().zip(COLOURS).enumerate() {
        let steps = curve.points.iter().enumerate().map(|(at, (across, up))| {
            let step = if at == 0 { 'M' } else { 'L' };
            format!("{step}{:.1} {:.1}", x(*across), y(*up))
        });
        let path: String = steps.collect();
        line(format!("<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"));
        let place = MARGIN + 14.0 * (count(index) + 1.0);
        line(format!(
            "<text x=\"{}\" y=\"{place}\" fill=\"{colour}\">{}</text>",
            left + 12.0,
            curve.name
        ));
    }
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
