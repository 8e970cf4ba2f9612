//! The table of scores in Markdown.

use crate::cell::Question;
use crate::project::Answer;
use crate::score::{Outcome, Score};

pub const HEAD: &str = "| plant | control moved | question, noise, signals | saving | coverage | promised / true | \
                        sd of error | half width | Do / Try / Don’t / Unknown | power | identified | criteria |\n\
                        |---|---|---|---|---|---|---|---|---|---|---|---|\n";

/// A row of the table.
pub fn row(score: &Score) -> String {
    let cell = &score.cell;
    let mut conditions = vec![match cell.question {
        Question::Setpoint => "set-point".to_owned(),
        Question::Mpc => "MPC".to_owned(),
    }];
    conditions.push(if cell.phi == 0.0 { "white noise".to_owned() } else { format!("AR({})", cell.phi) });
    if cell.sensor_noise > 0.0 {
        conditions.push("noisy sensor".to_owned());
    }
    if cell.extra > 0 {
        conditions.push(format!("{} extra signals", cell.extra));
    }
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    let answers = Answer::ALL.map(|a| format!("{:.0}", 100.0 * score.answers(a))).join(" / ");
    let levels = ["identified", "weak", "not_identified"]
        .map(|level| score.promises.iter().filter(|p| p.level == level).count().to_string())
        .join(" / ");
    let dash = || "–".to_owned();
    let mut criteria: Vec<String> =
        score.checks().iter().map(|c| format!("{} {}", mark(c.outcome), c.criterion)).collect();
    if let Some(why) = score.failures.first() {
        let why: String = why.lines().next().unwrap_or("").chars().take(120).collect();
        criteria.push(format!("{} runs failed, the first with `{}`", score.failures.len(), why.replace('|', "/")));
    }
    if score.promises.is_empty() {
        return format!(
            "| {} | {} | {} | – | – | – | – | – | – | – | – | {} |\n",
            cell.plant.name(),
            cell.movement.words(),
            conditions.join(", "),
            criteria.join("<br>")
        );
    }
    format!(
        "| {} | {} | {} | {} | {} ± {} | {} | {} | {:.3} | {answers} | {} | {levels} | {} |\n",
        cell.plant.name(),
        cell.movement.words(),
        conditions.join(", "),
        signed(score.true_saving()),
        percent(score.coverage()),
        percent(score.coverage_error()),
        score.ratio().map_or_else(dash, |r| format!("{r:.3}")),
        score.error_sd().map_or_else(dash, |sd| format!("{sd:.3}")),
        score.half_width(),
        score.power().map_or_else(dash, percent),
        criteria.join("<br>"),
    )
}

fn signed(saving: f64) -> String {
    if saving == 0.0 { "0".to_owned() } else { format!("{saving:+.2}") }
}

fn mark(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passes => "✓",
        Outcome::Undecided => "?",
        Outcome::Fails => "**✗**",
    }
}

/// The number of cells with each outcome, and the names of the cells that do not pass. `model` is the
/// requested model.
pub fn summary(model: &str, scores: &[Score]) -> String {
    let with = |outcome: Outcome| scores.iter().filter(move |s| s.outcome() == outcome);
    let count = |outcome: Outcome| with(outcome).count();
    let mut text = format!(
        "Of {} cells, {} pass, {} are undecided and {} fail.\n",
        scores.len(),
        count(Outcome::Passes),
        count(Outcome::Undecided),
        count(Outcome::Fails)
    );
    let promises = || scores.iter().flat_map(|s| &s.promises);
    let (used, all) = (promises().filter(|p| p.model == model).count(), promises().count());
    if used < all {
        text += &format!(
            "\n`twinopt` always fits `linear` as well and uses the more accurate model. The model `{model}` was used in {used} of \
             {all} runs.\n"
        );
    }
    for (outcome, word) in [(Outcome::Fails, "fails"), (Outcome::Undecided, "undecided")] {
        for score in with(outcome) {
            let reasons: Vec<&str> =
                score.checks().iter().filter(|c| c.outcome == outcome).map(|c| c.criterion).collect();
            text += &format!("\n- {word}: {} ({})", score.cell.name(), reasons.join(", "));
        }
    }
    text + "\n"
}
