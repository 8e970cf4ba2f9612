//! Solves with a triangular factor.

use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::prelude::ReborrowMut;
use faer::{MatMut, MatRef, Par};
use rayon::prelude::*;

use crate::kernel::Solve;

/// Columns of right-hand sides per task. A task is a fixed range of columns, so the number of threads changes no result.
const COLUMNS: usize = 128;

/// Solves with the lower triangle of `l`, in place of `b`.
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
