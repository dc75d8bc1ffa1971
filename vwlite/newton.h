/* Small dense problems: Cholesky factors, and the minimum of a Gaussian prior plus weighted losses by Newton's method.
 *
 * Symmetric matrices and factors are packed by rows: row i of the lower triangle starts at i (i + 1) / 2, so a matrix
 * grows by a row without moving what is there. Sums run in four lanes whose order is written down here: the same bits on
 * every machine. */
#ifndef VWLITE_NEWTON_H
#define VWLITE_NEWTON_H
#include <math.h>
#include <stddef.h>
#include <string.h>

#define VWL_ROW(a, i) ((a) + (size_t)(i) * ((size_t)(i) + 1) / 2)

static inline double vwl_dot_product(const double *a, const double *b, size_t n) {
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        s0 += a[i] * b[i];
        s1 += a[i + 1] * b[i + 1];
        s2 += a[i + 2] * b[i + 2];
        s3 += a[i + 3] * b[i + 3];
    }
    for (; i < n; i++) s0 += a[i] * b[i];
    return (s0 + s1) + (s2 + s3);
}

/* The lower factor L of a = L L', in place. Features that repeat each other with (nearly) no ridge leave a pivot that
 * rounding has eaten: it is lifted to a rounding error of the diagonal, which pins such a direction down. */
static inline void vwl_cholesky(double *a, size_t n) {
    size_t i, j;
    for (i = 0; i < n; i++) {
        double *row = VWL_ROW(a, i);
        const double least = row[i] * 1e-13;
        double pivot;
        for (j = 0; j < i; j++) {
            const double *other = VWL_ROW(a, j);
            row[j] = (row[j] - vwl_dot_product(row, other, j)) / other[j];
        }
        pivot = row[i] - vwl_dot_product(row, row, i);
        if (!(pivot > least)) pivot = least > 0 ? least : 1e-300;
        row[i] = sqrt(pivot);
    }
}

/* L y = b, in place. */
static inline void vwl_forward(const double *factor, size_t n, double *b) {
    size_t i;
    for (i = 0; i < n; i++) {
        const double *row = VWL_ROW(factor, i);
        b[i] = (b[i] - vwl_dot_product(row, b, i)) / row[i];
    }
}

/* L' y = b, in place. */
static inline void vwl_backward(const double *factor, size_t n, double *b) {
    size_t i, j;
    for (i = n; i-- > 0;) {
        const double *row = VWL_ROW(factor, i);
        const double y = b[i] / row[i];
        b[i] = y;
        for (j = 0; j < i; j++) b[j] -= y * row[j];
    }
}

/* r = a x. */
static inline void vwl_multiply(const double *a, size_t n, const double *x, double *r) {
    size_t i, j;
    for (i = 0; i < n; i++) {
        const double *row = VWL_ROW(a, i);
        r[i] = vwl_dot_product(row, x, i + 1);
        for (j = 0; j < i; j++) r[j] += row[j] * x[i];
    }
}

/* log(1 + e^t) and 1 / (1 + e^-t), neither of which overflows. */
static inline double vwl_softplus(double t) { return (t > 0 ? t : 0) + log1p(exp(-fabs(t))); }

static inline double vwl_sigmoid(double t) {
    const double e = exp(-fabs(t));
    return (t >= 0 ? 1 : e) / (1 + e);
}

/* The score that one record of label y (-1 or 1) and weight w moves a score s to, when the score's variance is z: the
 * minimum of (t - s)^2 / 2z + w log(1 + e^-yt), a rising function's root, by Newton's method inside a bracket. */
static inline double vwl_logistic_step(double s, double z, double y, double w) {
    const double start = y * s, most = z * w;
    double low = start, high = start + most, u = start + most * vwl_sigmoid(-start);
    int i;
    for (i = 0; i < 100; i++) {
        const double q = vwl_sigmoid(-u), f = u - start - most * q;
        double next;
        if (f > 0) high = u; else low = u;
        next = u - f / (1 + most * q * (1 - q));
        if (!(next > low && next < high)) next = low + (high - low) / 2;
        if (fabs(next - u) <= 1e-15 * (1 + fabs(next))) { u = next; break; }
        u = next;
    }
    return y * u;
}

/* A batch of one problem: n records of d features (x by rows), a Gaussian prior of precision a (packed) around m. */
typedef struct {
    size_t n, d;
    const double *x, *y, *w, *o;
    int logistic; /* else half squared loss */
    const double *a, *m;
} vwl_batch;

/* Objective sum w loss + (t - m)' a (t - m) / 2; with gradient (d) and curvature x' diag(w c) x (packed) if given. */
static inline double vwl_objective(const vwl_batch *p, const double *t, double *gradient, double *curvature, double *delta) {
    size_t i, j, k;
    double total;
    for (j = 0; j < p->d; j++) delta[j] = t[j] - p->m[j];
    if (gradient) {
        vwl_multiply(p->a, p->d, delta, gradient);
        total = vwl_dot_product(delta, gradient, p->d) / 2;
    } else {
        double *product = delta + p->d;
        vwl_multiply(p->a, p->d, delta, product);
        total = vwl_dot_product(delta, product, p->d) / 2;
    }
    if (curvature) memset(curvature, 0, p->d * (p->d + 1) / 2 * sizeof(double));
    for (i = 0; i < p->n; i++) {
        const double *x = p->x + i * p->d;
        const double s = p->o[i] + vwl_dot_product(x, t, p->d), y = p->y[i], w = p->w[i];
        double g, c;
        if (p->logistic) {
            const double q = vwl_sigmoid(-y * s);
            total += w * vwl_softplus(-y * s);
            g = -w * y * q;
            c = w * q * (1 - q);
        } else {
            total += w * (s - y) * (s - y) / 2;
            g = w * (s - y);
            c = w;
        }
        if (gradient) for (j = 0; j < p->d; j++) gradient[j] += g * x[j];
        if (curvature)
            for (j = 0; j < p->d; j++) {
                double *row = VWL_ROW(curvature, j);
                const double cx = c * x[j];
                if (cx != 0) for (k = 0; k <= j; k++) row[k] += cx * x[k];
            }
    }
    return total;
}

/* Minimises in place, from t; returns the objective there. On return curvature is that of the losses at the minimum, and
 * work starts with the factor of a + curvature. work has room for d (d + 1) / 2 + 5 d. */
static inline double vwl_minimise(const vwl_batch *p, double *t, double *curvature, double *work) {
    const size_t d = p->d, packed = d * (d + 1) / 2;
    double *factor = work, *gradient = work + packed, *delta = gradient + d, *trial = delta + 2 * d, *step = trial + d;
    double value = 0;
    int i, halvings;
    for (i = 0; i < 200; i++) {
        double slope, length = 1, next;
        size_t j;
        value = vwl_objective(p, t, gradient, curvature, delta);
        for (j = 0; j < packed; j++) factor[j] = p->a[j] + curvature[j];
        vwl_cholesky(factor, d);
        for (j = 0; j < d; j++) step[j] = -gradient[j];
        vwl_forward(factor, d, step);
        vwl_backward(factor, d, step);
        slope = -vwl_dot_product(gradient, step, d); /* the squared Newton decrement */
        if (!(slope > 1e-22 * (1 + fabs(value)))) break;
        for (halvings = 0; halvings < 60; halvings++) {
            for (j = 0; j < d; j++) trial[j] = t[j] + length * step[j];
            next = vwl_objective(p, trial, NULL, NULL, delta);
            if (next <= value - 0.25 * length * slope + 1e-15 * fabs(value)) break;
            length /= 2;
        }
        if (halvings == 60) break;
        memcpy(t, trial, d * sizeof(double));
        if (length == 1 && slope <= 1e-13 * (1 + fabs(value))) { /* converges quadratically: this step was the last */
            value = vwl_objective(p, t, gradient, curvature, delta);
            for (j = 0; j < packed; j++) factor[j] = p->a[j] + curvature[j];
            vwl_cholesky(factor, d);
            break;
        }
    }
    return value;
}
#endif
