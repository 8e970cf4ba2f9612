//! Cholesky factors and inverses in their place, by recursion into matrix products.
//!
//! Products are sequential and of fixed shapes, and tasks write disjoint blocks: one thread or two give the same bytes.
//! The right-hand matrix of every product is read down its columns, because the product is half as fast across them: so
//! the factor is computed as its transpose, in the upper triangle, and inverted in the lower one.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::matmul::matmul;
use faer::linalg::triangular_inverse::invert_lower_triangular;
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::prelude::{Reborrow, ReborrowMut};
use faer::{Accum, Mat, MatMut, MatRef, Par};

/// Blocks up to this size are leaves.
const LEAF: usize = 32;
/// Columns or rows of a product that are one task.
const STRIP: usize = 512;
/// Rows and columns that are transposed at a time.
const TILE: usize = 16;

/// Where a matrix of size n is cut: at a multiple of the leaf near the middle.
fn cut(n: usize) -> usize {
    (n / 2).next_multiple_of(LEAF)
}

/// The lower Cholesky factor of the lower triangle in its place; above the diagonal is left undefined. `false` when the
/// matrix is not positive definite.
pub fn cholesky(a: MatMut<f64>) -> bool {
    let mut a = a;
    fold(a.rb_mut().transpose_mut());
    let whole = factor(a.rb_mut());
    fold(a);
    whole
}

/// U with Uᵀ U = A in the upper triangle, which is all that is read; below the diagonal is left undefined. `false` when
/// the matrix is not positive definite.
pub fn factor(a: MatMut<f64>) -> bool {
    let n = a.nrows();
    if n <= LEAF {
        return factor_leaf(a);
    }
    let (mut a00, mut a01, _, mut a11) = a.split_at_mut(cut(n), cut(n));
    if !factor(a00.rb_mut()) {
        return false;
    }
    columns(a01.rb_mut(), &|x| solve(a00.rb(), x));
    upper_minus_square(a11.rb_mut(), a01.rb());
    factor(a11)
}

fn factor_leaf(a: MatMut<f64>) -> bool {
    let (n, mut a) = (a.nrows(), a);
    let mut l = turned(a.rb());
    let mut room = MemBuffer::new(cholesky_in_place_scratch::<f64>(n, Par::Seq, Default::default()));
    let stack = MemStack::new(&mut room);
    let whole = cholesky_in_place(l.as_mut(), Default::default(), Par::Seq, stack, Default::default()).is_ok();
    for j in 0..n {
        a.rb_mut().col_mut(j).subrows_mut(0, j + 1).copy_from(l.row(j).subcols(0, j + 1).transpose());
    }
    whole
}

/// X := U⁻ᵀ X.
fn solve(u: MatRef<f64>, x: MatMut<f64>) {
    let n = u.nrows();
    if n <= LEAF {
        solve_lower_triangular_in_place(turned(u).as_ref(), x, Par::Seq);
        return;
    }
    let (u00, u01, _, u11) = u.split_at(cut(n), cut(n));
    let (mut x0, mut x1) = x.split_at_row_mut(cut(n));
    solve(u00, x0.rb_mut());
    matmul(x1.rb_mut(), Accum::Add, u01.transpose(), x0.rb(), -1.0, Par::Seq);
    solve(u11, x1);
}

/// Upper triangle of C −= Aᵀ A.
fn upper_minus_square(c: MatMut<f64>, a: MatRef<f64>) {
    let n = c.nrows();
    if n <= LEAF {
        matmul(c, Accum::Add, a.transpose(), a, -1.0, Par::Seq);
        return;
    }
    let (c00, c01, _, c11) = c.split_at_mut(cut(n), cut(n));
    let (a0, a1) = a.split_at_col(cut(n));
    let beside = || columns_with(c01, a1, &|c, a| matmul(c, Accum::Add, a0.transpose(), a, -1.0, Par::Seq));
    both(n, beside, || both(n, || upper_minus_square(c00, a0), || upper_minus_square(c11, a1)));
}

/// The inverse of a lower triangular matrix in its place; above the diagonal is not touched.
pub fn invert(l: MatMut<f64>) {
    let n = l.nrows();
    if n <= LEAF {
        let mut inverse = Mat::zeros(n, n);
        invert_lower_triangular(inverse.as_mut(), l.rb(), Par::Seq);
        copy_lower(inverse.as_ref(), l);
        return;
    }
    let (mut l00, _, mut l10, mut l11) = l.split_at_mut(cut(n), cut(n));
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
        matmul(x, Accum::Replace, clean(l).as_ref(), copy.as_ref(), 1.0, Par::Seq);
        return;
    }
    let (l00, _, l10, l11) = l.split_at(cut(n), cut(n));
    let (mut x0, mut x1) = x.rb_mut().split_at_row_mut(cut(n));
    multiply(l11, x1.rb_mut());
    matmul(x1, Accum::Add, l10, x0.rb(), 1.0, Par::Seq);
    multiply(l00, x0.rb_mut());
}

/// X := −X L.
fn multiply_right(l: MatRef<f64>, x: MatMut<f64>) {
    let (n, mut x) = (l.nrows(), x);
    if n <= LEAF {
        let copy = x.rb().to_owned();
        matmul(x, Accum::Replace, copy.as_ref(), clean(l).as_ref(), -1.0, Par::Seq);
        return;
    }
    let (l00, _, l10, l11) = l.split_at(cut(n), cut(n));
    let (mut x0, mut x1) = x.rb_mut().split_at_col_mut(cut(n));
    multiply_right(l00, x0.rb_mut());
    matmul(x0, Accum::Add, x1.rb(), l10, -1.0, Par::Seq);
    multiply_right(l11, x1.rb_mut());
}

/// X := X U of an upper triangular matrix, below whose diagonal are zeros.
pub fn multiply_upper(u: MatRef<f64>, x: MatMut<f64>) {
    let (n, mut x) = (u.nrows(), x);
    if n <= LEAF {
        let copy = x.rb().to_owned();
        matmul(x, Accum::Replace, copy.as_ref(), u, 1.0, Par::Seq);
        return;
    }
    let (u00, u01, _, u11) = u.split_at(cut(n), cut(n));
    let (mut x0, mut x1) = x.rb_mut().split_at_col_mut(cut(n));
    multiply_upper(u11, x1.rb_mut());
    matmul(x1, Accum::Add, x0.rb(), u01, 1.0, Par::Seq);
    multiply_upper(u00, x0.rb_mut());
}

/// Lᵀ L of a lower triangular matrix, in its lower triangle.
pub fn square(l: MatMut<f64>) {
    let n = l.nrows();
    if n <= LEAF {
        let lower = clean(l.rb());
        let mut product = Mat::zeros(n, n);
        matmul(product.as_mut(), Accum::Replace, lower.transpose(), lower.as_ref(), 1.0, Par::Seq);
        copy_lower(product.as_ref(), l);
        return;
    }
    let (mut l00, _, mut l10, mut l11) = l.split_at_mut(cut(n), cut(n));
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
        matmul(x, Accum::Replace, clean(l).transpose(), copy.as_ref(), 1.0, Par::Seq);
        return;
    }
    let (l00, _, l10, l11) = l.split_at(cut(n), cut(n));
    let (mut x0, mut x1) = x.rb_mut().split_at_row_mut(cut(n));
    multiply_transposed(l00, x0.rb_mut());
    matmul(x0, Accum::Add, l10.transpose(), x1.rb(), 1.0, Par::Seq);
    multiply_transposed(l11, x1.rb_mut());
}

/// Lower triangle of C += Aᵀ A.
pub fn lower_plus_square(c: MatMut<f64>, a: MatRef<f64>) {
    let n = c.nrows();
    if n <= LEAF {
        matmul(c, Accum::Add, a.transpose(), a, 1.0, Par::Seq);
        return;
    }
    let (c00, _, c10, c11) = c.split_at_mut(cut(n), cut(n));
    let (a0, a1) = a.split_at_col(cut(n));
    let below = || columns_with(c10, a0, &|c, a| matmul(c, Accum::Add, a1.transpose(), a, 1.0, Par::Seq));
    both(n, below, || both(n, || lower_plus_square(c00, a0), || lower_plus_square(c11, a1)));
}

/// Runs two tasks, side by side where they are large.
fn both(n: usize, a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
    if n > STRIP {
        rayon::join(a, b);
    } else {
        a();
        b();
    }
}

/// Runs a task on strips of columns.
fn columns(x: MatMut<f64>, task: &(impl Fn(MatMut<f64>) + Sync)) {
    let n = x.ncols();
    if n <= STRIP {
        task(x);
        return;
    }
    let (a, b) = x.split_at_col_mut((n / 2).next_multiple_of(STRIP));
    rayon::join(|| columns(a, task), || columns(b, task));
}

/// Runs a task on strips of rows.
fn rows(x: MatMut<f64>, task: &(impl Fn(MatMut<f64>) + Sync)) {
    let n = x.nrows();
    if n <= STRIP {
        task(x);
        return;
    }
    let (a, b) = x.split_at_row_mut((n / 2).next_multiple_of(STRIP));
    rayon::join(|| rows(a, task), || rows(b, task));
}

/// Runs a task on strips of columns of two matrices.
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

/// Copies the upper triangle to the lower, transposed; with the transpose of a matrix the lower to the upper.
pub fn fold(a: MatMut<f64>) {
    let (n, mut a) = (a.ncols(), a);
    for above in (0..n).step_by(TILE) {
        for left in (above..n).step_by(TILE) {
            for i in above..n.min(above + TILE) {
                for j in left.max(i + 1)..n.min(left + TILE) {
                    a[(j, i)] = a[(i, j)];
                }
            }
        }
    }
}

/// A copy with zeros above the diagonal.
pub fn clean(l: MatRef<f64>) -> Mat<f64> {
    let mut copy = Mat::zeros(l.nrows(), l.ncols());
    copy_lower(l, copy.as_mut());
    copy
}

/// The transpose of an upper triangle, with zeros above the diagonal.
fn turned(u: MatRef<f64>) -> Mat<f64> {
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
