/* Small dense linear algebra: Cholesky factors, and Newton's method for a Gaussian prior plus weighted losses.
 *
 * Symmetric matrices and factors are packed by rows: row i of the lower triangle starts at i (i + 1) / 2, so a matrix
 * grows by a row without moving the others. Sums run in four lanes of fixed order, so results have the same bits on
 * every machine. */
#ifndef VWLITE_NEWTON_H
#define VWLITE_NEWTON_H
#include <math.h>
#include <stddef.h>
#include <string.h>
#include "vwlite/core/elementary.h"

#define VWL_BEYOND 1e100 /* bound on scores and coefficients: from float32 input, only rounding leads beyond */
#define VWL_COLUMNS 64
#define VWL_ROW(a, i) ((a) + (size_t)(i) * ((size_t)(i) + 1) / 2)

typedef double vwl_pair __attribute__((vector_size(16), aligned(8)));

static inline double vwl_dot_product(const double *a, const double *b, size_t n) {
    vwl_pair s = {0, 0}, t = {0, 0};
    double total;
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        s += *(const vwl_pair *)(a + i) * *(const vwl_pair *)(b + i);
        t += *(const vwl_pair *)(a + i + 2) * *(const vwl_pair *)(b + i + 2);
    }
    s += t;
    total = s[0] + s[1];
    for (; i < n; i++) total += a[i] * b[i];
    return total;
}

/* a += c b */
static inline void vwl_add_scaled(double *a, const double *b, double c, size_t n) {
    const vwl_pair cc = {c, c};
    size_t i = 0;
    for (; i + 2 <= n; i += 2) *(vwl_pair *)(a + i) += cc * *(const vwl_pair *)(b + i);
    for (; i < n; i++) a[i] += c * b[i];
}

/* Pivot of the Cholesky factor, at least a rounding error of its diagonal. Rounding cancels a pivot if features are
 * collinear and the ridge is (nearly) 0; the lower bound fixes that direction. */
static inline double vwl_pivot(double left, double least) {
    return sqrt(left > least ? left : least > 0 ? least : 1e-300);
}

/* Cholesky: rows i to i + 3 of the factor up to column i - 1, i divisible by 4; earlier rows are done. */
static inline void vwl_four_rows(double *a, size_t i) {
    double *const rows[4] = {VWL_ROW(a, i), VWL_ROW(a, i + 1), VWL_ROW(a, i + 2), VWL_ROW(a, i + 3)};
    size_t j, k;
    int r;
    for (j = 0; j < i; j += 2) {
        const double *u = VWL_ROW(a, j), *v = VWL_ROW(a, j + 1);
        vwl_pair s[4] = {{0, 0}, {0, 0}, {0, 0}, {0, 0}}, t[4] = {{0, 0}, {0, 0}, {0, 0}, {0, 0}};
        for (k = 0; k < j; k += 2) {
            const vwl_pair uk = *(const vwl_pair *)(u + k), vk = *(const vwl_pair *)(v + k);
            for (r = 0; r < 4; r++) {
                const vwl_pair x = *(const vwl_pair *)(rows[r] + k);
                s[r] += x * uk;
                t[r] += x * vk;
            }
        }
        for (r = 0; r < 4; r++) {
            const double x = (rows[r][j] - (s[r][0] + s[r][1])) / u[j];
            rows[r][j] = x;
            rows[r][j + 1] = (rows[r][j + 1] - (t[r][0] + t[r][1]) - x * v[j]) / v[j + 1];
        }
    }
}

/* Cholesky: row i of the factor from column `first` on; earlier rows are done. */
static inline void vwl_end_row(double *a, size_t i, size_t first) {
    double *row = VWL_ROW(a, i);
    size_t j;
    for (j = first; j < i; j++) {
        const double *other = VWL_ROW(a, j);
        row[j] = (row[j] - vwl_dot_product(row, other, j)) / other[j];
    }
    row[i] = vwl_pivot(row[i] - vwl_dot_product(row, row, i), row[i] * 1e-13);
}

/* Cholesky factor L of a = L L', in place. A small matrix is processed by columns, whose sums are independent of each
 * other, a large one by rows, which reads memory less often. */
static inline void vwl_cholesky(double *a, size_t n) {
    size_t i, j;
    if (n <= VWL_COLUMNS) {
        double column[VWL_COLUMNS], least[VWL_COLUMNS];
        for (i = 0; i < n; i++) least[i] = VWL_ROW(a, i)[i] * 1e-13;
        for (j = 0; j < n; j++) {
            const double pivot = vwl_pivot(VWL_ROW(a, j)[j], least[j]), scale = 1 / pivot;
            VWL_ROW(a, j)[j] = pivot;
            for (i = j + 1; i < n; i++) {
                double *row = VWL_ROW(a, i);
                column[i] = row[j] *= scale;
                vwl_add_scaled(row + j + 1, column + j + 1, -row[j], i - j);
            }
        }
        return;
    }
    for (i = 0; i < n; i++) {
        if (i % 4 == 0 && i + 4 <= n) vwl_four_rows(a, i);
        vwl_end_row(a, i, n - n % 4 > i ? i - i % 4 : 0);
    }
}

/* Forward substitution: solves L y = b in place, for a b that is zero before `first`. */
static inline void vwl_forward_from(const double *factor, size_t n, size_t first, double *b) {
    size_t i;
    for (i = first; i < n; i++) {
        const double *row = VWL_ROW(factor, i);
        b[i] = (b[i] - vwl_dot_product(row + first, b + first, i - first)) / row[i];
    }
}

/* Forward substitution: solves L y = b in place. */
static inline void vwl_forward(const double *factor, size_t n, double *b) {
    vwl_forward_from(factor, n, 0, b);
}

/* Rank-one update of a Cholesky factor: that of L L' + x x', in place, by Givens rotations (LINPACK's dchud), which are
 * numerically stable: O(n^2). x is zero before `first`, and is overwritten; work has 2 n doubles. Four rows at a time,
 * because the sums of one row depend on each other. */
static inline void vwl_add_outer(double *factor, size_t n, size_t first, double *x, double *work) {
    double *cosines = work, *sines = work + n;
    size_t i, j, k;
    for (i = first; i < n; i += 4) {
        const size_t rows = n - i < 4 ? n - i : 4;
        if (rows == 4) {
            double *const a = VWL_ROW(factor, i), *const b = VWL_ROW(factor, i + 1);
            double *const c = VWL_ROW(factor, i + 2), *const d = VWL_ROW(factor, i + 3);
            double p = x[i], q = x[i + 1], r = x[i + 2], t = x[i + 3];
            for (k = first; k < i; k++) {
                const double u = cosines[k], v = sines[k], ak = a[k], bk = b[k], ck = c[k], dk = d[k];
                a[k] = u * ak + v * p;
                b[k] = u * bk + v * q;
                c[k] = u * ck + v * r;
                d[k] = u * dk + v * t;
                p = u * p - v * ak;
                q = u * q - v * bk;
                r = u * r - v * ck;
                t = u * t - v * dk;
            }
            x[i] = p, x[i + 1] = q, x[i + 2] = r, x[i + 3] = t;
        }
        for (j = i; j < i + rows; j++) {
            double *row = VWL_ROW(factor, j);
            double length;
            for (k = rows == 4 ? i : first; k < j; k++) {
                const double before = row[k];
                row[k] = cosines[k] * before + sines[k] * x[j];
                x[j] = cosines[k] * x[j] - sines[k] * before;
            }
            length = sqrt(row[j] * row[j] + x[j] * x[j]);
            cosines[j] = length > 0 ? row[j] / length : 1;
            sines[j] = length > 0 ? x[j] / length : 0;
            row[j] = length;
        }
    }
}

/* Backward substitution: solves L' y = b in place. */
static inline void vwl_backward(const double *factor, size_t n, double *b) {
    size_t i;
    for (i = n; i-- > 0;) {
        const double *row = VWL_ROW(factor, i);
        const double y = b[i] / row[i];
        b[i] = y;
        vwl_add_scaled(b, row, -y, i);
    }
}

/* r = a x for a symmetric packed a. */
static inline void vwl_multiply(const double *a, size_t n, const double *x, double *r) {
    size_t i;
    for (i = 0; i < n; i++) {
        const double *row = VWL_ROW(a, i);
        r[i] = vwl_dot_product(row, x, i + 1);
        vwl_add_scaled(r, row, x[i], i);
    }
}

/* Logistic function 1 / (1 + e^-t), without overflow. */
static inline double vwl_sigmoid(double t) {
    const double e = vwl_exp(-fabs(t));
    return (t >= 0 ? 1 : e) / (1 + e);
}

/* Posterior mode of a score with the prior N(s, z) after one record of label y (-1 or 1) and weight w: the minimum of
 * (t - s)^2 / 2z + w log(1 + e^-yt), by safeguarded Newton steps on the increasing derivative, to a given accuracy. A
 * step outside of the bracket, or longer than half of the one before, is replaced by bisection. */
static inline double vwl_logistic_root(double s, double z, double y, double w, double digits) {
    const double start = y * s, most = z * w;
    double low = start, high = fmin(start + most, fmax(start, 0) + vwl_log1p(most)); /* log(1 + x) >= x / (1 + x) */
    double u = fmin(start + most * vwl_sigmoid(-start), high), before = high - low;
    int i;
    for (i = 0; i < 2000; i++) {
        const double q = vwl_sigmoid(-u), f = u - start - most * q;
        double next;
        if (f > 0) high = u; else low = u;
        next = u - f / (1 + most * q * (1 - q));
        if (!(next > low && next < high) || fabs(next - u) > before / 2) next = low + (high - low) / 2;
        before = fabs(next - u);
        u = next;
        if (before <= digits * (1 + fabs(u))) break;
    }
    return y * u;
}

static inline double vwl_logistic_step(double s, double z, double y, double w) {
    return vwl_logistic_root(s, z, y, w, 1e-15);
}

/* Moment matching: posterior mean and variance of a score with the prior N(s, z) after one record of label y (-1 or 1)
 * and weight w, the moments of N(t | s, z) (1 + e^-yt)^-w. Trapezoidal rule with equal steps from about the mode to
 * both sides, until terms vanish. For a smooth decaying density the sum is accurate to about 5 digits if steps are 3/4
 * of its width, and no wider than the sigmoid (Trefethen and Weideman 2014). Exponentials at equal steps are computed
 * as products, which is accurate enough for a few of them. */
static inline void vwl_logistic_moments(double s, double z, double y, double w, double *mean, double *variance) {
    const double mode = vwl_logistic_root(s, z, y, w, 1e-3), q = vwl_sigmoid(mode), u = y * mode;
    const double step = fmin(0.75 * sqrt(z / (1 + z * w * q * (1 - q))), 1);
    double total = 1, first = 0, second = 0;
    int side, i;
    for (side = -1; side <= 1; side += 2) {
        if (w == 1 && fabs(u) < 300 && z < 100) {
            const double at_mode = vwl_exp(-u), scale = 1 + at_mode;
            const double less = vwl_exp(-side * y * step), fall = vwl_exp(-step * step / z);
            double e = at_mode * less, gauss = vwl_exp(-side * step * (mode - s) / z - step * step / (2 * z));
            double slower = vwl_exp(-side * step * (mode - s) / z - 3 * step * step / (2 * z));
            for (i = 1; i < 200; i++) {
                const double mass = gauss * scale / (1 + e), x = side * i * step;
                total += mass;
                first += mass * x;
                second += mass * x * x;
                if (mass < 1e-9) break;
                e *= less;
                gauss *= slower;
                slower *= fall;
            }
            continue;
        }
        for (i = 1; i < 10000; i++) {
            const double x = side * i * step, v = u + y * x;
            const double loss = (v < 0 ? -v : 0) + vwl_log1p(vwl_exp(-fabs(v))); /* log(1 + e^-v) */
            const double loss_at_mode = (u < 0 ? -u : 0) + vwl_log1p(vwl_exp(-fabs(u)));
            const double density = -x * (2 * (mode - s) + x) / (2 * z) - w * (loss - loss_at_mode);
            const double mass = vwl_exp(density);
            total += mass;
            first += mass * x;
            second += mass * x * x;
            if (density < -32) break;
        }
    }
    first /= total;
    *mean = mode + first;
    *variance = second / total - first * first;
}

/* Batch: n records of d features (x by rows), and a Gaussian prior of mean m and precision a (packed). */
typedef struct {
    size_t n, d;
    const double *x, *y, *w, *o;
    int logistic; /* else half squared loss */
    const double *a, *m;
} vwl_batch;

/* First and second derivative of each record's loss, times its weight, at scores s. */
static inline void vwl_slopes(const vwl_batch *p, const double *s, double *slopes, double *curvatures) {
    size_t i;
    for (i = 0; i < p->n; i++) {
        const double y = p->y[i], w = p->w[i];
        if (p->logistic) {
            const double e = vwl_exp(-fabs(s[i])), q = (y * s[i] >= 0 ? e : 1) / (1 + e); /* q = 1 / (1 + e^ys) */
            slopes[i] = -w * y * q;
            curvatures[i] = w * q * (1 - q);
        } else {
            slopes[i] = w * (s[i] - y);
            curvatures[i] = w;
        }
    }
}

/* Weighted Gram matrix x' diag(c) x, packed. */
static inline void vwl_gram(const vwl_batch *p, const double *c, double *total) {
    const size_t n = p->n, d = p->d;
    size_t i, j, k;
    memset(total, 0, d * (d + 1) / 2 * sizeof(double));
    for (i = 0; i < n; i += 2) {
        const double *x = p->x + i * d, *z = i + 1 < n ? x + d : x;
        const double cx = c[i], cz = i + 1 < n ? c[i + 1] : 0;
        double *row = total;
        for (j = 0; j < d; row += ++j) {
            const double a = cx * x[j], b = cz * z[j];
            const vwl_pair aa = {a, a}, bb = {b, b};
            if (a == 0 && b == 0) continue;
            for (k = 0; k + 2 <= j + 1; k += 2)
                *(vwl_pair *)(row + k) += aa * *(const vwl_pair *)(x + k) + bb * *(const vwl_pair *)(z + k);
            if (k <= j) row[k] += a * x[k] + b * z[k];
        }
    }
}

/* Scores of the records at coefficients t. */
static inline void vwl_scores(const vwl_batch *p, const double *t, double *s) {
    size_t i;
    for (i = 0; i < p->n; i++) s[i] = p->o[i] + vwl_dot_product(p->x + i * p->d, t, p->d);
}

/* Gradient: the prior's part plus that of the losses. */
static inline void vwl_gradient(const vwl_batch *p, const double *pull, const double *slopes, double *gradient) {
    size_t i;
    memcpy(gradient, pull, p->d * sizeof(double));
    for (i = 0; i < p->n; i++) vwl_add_scaled(gradient, p->x + i * p->d, slopes[i], p->d);
}

/* Objective sum w loss + (t - m)' a (t - m) / 2 at t, for scores s and pull = a (t - m). */
static inline double vwl_objective(const vwl_batch *p, const double *t, const double *pull, const double *s) {
    double total = 0;
    size_t i;
    for (i = 0; i < p->d; i++) total += (t[i] - p->m[i]) * pull[i] / 2;
    for (i = 0; i < p->n; i++) {
        const double y = p->y[i];
        total += p->w[i] * (p->logistic ? (y * s[i] < 0 ? fabs(s[i]) : 0) + vwl_log1p(vwl_exp(-fabs(s[i])))
                                        : (s[i] - y) * (s[i] - y) / 2);
    }
    return total;
}

/* Line search: length of the step from scores s that minimises the objective, to a tenth, by safeguarded Newton steps.
 * The prior's part has the slope pull at the start and the curvature stiffness. On return there, slopes and curvatures
 * are those at the end. */
static inline double vwl_length(const vwl_batch *p, const double *s, const double *along, double pull,
                                double stiffness, double *there, double *slopes, double *curvatures) {
    double low = 0, high = INFINITY, length = 1;
    int i;
    for (i = 0;; i++) {
        double slope = pull + length * stiffness, curvature = stiffness;
        size_t k;
        for (k = 0; k < p->n; k++) there[k] = s[k] + length * along[k];
        vwl_slopes(p, there, slopes, curvatures);
        slope += vwl_dot_product(along, slopes, p->n);
        for (k = 0; k < p->n; k++) curvature += along[k] * along[k] * curvatures[k];
        if (!(fabs(slope) > 0.1 * length * curvature) || i == 50) return length;
        if (slope > 0) high = length; else low = length;
        if (high - low < 0.01 * low) return length;
        length -= slope / curvature;
        if (!(length > low && length < high)) length = high == INFINITY ? 2 * low : low > 0 ? (low + high) / 2 : high / 8;
    }
}

/* Newton's method: minimises the objective from t in place; returns its minimum. On return curvature is that of the
 * losses there. work has d (d + 1) / 2 + 4 d + 5 n doubles.
 *
 * A line search sets the length of each step. A factor is reused as long as that pays. If a batch adds little to a
 * strong prior, the first factor is the prior's: after many batches like this one, its steps differ in length only. */
static inline double vwl_minimise(const vwl_batch *p, double *t, double *curvature, double *work) {
    const size_t n = p->n, d = p->d, packed = d * (d + 1) / 2;
    double *factor = work, *pull = factor + packed, *gradient = pull + d, *step = gradient + d, *pull_along = step + d;
    double *s = pull_along + d, *along = s + n, *slopes = along + n, *curvatures = slopes + n, *there = curvatures + n;
    double before = INFINITY, added = 0, known = 0;
    int stale, here = 0, i; /* stale: the factor is of another point; here: the curvature is of this point */
    int exact = 0;          /* the last step used the factor of its own point */
    size_t j;
    for (j = 0; j < d; j++) step[j] = t[j] - p->m[j];
    vwl_multiply(p->a, d, step, pull);
    vwl_scores(p, t, s);
    vwl_slopes(p, s, slopes, curvatures);
    for (j = 0; j < n; j++) added += curvatures[j] * vwl_dot_product(p->x + j * d, p->x + j * d, d);
    for (j = 0; j < d; j++) known += VWL_ROW(p->a, j)[j];
    stale = p->logistic && added < 0.25 * known;
    if (stale) {
        memcpy(factor, p->a, packed * sizeof(double));
        vwl_cholesky(factor, d);
    }
    for (i = 0; i < 200; i++) {
        double slope, length;
        vwl_gradient(p, pull, slopes, gradient);
        for (;;) {
            if (!stale) {
                vwl_gram(p, curvatures, curvature);
                here = 1;
                for (j = 0; j < packed; j++) factor[j] = p->a[j] + curvature[j];
                vwl_cholesky(factor, d);
            }
            for (j = 0; j < d; j++) step[j] = -gradient[j];
            vwl_forward(factor, d, step);
            slope = vwl_dot_product(step, step, d); /* the squared Newton decrement, in nats if logistic */
            if (!stale || slope < 0.05 * before) break;
            stale = 0;
        }
        /* Newton's steps square a small decrement: one that stays is due to rounding, which is unbounded in directions
         * with almost no curvature, such as those of collinear features. */
        if (!(slope > 1e-22) || (exact && before < 1e-6 && slope > 0.01 * before)) break;
        exact = !stale;
        vwl_backward(factor, d, step);
        for (j = 0; j < n; j++) along[j] = vwl_dot_product(p->x + j * d, step, d);
        vwl_multiply(p->a, d, step, pull_along);
        length = vwl_length(p, s, along, vwl_dot_product(step, pull, d), vwl_dot_product(step, pull_along, d), there,
                            slopes, curvatures);
        for (j = 0; j < d; j++) {
            t[j] += length * step[j];
            pull[j] += length * pull_along[j];
        }
        memcpy(s, there, n * sizeof(double));
        here = 0;
        /* Predicted next slope: convergence is linear with an old factor, quadratic with one of this point. The second
         * step of squared loss only corrects the rounding of the first. */
        if (!p->logistic ? i == 1 : slope * (!stale ? (length == 1 ? slope : 1) : i ? slope / before : 1) <= 1e-22) break;
        before = slope;
        stale = 1;
    }
    if (!here) vwl_gram(p, curvatures, curvature);
    return vwl_objective(p, t, pull, s);
}
#endif
