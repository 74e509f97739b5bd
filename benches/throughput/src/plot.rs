//! The CPU table as bars: for each case, every proxy beside Sidekey, which is 1.

use std::fmt::Write as _;

use crate::report::Run;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 210.0;
const BAR: f64 = 11.0;
/// Longer bars are cut, with their figure beside them.
const LONGEST: f64 = 4.0;
const COLOURS: [(&str, &str); 7] = [
    ("sidekey", "#0b7285"),
    ("nginx", "#2f9e44"),
    ("haproxy", "#1971c2"),
    ("envoy", "#ae3ec9"),
    ("caddy", "#e8590c"),
    ("pingora", "#868e96"),
    ("hyper", "#adb5bd"),
];

/// An SVG image.
pub fn svg(run: &Run) -> String {
    let mut bars = String::new();
    let mut y = 56.0;
    for case in &run.cases {
        let Some(own) = run.cpu("sidekey", case) else { continue };
        let others: Vec<_> =
            run.proxies.iter().filter_map(|(name, _)| Some((name.as_str(), run.cpu(name, case)?))).collect();
        let middle = y + BAR * others.len() as f64 / 2.0 + 4.0;
        let _ =
            writeln!(bars, r#"<text x="{}" y="{middle:.0}" text-anchor="end">{case}</text>"#, LEFT - 10.0);
        for (name, micros) in others {
            let ratio = micros / own;
            let length = ratio.min(LONGEST) / LONGEST * (WIDTH - LEFT - 130.0);
            let colour = COLOURS.iter().find(|(own, _)| *own == name).map_or("#000", |(_, colour)| colour);
            let _ = writeln!(
                bars,
                r#"<rect x="{LEFT}" y="{y:.0}" width="{length:.1}" height="{:.0}" fill="{colour}"><title>{name}: {micros:.1} µs</title></rect><text class="figure" x="{:.1}" y="{:.0}">{name} {micros:.1}</text>"#,
                BAR - 1.0,
                LEFT + length + 5.0,
                y + BAR - 2.0
            );
            y += BAR;
        }
        y += 14.0;
    }
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y:.0}" role="img" aria-label="CPU time per request of each proxy, in microseconds">
<style>text {{ font: 13px system-ui, sans-serif; fill: #212529 }} .figure {{ font-size: 9px }} .title {{ font-size: 16px; font-weight: 600 }} svg {{ background: #fff }}</style>
<rect width="100%" height="100%" fill="#fff"/>
<text class="title" x="16" y="26">CPU µs per request, one core: shorter is better</text>
<text class="figure" x="16" y="42">Bars are relative to Sidekey within each case and cut at {LONGEST} times.</text>
{bars}</svg>
"##
    )
}
