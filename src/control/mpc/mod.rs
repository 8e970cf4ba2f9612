//! Model-predictive control (MPC).
//!
//! At the start of every replan interval, MPC simulates the twin over the horizon, finds the moves with the lowest
//! cost, and applies them until the next plan is made. Each particle of a run has its own plan.
//!
//! # The optimisation problem
//!
//! At step k, MPC solves the following problem for each particle:
//!
//! ```text
//!   min  J(U) = ρₛ[ Cˢ ] + κ sdₛ[ Cˢ ] + λ Σₗ ωₗ meanₛ Σₕ v(eₗₕˢ)
//!    U
//!        Cˢ   = Σᵢ pᵢ Kᵢ(xˢ, yˢ, u) + V(xˢ_N)                          objective of future s
//!
//!   s.t. xˢₕ₊₁ = f_m(s)(xˢₕ, uₕ, d̂ₕ) + b + εˢₕ,   xˢ₀ = x(k)           model, h = 0 … N − 1
//!        uₕ    = uₕ₋₁ + clamp(U_j(h) − uₕ₋₁, −Δ⁻, Δ⁺),  u₋₁ = u(k − 1)   move blocking and move limits
//!        u_min ≤ uₕ ≤ u_max                                            hard limits and logged range
//!        uₕ ∈ q ℤ                                                      multiples
//!        uₕ = 0 or uₕ ≥ u_on, with minimum on and off times            switched controls
//!        T_min ≤ Σₕ uₕ ≤ T_max                                         totals
//! ```
//!
//! | Symbol | Meaning | Size |
//! |---|---|---|
//! | U | decision variables: target of each control in each block | M × n_u |
//! | N, M | horizon in steps, number of moves (blocks) | |
//! | j(h) | block of step h ([`blocks`]); the first block is one replan interval | N |
//! | x, y, u, d̂ | states, outputs, controls, forecasts of disturbances and set-points | per step |
//! | S | number of futures (`particles`) | |
//! | m(s) | ensemble member of future s; `None` is the mean of the ensemble | S |
//! | εˢ | noise of future s, the same for all candidates (common random numbers) | N × n_x |
//! | b | estimate of the disturbance observer | n_x |
//! | pᵢ, Kᵢ | price and KPI of the objective, including the KPIs of `terminal` | terms |
//! | V | terminal cost learned from the log, with `cost_to_go`; otherwise the default value of stores ([`end_value`]) | |
//! | ρ | mean, or the `risk` quantile over futures | |
//! | κ | `pessimism`, see below | |
//! | eₗₕˢ | excess over limit l, divided by the width of the limit's range | limits × N × S |
//! | v(e) | e + 0.1 if e > 0, else 0 | |
//! | ωₗ | weight of the limit's rank | limits |
//! | λ | penalty: 1000 × the spread of the first candidates' costs | |
//!
//! **Limits of the plant.** Hard limits on states, outputs and derived signals have rank 0. The ranks of soft limits
//! are given in the settings. Limits are satisfied in lexicographic order: a violation of rank r is never increased to
//! reduce a violation of rank r + 1, and no saving outweighs a violation. Planners that use derivatives enforce
//! the order of the ranks exactly (`planner/step.rs`). Samplers penalise violations with weights ωₗ, which
//! differ by a factor of at most 10⁴ between consecutive ranks.
//!
//! **Constraint tightening.** With `confidence` = p, the limits at step h are tightened by Φ⁻¹(p) σₕ, where σₕ is the
//! standard deviation of the signal over 64 simulated futures of the last plan ([`tighten`]).
//!
//! **Pessimism.** If the current state is at the edge of the training data or outside it, a plan is optimised on up to
//! three ensemble members without noise, and κ standard deviations of their costs are added to the mean cost. Inside
//! the support, κ = 0.
//!
//! **Skill horizon.** N is at most the horizon up to which the model beats persistence on the hold-out, for every
//! learned signal that has a hard limit or affects the objective ([`SkillHorizon`]). For states whose equation is
//! known, the accuracy of the forecasts does not limit the horizon. If the horizon is shortened, the limits on totals
//! are reduced in proportion. The total of a control since the start of a period counts towards the limits of
//! that period ([`periods`]).
//!
//! **Disturbance observer.** After each step, b ← b + L (e − b), with the one-step prediction error e and the gain L =
//! `correction`. Even if the model is biased, the disturbance observer lets signals reach their set-points without a
//! steady-state offset.
//!
//! **Order-up-to levels.** With `base_stock`, U contains an order-up-to level in place of an order. In each future, the
//! order is the order-up-to level minus the inventory position ([`order_up_to`]).
//!
//! **Fallback.** If no candidate has a finite cost, the remaining moves of the last plan are followed. If there is no
//! last plan, the controls are held at their current values.
//!
//! **Cross-fitting.** If a member of the ensemble simulates the plant, as in scenarios, plans in several futures use
//! the other half of the ensemble.
//!
//! The defaults are documented on the fields of [`crate::config::MpcSpec`]. The optimisers are in [`super::planner`].

mod blocks;
mod branches;
mod budget;
mod controller;
mod end_value;
mod evaluator;
mod formulate;
mod frame;
mod futures;
mod inherit;
mod limits;
mod linearise;
mod margins;
mod memory;
mod order_up_to;
#[cfg(test)]
#[path = "../../../tests/unit/control/mpc/oven.rs"]
mod oven;
mod particle_plan;
mod periods;
mod plan_gap;
mod plan_totals;
mod planner_choice;
mod residuals;
mod resolved;
mod rollout;
mod setup;
mod skill_horizon;
mod start;
mod tighten;
mod totals;
mod tuning;
mod violation;

pub use self::budget::Clock;
pub use self::controller::Mpc;
pub use self::limits::planned_range;
#[cfg(test)]
pub use self::periods::Period;
pub use self::plan_gap::PlanGap;
pub use self::planner_choice::{has_switched_control, select_planner};
pub use self::resolved::{ResolvedMpc, require_control, require_objective};
pub use self::skill_horizon::SkillHorizon;
pub use self::totals::TotalSettings;
pub use self::tuning::{ExpectedKpi, MpcSettings, TunedMpc, TuningTrial};

/// Returns the length of the longest block of a plan. All lengths, including the result, are in steps.
pub fn longest_block(horizon: usize, replan: usize, moves: usize) -> usize {
    blocks::Blocks::new(horizon, replan, moves).longest()
}
