//! MPC whose moves are checked in the same way as by `twinopt control`: a move that leaves the
//! support of the model is reduced, or replaced by the move of the plant's own controller.

use super::{Control, Controller, Mpc, Observation, PlanGap, SkillHorizon, limited, since, states_known, supported};
use crate::error::Result;
use crate::schema::Role;
use crate::trajectory::{Frame, Window};
use crate::twin::{Dynamics, Support};

/// The number of planned moves that were changed, over all steps and particles.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GateUse {
    /// Number of moves.
    pub moves: usize,
    /// Number of moves that were reduced to stay within the support.
    pub reduced: usize,
    /// Number of moves that were replaced by moves of the plant's own controller.
    pub replaced: usize,
}

/// MPC whose moves stay within the support of the model. Controls that MPC does not plan follow the plant's own
/// controller.
pub struct GatedMpc<'a> {
    dynamics: &'a dyn Dynamics,
    mpc: Mpc<'a>,
    /// The plant's own controller. Controls that this controller does not set keep their logged values.
    own: Box<dyn Controller + 'a>,
    /// All controls.
    controls: Vec<usize>,
    /// The controls that are set by MPC or by `own`. Controls that are not in this list keep their logged values, even
    /// outside their limits.
    set: Vec<usize>,
    used: GateUse,
}

impl<'a> GatedMpc<'a> {
    pub fn new(mpc: Mpc<'a>, own: Box<dyn Controller + 'a>, dynamics: &'a dyn Dynamics) -> Self {
        let controls = dynamics.schema().with_role(Role::Control);
        let is_set = |c: &usize| mpc.signals().contains(c) || own.signals().contains(c);
        let set = controls.iter().copied().filter(is_set).collect();
        Self { dynamics, mpc, own, controls, set, used: GateUse::default() }
    }

    /// Writes `control`, clamped to the limits, into the current frame of `window`.
    fn write(&self, control: &Control, window: &mut Window) {
        for (&c, values) in control.signals.iter().zip(&control.values) {
            for (row, value) in values.iter().enumerate() {
                let clamped = self.clamped(window, c, row, *value);
                window.column_mut(c, 0)[row] = clamped;
            }
        }
    }

    /// The value nearest to `value` that the limits of control `c` allow; the previous value if `value` is NaN. A
    /// control that keeps its logged values is not clamped.
    fn clamped(&self, window: &Window, c: usize, row: usize, value: f64) -> f64 {
        if !self.set.contains(&c) {
            return value;
        }
        let (signal, before) = (&self.dynamics.schema().signals[c], window.column(c, 1)[row]);
        let value = limited(signal, before, since(signal, c, window, row), value);
        if value.is_finite() { value } else { before }
    }

    /// The values of all controls in the current frame of `window`.
    fn current(&self, window: &Window, row: usize) -> Vec<f64> {
        self.controls.iter().map(|&c| window.column(c, 0)[row]).collect()
    }

    /// Returns the controls that replace the unsupported move of particle `row` in the current
    /// frame of `window`. Returns `None` if the controls `own` must be used instead.
    fn reduced(
        &mut self,
        observation: &Observation,
        window: &Window,
        row: usize,
        own: &[f64],
    ) -> Result<Option<Vec<f64>>> {
        let requested = self.current(window, row);
        let mut single =
            Window::new(self.dynamics.schema().len(), window.depth(), 1, window.time(), self.dynamics.step_ms());
        single.broadcast_from(window, row);
        let known = states_known(self.dynamics, |s| single.column(s, 0)[0]);
        let planned = self.mpc.signals();
        let held = self.controls.iter().zip(own).map(|(c, own)| {
            let before = self.clamped(&single, *c, 0, single.column(*c, 1)[0]);
            if planned.contains(c) { before } else { *own }
        });
        let held: Vec<f64> = held.collect();
        let mut candidates = supported(own.to_vec(), vec![held], requested, known, |moves| {
            for (&c, v) in self.controls.iter().zip(moves.iter_mut()) {
                *v = self.clamped(&single, c, 0, *v);
                single.column_mut(c, 0)[0] = *v;
            }
            Ok(self.dynamics.support(&single).first().copied().unwrap_or(Support::Outside))
        })?;
        if candidates.len() < 2 {
            return Ok(candidates.pop());
        }
        let at: Vec<usize> = planned.iter().filter_map(|s| self.controls.iter().position(|c| c == s)).collect();
        let planned: Vec<Vec<f64>> = candidates.iter().map(|m| at.iter().map(|&i| m[i]).collect()).collect();
        let cheapest = self.mpc.cheapest(observation, row, &planned).unwrap_or(0);
        Ok(Some(candidates.swap_remove(cheapest)))
    }
}

impl Controller for GatedMpc<'_> {
    fn signals(&self) -> &[usize] {
        &self.set
    }

    fn depth(&self) -> usize {
        self.mpc.depth().max(self.own.depth()).max(self.dynamics.depth()).max(2)
    }

    fn skill_horizon(&self) -> Option<SkillHorizon> {
        self.mpc.skill_horizon()
    }

    fn plan_gap(&self) -> Option<PlanGap> {
        self.mpc.plan_gap()
    }

    fn end_values(&self) -> Vec<(usize, f64)> {
        self.mpc.end_values()
    }

    fn gate_use(&self) -> Option<GateUse> {
        Some(self.used)
    }

    fn act(&mut self, observation: &Observation, control: &mut Control) -> Result<()> {
        let mut window = observation.window.clone();
        let mut own = Control::new(self.own.signals().to_vec(), window.rows());
        self.own.act(observation, &mut own)?;
        self.write(&own, &mut window);
        let own: Vec<Vec<f64>> = (0..window.rows()).map(|row| self.current(&window, row)).collect();
        let observation = Observation { window: &window.clone(), ..*observation };
        let mut planned = Control::new(self.mpc.signals().to_vec(), window.rows());
        self.mpc.act(&observation, &mut planned)?;
        self.write(&planned, &mut window);
        let labels = self.dynamics.support(&window);
        for (row, own) in own.iter().enumerate() {
            self.used.moves += 1;
            let failed = planned.values.iter().any(|v| !v[row].is_finite());
            let moves = match labels.get(row) {
                _ if failed => None,
                Some(Support::Outside) => self.reduced(&observation, &window, row, own)?,
                _ => Some(self.current(&window, row)),
            };
            match &moves {
                None => self.used.replaced += 1,
                Some(moves) => self.used.reduced += usize::from(*moves != self.current(&window, row)),
            }
            let is_planned = moves.as_ref().is_some_and(|m| *m == self.current(&window, row));
            let mut moves = moves.unwrap_or_else(|| own.clone());
            if !is_planned {
                // A reduced or replaced move must not violate a limit on a total, such as forbidden hours.
                self.mpc.keep_totals(&observation, row, &self.controls, &mut moves);
            }
            let moves = self.controls.iter().zip(&moves);
            let set = moves.filter(|(c, _)| self.set.contains(c));
            control.values.iter_mut().zip(set).for_each(|(column, (_, v))| column[row] = *v);
        }
        Ok(())
    }
}
