//! Verification of a saving after a change ("measurement and verification", M&V).
//!
//! The consumption of energy or of another resource before the change is modelled as a function of the calendar and of
//! drivers that the change does not affect, such as weather and load. The model then predicts the *adjusted baseline*:
//! the consumption that would have been measured in the reporting period without the change. With the measured
//! consumption E_i and the adjusted baseline Ê_i in interval i,
//!
//! ```text
//! saving S = Σ (Ê_i − E_i) over the m intervals of the reporting period
//! ```
//!
//! The interval of S is the widest of three 90 % intervals, each with half-width U:
//!
//! ```text
//! formula:    U = 1.26 t CV* (ΣÊ_i / m) √(n/n′ · (1 + 2/n′) · m),   n′ = n (1 − ρ)/(1 + ρ)
//! bootstrap:  the 5 % and 95 % quantiles of sums of m out-of-fold errors, drawn in blocks of at least seven days
//! placebo:    U = t m max(a, b), where a is the root mean square of the mean out-of-fold errors over all windows of m
//!             intervals, and b that of the mean errors of forecasts made from all earlier intervals of the baseline
//! ```
//!
//! n is the number of baseline intervals, CV* the coefficient of variation of the out-of-fold errors with n − p degrees
//! of freedom, p the number of coefficients, ρ the lag-1 autocorrelation of the errors, and t a quantile of Student's
//! t. The formula (ASHRAE Guideline 14, with the factor for hourly data) understates the uncertainty if errors are
//! correlated over days. The bootstrap and placebo intervals include the effect of correlated errors. The folds are
//! contiguous, and about as long as the reporting period if the baseline is long enough.
//!
//! | module | content |
//! |---|---|
//! | `intervals` | consumption and drivers per hour or day, computed from the log |
//! | `features` | the inputs of the model |
//! | `baseline` | the fit of the model, and its out-of-fold errors |
//! | `statistics` | goodness of fit |
//! | `saving` | the saving, its interval, and the claim that it supports |
//! | `days` | the consumption and the adjusted baseline per day |
//! | `shift` | a lasting change of the saving within the reporting period |
//! | `outliers` | weeks and days whose consumption is far from the prediction |
//! | `ledger` | all verifications of a plant, compared with the promises of reports |
//! | `result` | the result of a verification |
//! | `trial` | the schedule and the analysis of a randomised on/off trial |

mod baseline;
mod days;
mod event;
mod features;
mod intervals;
mod ledger;
mod outliers;
mod result;
mod saving;
mod shift;
mod statistics;
mod trial;

pub use baseline::{AdjustedBaseline, Settings};
pub use days::{Day, days};
pub use event::NonRoutineEvent;
pub use intervals::{Intervals, Length};
pub use ledger::{Entry, Ledger, Outcome, Promise, PromiseCheck, TrackRecord, hash};
pub use outliers::{Outlier, outliers};
pub use result::{FrozenBaseline, Verification};
pub use saving::{Claim, MIN_MEASURED, Saving};
pub use shift::{Shift, shift};
pub use statistics::Fitness;
pub use trial::{Trial, TrialDay, analyse, plan};
