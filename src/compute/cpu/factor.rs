//! Cholesky factors and inverses in their place, by recursion into matrix products.
//!
//! Products are sequential and of fixed shapes, and tasks write disjoint blocks: one thread or two give the same bytes.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::matmul::matmul;
use faer::linalg::triangular_inverse::invert_lower_triangular;
use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::prelude::{Reborrow, ReborrowMut};
use faer::{Accum, Mat, MatMut, MatRef, Par};

/// Blocks up to this size are leaves.
const LEAF: usize = 64;
/// Rows or columns of a product that are one task.
const STRIP: usize = 512;

/// Where a matrix of size n is cut: at a multiple of the leaf near the middle.
fn cut(n: usize) -> usize {
    (n / 2).next_multiple_of(LEAF)
}

/// The lower Cholesky factor in the lower triangle; above the diagonal is left undefined. `false` when the matrix is not
/// positive definite.
pub fn cholesky(a: MatMut<f64>) -> bool {
    let n = a.nrows();
    if n <= LEAF {
        let mut room = MemBuffer::new(cholesky_in_place_scratch::<f64>(n, Par::Seq, Default::default()));
        return cholesky_in_place(a, Default::default(), Par::Seq, MemStack::new(&mut room), Default::default())
            .is_ok();
    }
    let (mut a00, _, mut a10, mut a11) = a.split_at_mut(cut(n), cut(n));
    if !cholesky(a00.rb_mut()) {
        return false;
    }
    strips(a10.rb_mut(), &|x| right_solve(a00.rb(), x));
    add_square(a11.rb_mut(), a10.rb(), -1.0);
    cholesky(a11)
}

/// The inverse of a lower triangular matrix in its place.
pub fn invert(l: MatMut<f64>) {
    let n = l.nrows();
    if n <= LEAF {
        let mut inverse = Mat::zeros(n, n);
        invert_lower_triangular(inverse.as_mut(), l.rb(), Par::Seq);
        copy_lower(inverse.as_ref(), l);
        return;
    }
    let (mut l00, _, mut l10, mut l11) = l.split_at_mut(cut(n), cut(n));
    strips(l10.rb_mut().transpose_mut(), &|x| right_solve(l11.rb(), x));
    strips(l10.rb_mut(), &|x| right_divide(l00.rb(), x));
    rayon::join(|| invert(l00.rb_mut()), || invert(l11.rb_mut()));
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
    add_square(l00.rb_mut(), l10.rb().transpose(), 1.0);
    strips(l10.rb_mut().transpose_mut(), &|x| left_multiply(l11.rb(), x.transpose_mut()));
    square(l11.rb_mut());
}

/// X := X L⁻ᵀ.
fn right_solve(l: MatRef<f64>, x: MatMut<f64>) {
    let n = l.nrows();
    if n <= LEAF {
        solve_lower_triangular_in_place(l, x.transpose_mut(), Par::Seq);
        return;
    }
    let (l00, _, l10, l11) = l.split_at(cut(n), cut(n));
    let (mut x0, mut x1) = x.split_at_col_mut(cut(n));
    right_solve(l00, x0.rb_mut());
    matmul(x1.rb_mut(), Accum::Add, x0.rb(), l10.transpose(), -1.0, Par::Seq);
    right_solve(l11, x1);
}

/// X := −X L⁻¹.
fn right_divide(l: MatRef<f64>, x: MatMut<f64>) {
    let n = l.nrows();
    if n <= LEAF {
        let mut x = x;
        // X L⁻¹ = (L⁻ᵀ Xᵀ)ᵀ
        solve_upper_triangular_in_place(l.transpose(), x.rb_mut().transpose_mut(), Par::Seq);
        for column in x.col_iter_mut() {
            for v in column.iter_mut() {
                *v = -*v;
            }
        }
        return;
    }
    let (l00, _, l10, l11) = l.split_at(cut(n), cut(n));
    let (mut x0, mut x1) = x.split_at_col_mut(cut(n));
    right_divide(l11, x1.rb_mut());
    // the sign is turned already
    matmul(x0.rb_mut(), Accum::Add, x1.rb(), l10, 1.0, Par::Seq);
    right_divide(l00, x0);
}

/// X := Lᵀ X.
fn left_multiply(l: MatRef<f64>, x: MatMut<f64>) {
    let n = l.nrows();
    let mut x = x;
    if n <= LEAF {
        let copy = x.rb().to_owned();
        matmul(x, Accum::Replace, clean(l).transpose(), copy.as_ref(), 1.0, Par::Seq);
        return;
    }
    let (l00, _, l10, l11) = l.split_at(cut(n), cut(n));
    let (mut x0, mut x1) = x.rb_mut().split_at_row_mut(cut(n));
    left_multiply(l00, x0.rb_mut());
    matmul(x0, Accum::Add, l10.transpose(), x1.rb(), 1.0, Par::Seq);
    left_multiply(l11, x1.rb_mut());
}

/// Lower triangle of C += sign · A Aᵀ.
pub fn add_square(c: MatMut<f64>, a: MatRef<f64>, sign: f64) {
    let n = c.nrows();
    if n <= LEAF {
        matmul(c, Accum::Add, a, a.transpose(), sign, Par::Seq);
        return;
    }
    let (c00, _, c10, c11) = c.split_at_mut(cut(n), cut(n));
    let (a0, a1) = a.split_at_row(cut(n));
    let below = || rows(c10, a1, &|c, a| matmul(c, Accum::Add, a, a0.transpose(), sign, Par::Seq));
    both(n, below, || both(n, || add_square(c00, a0, sign), || add_square(c11, a1, sign)));
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

/// Runs a task on strips of rows.
fn strips(x: MatMut<f64>, task: &(impl Fn(MatMut<f64>) + Sync)) {
    let n = x.nrows();
    if n <= STRIP {
        task(x);
        return;
    }
    let (a, b) = x.split_at_row_mut((n / 2).next_multiple_of(STRIP));
    rayon::join(|| strips(a, task), || strips(b, task));
}

/// Runs a task on strips of rows of two matrices.
fn rows(c: MatMut<f64>, a: MatRef<f64>, task: &(impl Fn(MatMut<f64>, MatRef<f64>) + Sync)) {
    let n = c.nrows();
    if n <= STRIP {
        task(c, a);
        return;
    }
    let at = (n / 2).next_multiple_of(STRIP);
    let ((c0, c1), (a0, a1)) = (c.split_at_row_mut(at), a.split_at_row(at));
    rayon::join(|| rows(c0, a0, task), || rows(c1, a1, task));
}

/// A copy with zeros above the diagonal.
fn clean(l: MatRef<f64>) -> Mat<f64> {
    Mat::from_fn(l.nrows(), l.ncols(), |i, j| if i < j { 0.0 } else { l[(i, j)] })
}

fn copy_lower(from: MatRef<f64>, to: MatMut<f64>) {
    let mut to = to;
    for j in 0..from.ncols() {
        for i in j..from.nrows() {
            to[(i, j)] = from[(i, j)];
        }
    }
}
