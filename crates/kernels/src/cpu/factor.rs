//! Computes Cholesky factors and inverses in place, using a recursion that consists mostly of matrix products.
//!
//! Each matrix product is sequential and has a fixed shape, and the tasks write disjoint blocks, so the result does not
//! depend on the number of threads. Products are twice as fast if the matrix on the right is read along its columns.
//! For this reason, the factorisation computes the transpose of the factor in the upper triangle,
//! whereas the inversion works in the lower triangle.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::matmul::matmul;
use faer::linalg::triangular_inverse::invert_lower_triangular;
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::prelude::{Reborrow, ReborrowMut};
use faer::{Accum, Mat, MatMut, MatRef, Par};

/// The recursion stops at blocks of this size or smaller.
const LEAF: usize = 32;
/// Number of columns or rows per task in a matrix product.
const STRIP: usize = 512;
/// Number of rows and columns of a tile that is transposed at once.
const TILE: usize = 16;

/// Returns the index at which a matrix of size n is split: n / 2, rounded up to a multiple of [`LEAF`].
fn middle(n: usize) -> usize {
    (n / 2).next_multiple_of(LEAF)
}

/// Overwrites the lower triangle with the lower Cholesky factor. The elements above the diagonal are left undefined.
/// Returns `false` if the matrix is not positive definite.
pub fn cholesky(a: MatMut<f64>) -> bool {
    let mut a = a;
    symmetrise(a.rb_mut().transpose_mut());
    let definite = factor(a.rb_mut());
    symmetrise(a);
    definite
}

/// Overwrites the upper triangle of A with the factor U of A = Uᵀ U. Only the upper triangle is read. The elements
/// below the diagonal are left undefined. Returns `false` if the matrix is not positive definite.
pub fn factor(a: MatMut<f64>) -> bool {
    let n = a.nrows();
    if n <= LEAF {
        return factor_leaf(a);
    }
    let (mut a00, mut a01, _, mut a11) = a.split_at_mut(middle(n), middle(n));
    if !factor(a00.rb_mut()) {
        return false;
    }
    columns(a01.rb_mut(), &|x| solve(a00.rb(), x));
    upper_minus_square(a11.rb_mut(), a01.rb());
    factor(a11)
}

fn factor_leaf(a: MatMut<f64>) -> bool {
    let (n, mut a) = (a.nrows(), a);
    let mut l = transposed(a.rb());
    let mut buffer = MemBuffer::new(cholesky_in_place_scratch::<f64>(n, Par::Seq, Default::default()));
    let stack = MemStack::new(&mut buffer);
    let definite = cholesky_in_place(l.as_mut(), Default::default(), Par::Seq, stack, Default::default()).is_ok();
    for j in 0..n {
        a.rb_mut().col_mut(j).subrows_mut(0, j + 1).copy_from(l.row(j).subcols(0, j + 1).transpose());
    }
    definite
}

/// X := U⁻ᵀ X.
fn solve(u: MatRef<f64>, x: MatMut<f64>) {
    let n = u.nrows();
    if n <= LEAF {
        solve_lower_triangular_in_place(transposed(u).as_ref(), x, Par::Seq);
        return;
    }
    let (u00, u01, _, u11) = u.split_at(middle(n), middle(n));
    let (mut x0, mut x1) = x.split_at_row_mut(middle(n));
    solve(u00, x0.rb_mut());
    matmul(x1.rb_mut(), Accum::Add, u01.transpose(), x0.rb(), -1.0, Par::Seq);
    solve(u11, x1);
}

/// Subtracts Aᵀ A from C, updating only the upper triangle of C.
fn upper_minus_square(c: MatMut<f64>, a: MatRef<f64>) {
    let n = c.nrows();
    if n <= LEAF {
        matmul(c, Accum::Add, a.transpose(), a, -1.0, Par::Seq);
        return;
    }
    let (c00, c01, _, c11) = c.split_at_mut(middle(n), middle(n));
    let (a0, a1) = a.split_at_col(middle(n));
    let right = || columns_with(c01, a1, &|c, a| matmul(c, Accum::Add, a0.transpose(), a, -1.0, Par::Seq));
    both(n, right, || both(n, || upper_minus_square(c00, a0), || upper_minus_square(c11, a1)));
}

/// Inverts a lower triangular matrix in place. The elements above the diagonal are neither read nor written.
pub fn invert(l: MatMut<f64>) {
    let n = l.nrows();
    if n <= LEAF {
        let mut inverse = Mat::zeros(n, n);
        invert_lower_triangular(inverse.as_mut(), l.rb(), Par::Seq);
        copy_lower(inverse.as_ref(), l);
        return;
    }
    let (mut l00, _, mut l10, mut l11) = l.split_at_mut(middle(n), middle(n));
    both(n, || invert(l00.rb_mut()), || invert(l11.rb_mut()));
    // −L₁₁⁻¹ L₁₀ L₀₀⁻¹
    columns(l10.rb_mut(), &|x| multiply(l11.rb(), x));
    rows(l10, &|x| multiply_right(l00.rb(), x));
}

/// X := L X.
fn multiply(l: MatRef<f64>, x: MatMut<f64>) {
    let (n, mut x) = (l.nrows(), x);
    if n <= LEAF {
        let copy = x.rb().to_owned();
        matmul(x, Accum::Replace, lower_triangle(l).as_ref(), copy.as_ref(), 1.0, Par::Seq);
        return;
    }
    let (l00, _, l10, l11) = l.split_at(middle(n), middle(n));
    let (mut x0, mut x1) = x.rb_mut().split_at_row_mut(middle(n));
    multiply(l11, x1.rb_mut());
    matmul(x1, Accum::Add, l10, x0.rb(), 1.0, Par::Seq);
    multiply(l00, x0.rb_mut());
}

/// X := −X L.
fn multiply_right(l: MatRef<f64>, x: MatMut<f64>) {
    let (n, mut x) = (l.nrows(), x);
    if n <= LEAF {
        let copy = x.rb().to_owned();
        matmul(x, Accum::Replace, copy.as_ref(), lower_triangle(l).as_ref(), -1.0, Par::Seq);
        return;
    }
    let (l00, _, l10, l11) = l.split_at(middle(n), middle(n));
    let (mut x0, mut x1) = x.rb_mut().split_at_col_mut(middle(n));
    multiply_right(l00, x0.rb_mut());
    matmul(x0, Accum::Add, x1.rb(), l10, -1.0, Par::Seq);
    multiply_right(l11, x1.rb_mut());
}

/// Computes X := X U for an upper triangular matrix U with zeros below its diagonal.
pub fn multiply_upper(u: MatRef<f64>, x: MatMut<f64>) {
    let (n, mut x) = (u.nrows(), x);
    if n <= LEAF {
        let copy = x.rb().to_owned();
        matmul(x, Accum::Replace, copy.as_ref(), u, 1.0, Par::Seq);
        return;
    }
    let (u00, u01, _, u11) = u.split_at(middle(n), middle(n));
    let (mut x0, mut x1) = x.rb_mut().split_at_col_mut(middle(n));
    multiply_upper(u11, x1.rb_mut());
    matmul(x1, Accum::Add, x0.rb(), u01, 1.0, Par::Seq);
    multiply_upper(u00, x0.rb_mut());
}

/// Overwrites a lower triangular matrix L with the lower triangle of Lᵀ L.
pub fn square(l: MatMut<f64>) {
    let n = l.nrows();
    if n <= LEAF {
        let lower = lower_triangle(l.rb());
        let mut product = Mat::zeros(n, n);
        matmul(product.as_mut(), Accum::Replace, lower.transpose(), lower.as_ref(), 1.0, Par::Seq);
        copy_lower(product.as_ref(), l);
        return;
    }
    let (mut l00, _, mut l10, mut l11) = l.split_at_mut(middle(n), middle(n));
    square(l00.rb_mut());
    lower_plus_square(l00.rb_mut(), l10.rb());
    columns(l10.rb_mut(), &|x| multiply_transposed(l11.rb(), x));
    square(l11.rb_mut());
}

/// X := Lᵀ X.
fn multiply_transposed(l: MatRef<f64>, x: MatMut<f64>) {
    let (n, mut x) = (l.nrows(), x);
    if n <= LEAF {
        let copy = x.rb().to_owned();
        matmul(x, Accum::Replace, lower_triangle(l).transpose(), copy.as_ref(), 1.0, Par::Seq);
        return;
    }
    let (l00, _, l10, l11) = l.split_at(middle(n), middle(n));
    let (mut x0, mut x1) = x.rb_mut().split_at_row_mut(middle(n));
    multiply_transposed(l00, x0.rb_mut());
    matmul(x0, Accum::Add, l10.transpose(), x1.rb(), 1.0, Par::Seq);
    multiply_transposed(l11, x1.rb_mut());
}

/// Adds Aᵀ A to C, updating only the lower triangle of C.
pub fn lower_plus_square(c: MatMut<f64>, a: MatRef<f64>) {
    let n = c.nrows();
    if n <= LEAF {
        matmul(c, Accum::Add, a.transpose(), a, 1.0, Par::Seq);
        return;
    }
    let (c00, _, c10, c11) = c.split_at_mut(middle(n), middle(n));
    let (a0, a1) = a.split_at_col(middle(n));
    let below = || columns_with(c10, a0, &|c, a| matmul(c, Accum::Add, a1.transpose(), a, 1.0, Par::Seq));
    both(n, below, || both(n, || lower_plus_square(c00, a0), || lower_plus_square(c11, a1)));
}

/// Runs two tasks (in parallel if the matrix size n is large).
fn both(n: usize, a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
    if n > STRIP {
        rayon::join(a, b);
    } else {
        a();
        b();
    }
}

/// Splits a matrix into strips of columns, and runs a task on each strip in parallel.
fn columns(x: MatMut<f64>, task: &(impl Fn(MatMut<f64>) + Sync)) {
    let n = x.ncols();
    if n <= STRIP {
        task(x);
        return;
    }
    let (a, b) = x.split_at_col_mut((n / 2).next_multiple_of(STRIP));
    rayon::join(|| columns(a, task), || columns(b, task));
}

/// Splits a matrix into strips of rows, and runs a task on each strip in parallel.
fn rows(x: MatMut<f64>, task: &(impl Fn(MatMut<f64>) + Sync)) {
    let n = x.nrows();
    if n <= STRIP {
        task(x);
        return;
    }
    let (a, b) = x.split_at_row_mut((n / 2).next_multiple_of(STRIP));
    rayon::join(|| rows(a, task), || rows(b, task));
}

/// Splits two matrices into strips of columns, and runs a task on each pair of strips in parallel.
fn columns_with(c: MatMut<f64>, a: MatRef<f64>, task: &(impl Fn(MatMut<f64>, MatRef<f64>) + Sync)) {
    let n = c.ncols();
    if n <= STRIP {
        task(c, a);
        return;
    }
    let at = (n / 2).next_multiple_of(STRIP);
    let ((c0, c1), (a0, a1)) = (c.split_at_col_mut(at), a.split_at_col(at));
    rayon::join(|| columns_with(c0, a0, task), || columns_with(c1, a1, task));
}

/// Copies the transpose of the upper triangle to the lower triangle. If `a` is a transposed view of a matrix, the lower
/// triangle of that matrix is copied to its upper triangle.
pub fn symmetrise(a: MatMut<f64>) {
    let (n, mut a) = (a.ncols(), a);
    for top in (0..n).step_by(TILE) {
        for left in (top..n).step_by(TILE) {
            for i in top..n.min(top + TILE) {
                for j in left.max(i + 1)..n.min(left + TILE) {
                    a[(j, i)] = a[(i, j)];
                }
            }
        }
    }
}

/// Returns a copy of the lower triangle with zeros above the diagonal.
pub fn lower_triangle(l: MatRef<f64>) -> Mat<f64> {
    let mut copy = Mat::zeros(l.nrows(), l.ncols());
    copy_lower(l, copy.as_mut());
    copy
}

/// Returns the transpose of the upper triangle, with zeros above the diagonal.
fn transposed(u: MatRef<f64>) -> Mat<f64> {
    let mut l = Mat::zeros(u.nrows(), u.ncols());
    for j in 0..u.ncols() {
        l.row_mut(j).subcols_mut(0, j + 1).copy_from(u.col(j).subrows(0, j + 1).transpose());
    }
    l
}

fn copy_lower(from: MatRef<f64>, to: MatMut<f64>) {
    let (n, mut to) = (from.nrows(), to);
    for j in 0..n {
        to.rb_mut().col_mut(j).subrows_mut(j, n - j).copy_from(from.col(j).subrows(j, n - j));
    }
}
