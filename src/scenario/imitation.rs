//! The controller that imitates the plant's own controller.

use std::sync::Arc;

use super::plant::Plant;
use crate::compute;
use crate::control::{ControllerSettings, Imitate, ImitationUse};
use crate::error::Result;
use crate::learn::Imitation;
use crate::trajectory::Window;

/// An imitation, and the description of its accuracy in the report.
#[derive(Debug)]
struct Learned {
    imitation: Imitation,
    report: ImitationUse,
}

impl Imitate for Learned {
    fn signal(&self) -> usize {
        self.imitation.signal
    }

    fn report(&self) -> &ImitationUse {
        &self.report
    }

    fn act(&self, window: &Window, out: &mut [f64]) {
        self.imitation.act(window, out);
    }
}

/// Learns the imitations of a controller `as_logged` from the log of `plant`. Other controllers remain unchanged.
///
/// # Errors
/// The errors of [`Imitation::fit`].
pub fn learn(plant: &Plant, settings: &mut ControllerSettings) -> Result<()> {
    let ControllerSettings::AsLogged(settings) = settings else { return Ok(()) };
    let (zone, compute) = (plant.spec.value.zone()?, compute::cpu());
    let (equations, model) = (&plant.compiled.equations, &plant.spec.value.model);
    settings.imitations.clear();
    for &signal in &settings.signals {
        let imitation = Imitation::fit(&plant.log, equations, model, signal, &zone, &compute)?;
        let declared = &plant.schema.signals[signal];
        let quality = imitation.quality;
        let report = ImitationUse {
            control: declared.name.clone(),
            unit: declared.unit.text.clone(),
            explained: quality.explained,
            rmse: quality.rmse,
            inputs: imitation.input_names(&plant.schema).into_iter().map(str::to_owned).collect(),
            poor: quality.poor,
        };
        settings.imitations.push(Arc::new(Learned { imitation, report }));
    }
    Ok(())
}

/// The accuracy of the imitations in a controller `as_logged`; empty for other controllers.
pub fn uses(settings: &ControllerSettings) -> Vec<ImitationUse> {
    match settings {
        ControllerSettings::AsLogged(settings) => settings.reports().cloned().collect(),
        _ => Vec::new(),
    }
}

/// Returns a clause about the least accurate imitation if this imitation is so poor that the baseline may differ from
/// the real operation of the plant.
pub fn caveat(settings: &ControllerSettings) -> Option<String> {
    let poor = uses(settings).into_iter().filter(|u| u.poor);
    let worst = poor.min_by(|a, b| a.explained.total_cmp(&b.explained))?;
    Some(format!(
        "the baseline imitates the plant's own controller, but explains only {:.0} % of the moves of `{}`",
        100.0 * worst.explained.max(0.0),
        worst.control
    ))
}
