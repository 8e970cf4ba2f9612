//! A loop takes in what the plant says of itself.

use super::Session;
use crate::error::Result;
use crate::live::description::Description;
use crate::live::order::Order;
use crate::live::tags::Tags;
use crate::schema::{Range, Role};
use crate::spec::TimeSpan;

impl Session<'_> {
    /// Begins a new run at the pace and within the limits of `description`, unless it does not fit a run that has begun.
    ///
    /// # Errors
    /// As [`Description::pace`] before the first sample.
    pub(super) fn describe(&mut self, description: &Description) -> Result<()> {
        let pace = match description.pace(self.plant.log.step_ms) {
            Err(error) if self.runs > 0 => {
                // no line ends a loop that has begun
                if !std::mem::replace(&mut self.ignored, (true, true)).1 {
                    let old = TimeSpan::from_ms(self.dt);
                    self.notes.push(format!("{error}; in mid-run it is ignored, and lines still stand for {old} each"));
                }
                return Ok(());
            }
            pace => pace?,
        };
        self.described = true;
        self.order = Order::default();
        (self.dt, self.ratio) = pace;
        self.tags = Tags::new(self.plant, self.dt)?;
        let names = &description.names;
        self.tell_strangers(names);
        let inputs = [Role::State, Role::Control, Role::Disturbance, Role::Setpoint];
        for tag in self.tags.list.iter().filter(|t| inputs.contains(&t.role)) {
            let name = &self.plant.schema.signals[tag.signal].name;
            if !names.is_empty() && !names.contains(&tag.column) && !names.contains(name) {
                self.notes.push(format!("the plant does not tell `{}`, which the twin knows", tag.column));
            }
        }
        // the plant's own limits count too
        for (&control, limit) in self.ladder.controls.iter().zip(&mut self.ladder.limits) {
            let own = self.plant.schema.signals[control].hard;
            let tag = self.tags.list.iter().find(|t| t.signal == control);
            let range = tag.and_then(|t| Some((t, description.ranges.iter().find(|r| r.0 == t.column)?.1)));
            let Some((tag, range)) = range else { continue };
            let (a, b) = (tag.inside(range.low), tag.inside(range.high));
            let both = Range { low: own.low.max(a.min(b)), high: own.high.min(a.max(b)) };
            if both.low <= both.high {
                limit.hard = both;
            }
        }
        self.kpis = description.kpis.iter().filter(|n| !self.tags.knows(n)).cloned().collect();
        Ok(())
    }
}
