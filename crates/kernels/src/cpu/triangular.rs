//! Solves linear systems with a triangular factor.

use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::prelude::ReborrowMut;
use faer::{MatMut, MatRef, Par};
use rayon::prelude::*;

use crate::kernel::Solve;

/// Number of right-hand sides per task. Each task solves a fixed range of columns, so results do not depend on the
/// number of threads.
const COLUMNS: usize = 128;

/// Solves linear systems with the lower triangle of `l`. The solutions overwrite the right-hand sides `b`.
pub fn solve_columns(l: MatRef<f64>, b: MatMut<f64>, which: Solve) {
    b.par_col_chunks_mut(COLUMNS).for_each(|mut b| {
        if which != Solve::Backward {
            solve_lower_triangular_in_place(l, b.rb_mut(), Par::Seq);
        }
        if which != Solve::Forward {
            solve_upper_triangular_in_place(l.transpose(), b, Par::Seq);
        }
    });
}
