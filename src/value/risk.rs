//! The risk of an investment: the distribution of its net present value, sensitivities and break-even values.

use serde::{Deserialize, Serialize};

use super::compare::Estimate;
use super::investment::{Investment, irr, sign_changes};
use crate::stats::mean_and_sample_sd;

/// Number of draws from which the net present value is computed.
pub const DRAWS: usize = 40_000;
/// Number of batches of draws from which the standard error of the quantiles is computed.
const BATCHES: usize = 20;
/// Fraction of the draws whose mean is the conditional value at risk.
const WORST: f64 = 0.05;
/// Fractions of the advice that operators follow, for which the net present value is computed.
const RATES: [f64; 3] = [1.0, 0.5, 0.25];
/// Range of an amount or a duration, relative to its value (not tuned).
const RELATIVE: f64 = 0.2;
/// Ranges of the discount rate, the price escalation and the persistence, in absolute terms (not tuned).
const DISCOUNT: f64 = 0.02;
const ESCALATION: f64 = 0.01;
const PERSISTENCE: f64 = 0.02;
/// Limits of the search for a break-even value: longest lifetime in years, and range of the escalation.
const MAX_YEARS: u32 = 100;
const ESCALATIONS: [f64; 2] = [-0.5, 0.5];

/// An input of the net present value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    Saving,
    Capex,
    Opex,
    Lifetime,
    DiscountRate,
    Escalation,
    Persistence,
    Acceptance,
}

/// The net present value if one input changes and all other inputs keep their values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sensitivity {
    pub input: Input,
    /// The value of the input, and the range in which it is varied: P10 to P90 for the saving.
    pub low: f64,
    pub base: f64,
    pub high: f64,
    /// Net present values at `low` and at `high`.
    pub npv_low: f64,
    pub npv_high: f64,
    /// Value of the input at which the net present value is zero; `None` if there is no such value
    /// in the searched range. If there are several values, this is the largest value up to `base`,
    /// or the smallest value if all are above `base`.
    pub break_even: Option<f64>,
    /// Whether the net present value is zero at several values of the input. For the discount rate,
    /// true means that there may be several values, and `break_even` is `None`.
    #[serde(default)]
    pub several: bool,
}

/// The net present value if only a fraction of the advice is followed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Acceptance {
    pub rate: f64,
    pub npv: Estimate,
}

/// The distribution of the net present value over draws of the benefit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Risk {
    pub draws: usize,
    /// Largest standard error of P10, P50 and P90 that is due to the finite number of draws.
    pub standard_error: f64,
    /// Fraction of the draws with a negative net present value.
    pub chance_of_loss: f64,
    /// Mean of the worst 5 % of the draws (conditional value at risk).
    pub worst: f64,
    /// Net present value at the median saving.
    pub npv: f64,
    /// The inputs with the largest effect first.
    pub sensitivities: Vec<Sensitivity>,
    pub acceptance: Vec<Acceptance>,
}

/// The inputs of the net present value.
#[derive(Debug, Clone, Copy)]
struct Inputs {
    investment: Investment,
    saving: f64,
    acceptance: f64,
}

impl Risk {
    /// Computes the risk of `investment` from the `benefit` in the first year and the net present value `npv` of each
    /// draw. `saving` summarises `benefit`.
    pub fn new(investment: &Investment, benefit: &[f64], npv: &[f64], saving: Estimate) -> Self {
        let batches: Vec<Estimate> = npv.chunks(npv.len().div_ceil(BATCHES).max(1)).map(Estimate::over).collect();
        let error = |quantile: fn(&Estimate) -> f64| {
            mean_and_sample_sd(batches.iter().map(quantile)).1 / (batches.len() as f64).sqrt()
        };
        let mut sorted = npv.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let worst = &sorted[..((WORST * sorted.len() as f64) as usize).clamp(1, sorted.len().max(1)).min(sorted.len())];
        let inputs = Inputs { investment: *investment, saving: saving.p50, acceptance: 1.0 };
        let mut sensitivities: Vec<Sensitivity> = Input::ALL
            .into_iter()
            .filter(|input| !matches!(input, Input::Capex | Input::Opex) || inputs.get(*input) != 0.0)
            .map(|input| inputs.sensitivity(input, &saving))
            .collect();
        let effect = |s: &Sensitivity| (s.npv_high - s.npv_low).abs();
        sensitivities.sort_by(|a, b| effect(b).total_cmp(&effect(a)));
        let acceptance = RATES.map(|rate| {
            let scaled: Vec<f64> = benefit.iter().map(|b| rate * b).collect();
            Acceptance { rate, npv: Estimate::over(&investment.npv_of(&scaled)) }
        });
        Self {
            draws: npv.len(),
            standard_error: error(|e| e.p10).max(error(|e| e.p50)).max(error(|e| e.p90)),
            chance_of_loss: npv.iter().filter(|v| **v < 0.0).count() as f64 / npv.len() as f64,
            worst: worst.iter().sum::<f64>() / worst.len() as f64,
            npv: inputs.npv(),
            sensitivities,
            acceptance: acceptance.to_vec(),
        }
    }
}

impl Input {
    const ALL: [Self; 8] = [
        Self::Saving,
        Self::Capex,
        Self::Opex,
        Self::Lifetime,
        Self::DiscountRate,
        Self::Escalation,
        Self::Persistence,
        Self::Acceptance,
    ];
}

impl Inputs {
    fn npv(&self) -> f64 {
        self.investment.npv(self.acceptance * self.saving)
    }

    fn get(&self, input: Input) -> f64 {
        let investment = &self.investment;
        match input {
            Input::Saving => self.saving,
            Input::Capex => investment.capex,
            Input::Opex => investment.opex_per_year,
            Input::Lifetime => investment.lifetime_years,
            Input::DiscountRate => investment.discount_rate,
            Input::Escalation => investment.escalation,
            Input::Persistence => investment.persistence,
            Input::Acceptance => self.acceptance,
        }
    }

    /// Returns the inputs after setting `input` to `value`.
    fn with(mut self, input: Input, value: f64) -> Self {
        let place = match input {
            Input::Saving => &mut self.saving,
            Input::Capex => &mut self.investment.capex,
            Input::Opex => &mut self.investment.opex_per_year,
            Input::Lifetime => &mut self.investment.lifetime_years,
            Input::DiscountRate => &mut self.investment.discount_rate,
            Input::Escalation => &mut self.investment.escalation,
            Input::Persistence => &mut self.investment.persistence,
            Input::Acceptance => &mut self.acceptance,
        };
        *place = value;
        self
    }

    fn sensitivity(self, input: Input, saving: &Estimate) -> Sensitivity {
        let base = self.get(input);
        let (low, high) = match input {
            Input::Saving => (saving.p10, saving.p90),
            Input::Capex | Input::Opex | Input::Lifetime => ((1.0 - RELATIVE) * base, (1.0 + RELATIVE) * base),
            Input::DiscountRate => ((base - DISCOUNT).max(0.0).min(base), base + DISCOUNT),
            Input::Escalation => (base - ESCALATION, base + ESCALATION),
            Input::Persistence => ((base - PERSISTENCE).max(0.0), (base + PERSISTENCE).min(1.0).max(base)),
            Input::Acceptance => (0.5, 1.0),
        };
        let npv = |value: f64| self.with(input, value).npv();
        let (break_even, several) = self.break_even(input);
        Sensitivity { input, low, base, high, npv_low: npv(low), npv_high: npv(high), break_even, several }
    }

    /// The value of `input` at which the net present value is zero (see [`Sensitivity::break_even`]), and whether there
    /// are several such values.
    fn break_even(self, input: Input) -> (Option<f64>, bool) {
        let npv = |value: f64| self.with(input, value).npv();
        // The net present value is a linear function of amounts and of the acceptance rate.
        let linear = |range: [f64; 2]| {
            let zero = -npv(0.0) / (npv(1.0) - npv(0.0));
            if zero.is_finite() && range[0] <= zero && zero <= range[1] { vec![zero] } else { Vec::new() }
        };
        let found = match input {
            Input::Saving => linear([f64::NEG_INFINITY, f64::INFINITY]),
            Input::Capex | Input::Opex => linear([0.0, f64::INFINITY]),
            Input::Acceptance => linear([0.0, 1.0]),
            Input::DiscountRate => {
                let flows = self.investment.flows(self.acceptance * self.saving);
                match irr(&flows) {
                    Ok(rate) => vec![rate],
                    Err(_) => return (None, sign_changes(&flows) > 1),
                }
            }
            // The net present value falls with the lifetime once the saving has fallen below the running cost. Within
            // each year, it only rises or only falls.
            Input::Lifetime => zeros(npv, (0..=MAX_YEARS).map(f64::from)),
            Input::Escalation => zeros(npv, ESCALATIONS),
            Input::Persistence => zeros(npv, [0.0, 1.0]),
        };
        let base = self.get(input);
        let below = found.iter().copied().rfind(|zero| *zero <= base);
        (below.or(found.first().copied()), found.len() > 1)
    }
}

/// Finds the values, in ascending order, at which the sign of `f` changes between points of `grid`,
/// by bisection. Points at which `f` is exactly zero are skipped.
fn zeros(f: impl Fn(f64) -> f64, grid: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let values = grid.into_iter().map(|x| (x, f(x)));
    let signs: Vec<(f64, bool)> =
        values.filter(|(_, y)| y.is_finite() && *y != 0.0).map(|(x, y)| (x, y < 0.0)).collect();
    let zero = |w: &[(f64, bool)]| {
        let ((mut low, negative), (mut high, _)) = (w[0], w[1]);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if (f(middle) < 0.0) == negative {
                low = middle;
            } else {
                high = middle;
            }
        }
        0.5 * (low + high)
    };
    signs.windows(2).filter(|w| w[0].1 != w[1].1).map(zero).collect()
}
