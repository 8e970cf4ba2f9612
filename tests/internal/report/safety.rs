//! Tests that hostile and very long names are printed as inert text.

use serde_json::Value;
use twinopt::report::render;
use twinopt::scenario::results::{Note, NoteKind, Results};

use super::{fixture, save_page};

const HOSTILE: [&str; 9] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</title></style></svg><svg onload=alert(1)>",
    "<!-- --><![CDATA[ ]]>",
    "{{ 7*7 }}{% include \"x\" %}",
    "\u{202e}evil\u{202c}\u{2066}",
    "nul\0esc\u{1b}[31m",
    "=cmd|' /C calc'!A0",
];

/// Keys of `results.json` whose values are enums.
const ENUMS: [&str; 7] = ["kind", "role", "expected", "class", "action", "noise", "input"];

/// The results with every string replaced by `text` and a number that depends on the string, so that different names
/// remain different.
fn poisoned(results: &Results, text: &str) -> Results {
    fn walk(v: &mut Value, text: &str, n: &mut usize) {
        match v {
            Value::String(s) => {
                // Trends, scores and cases are matched by name, so equal names must remain equal.
                let id = s.bytes().fold(7u32, |h, b| h.wrapping_mul(31).wrapping_add(u32::from(b)));
                *s = format!("{text}{id}");
                *n += 1;
            }
            Value::Array(a) => a.iter_mut().for_each(|v| walk(v, text, n)),
            // Enum values are not replaced, because they cannot contain free text.
            Value::Object(o) => {
                o.iter_mut().filter(|(k, _)| !ENUMS.contains(&k.as_str())).for_each(|(_, v)| walk(v, text, n));
            }
            _ => {}
        }
    }
    let mut value = serde_json::to_value(results).unwrap();
    let mut n = 0;
    walk(&mut value, text, &mut n);
    assert!(n > 300);
    serde_json::from_value(value).unwrap()
}

/// Like [`poisoned`], but with the original start times, because the structure of a page depends on them.
fn half_poisoned(results: &Results, text: &str) -> Results {
    let mut out = poisoned(results, text);
    for (s, t) in out.scenarios.iter_mut().zip(&results.scenarios) {
        (s.start, s.error) = (t.start.clone(), t.error.as_ref().map(|_| text.to_owned()));
    }
    out
}

#[test]
fn hostile_text_is_inert() {
    let mut results = fixture::datacenter();
    results.scenarios.truncate(1);
    results.scenarios[0].cases.truncate(2);
    results.scenarios.push(fixture::failed());
    let clean = render(&results).unwrap();
    for (i, text) in HOSTILE.iter().enumerate() {
        for (how, bad) in [("all", poisoned(&results, text)), ("half", half_poisoned(&results, text))] {
            let html = render(&bad).unwrap();
            save_page(&format!("hostile-{i}-{how}.html"), &html);
            for needle in [
                "<script",
                "<img",
                "<!--",
                "<![CDATA",
                "onload=alert(1)>",
                "\0",
                "\u{1b}",
                "\u{202e}",
                "\u{2066}",
                "<svg onload",
            ] {
                assert!(!html.contains(needle), "{needle:?} of {text:?}");
            }
            // No tag may contain an attribute that is not in the templates.
            for tag in html.split('<').skip(1).map(|t| t.split('>').next().unwrap()) {
                let outside: String = tag.split('"').step_by(2).collect();
                assert!(!outside.contains("onerror") && !outside.contains("onmouseover"), "{tag}");
            }
            // Names that contain HTML must not add elements to the page.
            if how == "half" {
                for element in ["<section", "<h1", "<style", "<title>"] {
                    assert_eq!(html.matches(element).count(), clean.matches(element).count(), "{element} of {text:?}");
                }
                assert!(html.matches("<svg").count() > 5);
            }
        }
    }
}

#[test]
fn very_long_names_are_cut_off() {
    let mut results = fixture::datacenter();
    results.scenarios.truncate(1);
    results.scenarios[0].cases.truncate(2);
    let long = "A".repeat(1_000_000);
    results.plant.clone_from(&long);
    results.scenarios[0].question.clone_from(&long);
    results.scenarios[0].name.clone_from(&long);
    results.model.notes = vec![Note { kind: NoteKind::Fit, text: long.clone() }];
    for c in &mut results.scenarios[0].cases {
        c.controller.clone_from(&long);
        for t in &mut c.trends {
            t.signal = format!("{}{}", t.signal, long);
        }
    }
    let html = render(&results).unwrap();
    save_page("long.html", &html);
    assert!(html.len() < 500_000, "{}", html.len());
}
