//! Converts the SVG written by `plotters` to compact elements with CSS classes (see the module [`super`]).
//!
//! Each mark becomes `<path class=…>` or `<text class=…>` with relative coordinates. Points within a third of a pixel
//! of the line through their neighbours are dropped.

use std::fmt::Write as _;

use super::Ink;

/// Coordinates are in half pixels, because `plotters` rounds them to integers.
pub const UNITS_PER_PIXEL: f64 = 2.0;

/// Maximum distance of a dropped point from the simplified line, in drawing units.
const TOLERANCE: f64 = 0.6;

/// Converts `raw`, an SVG document written by `plotters`, to compact SVG elements without the root element.
pub fn compact(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len() / 3);
    let mut rest = raw;
    // `plotters` escapes text, so `<` and `>` only delimit tags.
    while let Some(open) = rest.find('<') {
        let Some(close) = rest[open..].find('>').map(|i| open + i) else { break };
        let tag = rest[open + 1..close].trim_end_matches('/');
        rest = &rest[close + 1..];
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let get = |key: &str| attribute(attributes, key);
        match name {
            "polyline" => path(&mut out, &get("stroke"), points(&get("points")), false),
            "polygon" => path(&mut out, &get("fill"), points(&get("points")), true),
            "line" => {
                let xy = |a, b| (number(&get(a)), number(&get(b)));
                path(&mut out, &get("stroke"), vec![xy("x1", "y1"), xy("x2", "y2")], false);
            }
            "rect" | "circle" => {
                let ink = if get("fill") == "none" { get("stroke") } else { get("fill") };
                let _ = write!(out, "<{name} class={}", class(&ink));
                let keys: &[&str] = if name == "rect" { &["x", "y", "width", "height"] } else { &["cx", "cy", "r"] };
                for key in keys {
                    let _ = write!(out, " {key}={}", number(&get(key)));
                }
                out.push_str("></");
                out.push_str(name);
                out.push('>');
            }
            "text" => {
                let end = rest.find('<').unwrap_or(rest.len());
                let anchor = match get("text-anchor").as_str() {
                    "end" => " e",
                    "middle" => " m",
                    _ => "",
                };
                let _ = write!(
                    out,
                    "<text class=\"{}{anchor}\" x={} y={}>{}</text>",
                    class(&get("fill")),
                    number(&get("x")),
                    number(&get("y")),
                    rest[..end].trim_matches('\n'),
                );
                rest = &rest[end..];
            }
            _ => {}
        }
    }
    out
}

fn attribute(attributes: &str, key: &str) -> String {
    let find = || {
        let at = attributes.find(&format!("{key}=\""))?;
        // A search for the attribute `x="` must not match inside `cx="`.
        let full_key = at == 0 || attributes.as_bytes()[at - 1] == b' ';
        let value = &attributes[at + key.len() + 2..];
        full_key.then(|| value[..value.find('"').unwrap_or(0)].to_owned())
    };
    find().unwrap_or_default()
}

fn number(text: &str) -> i64 {
    text.parse().unwrap_or(0)
}

fn points(text: &str) -> Vec<(i64, i64)> {
    text.split_whitespace().filter_map(|p| p.split_once(',')).map(|(x, y)| (number(x), number(y))).collect()
}

fn class(colour: &str) -> String {
    Ink::class(colour.get(5..7).and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or(0))
}

fn path(out: &mut String, ink: &str, points: Vec<(i64, i64)>, close: bool) {
    let kept = simplify(&points);
    let Some(&(mut x, mut y)) = kept.first() else { return };
    let _ = write!(out, "<path class={} d=\"M{x} {y}l", class(ink));
    let mut first = true;
    for &(px, py) in &kept[1..] {
        for d in [px - x, py - y] {
            if !first && d >= 0 {
                out.push(' ');
            }
            let _ = write!(out, "{d}");
            first = false;
        }
        (x, y) = (px, py);
    }
    if first {
        out.push_str("0 0");
    }
    out.push_str(if close { "z\"/>" } else { "\"/>" });
}

/// Ramer–Douglas–Peucker algorithm (1972): drops points whose distance from the simplified line is within the
/// tolerance.
fn simplify(points: &[(i64, i64)]) -> Vec<(i64, i64)> {
    if points.len() < 3 {
        return points.to_vec();
    }
    let mut keep = vec![false; points.len()];
    keep[0] = true;
    keep[points.len() - 1] = true;
    let mut open = vec![(0, points.len() - 1)];
    while let Some((a, b)) = open.pop() {
        let far = (a + 1..b)
            .map(|i| (i, distance(points[i], points[a], points[b])))
            .max_by(|p, q| p.1.total_cmp(&q.1))
            .filter(|(_, d)| *d > TOLERANCE);
        if let Some((i, _)) = far {
            keep[i] = true;
            open.extend([(a, i), (i, b)]);
        }
    }
    points.iter().zip(keep).filter_map(|(p, k)| k.then_some(*p)).collect()
}

/// Distance of `p` from the segment `a`–`b`.
fn distance(p: (i64, i64), a: (i64, i64), b: (i64, i64)) -> f64 {
    let [px, py, ax, ay, bx, by] = [p.0, p.1, a.0, a.1, b.0, b.1].map(|v| v as f64);
    let (dx, dy) = (bx - ax, by - ay);
    let length = dx * dx + dy * dy;
    let t = if length > 0.0 { (((px - ax) * dx + (py - ay) * dy) / length).clamp(0.0, 1.0) } else { 0.0 };
    (px - ax - t * dx).hypot(py - ay - t * dy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_become_relative_paths_with_classes() {
        let raw = "<svg width=\"9\" height=\"9\">\n<polyline fill=\"none\" opacity=\"1\" stroke=\"#000010\" stroke-width=\"1\" points=\"1,2 4,6 7,2 \"/>\n\
                   <text x=\"5\" y=\"6\" dy=\"0.5ex\" text-anchor=\"end\" fill=\"#000003\">\n&lt;script&gt;\n</text>\n</svg>\n";
        assert_eq!(
            compact(raw),
            "<path class=l0 d=\"M1 2l3 4 3-4\"/><text class=\"lb e\" x=5 y=6>&lt;script&gt;</text>"
        );
    }

    #[test]
    fn simplification_keeps_corners() {
        let line: Vec<(i64, i64)> = (0..100).map(|i| (i, 0)).chain((0..100).map(|i| (99, i))).collect();
        assert_eq!(simplify(&line), [(0, 0), (99, 0), (99, 99)]);
    }
}
