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

#define VWL_BEYOND 1e100 /* scores and coefficients that numbers of float32 only lead to by rounding */
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
    size_t i;
    for (i = n; i-- > 0;) {
        const double *row = VWL_ROW(factor, i);
        const double y = b[i] / row[i];
        b[i] = y;
        vwl_add_scaled(b, row, -y, i);
    }
}

/* r = a x. */
static inline void vwl_multiply(const double *a, size_t n, const double *x, double *r) {
    size_t i;
    for (i = 0; i < n; i++) {
        const double *row = VWL_ROW(a, i);
        r[i] = vwl_dot_product(row, x, i + 1);
        vwl_add_scaled(r, row, x[i], i);
    }
}

/* 1 / (1 + e^-t), which does not overflow. */
static inline double vwl_sigmoid(double t) {
    const double e = exp(-fabs(t));
    return (t >= 0 ? 1 : e) / (1 + e);
}

/* The score that one record of label y (-1 or 1) and weight w moves a score s to, when the score's variance is z: the
 * minimum of (t - s)^2 / 2z + w log(1 + e^-yt), a rising function's root. Newton's method inside a bracket, which is halved
 * wherever a step is outside of it or more than half of the step before. */
static inline double vwl_logistic_step(double s, double z, double y, double w) {
    const double start = y * s, most = z * w;
    double low = start, high = fmin(start + most, fmax(start, 0) + log1p(most)); /* log(1 + x) >= x / (1 + x) */
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
        if (before <= 1e-15 * (1 + fabs(u))) break;
    }
    return y * u;
}

/* Mean and variance of a score that was N(s, z) before one record of label y (-1 or 1) and weight w: moments of
 * N(t | s, z) (1 + e^-yt)^-w, summed over equal steps from its mode to both sides until nothing is left. For a smooth
 * density that falls off the sum is good to some 5 digits when steps are 3/4 of its width, and no wider than the sigmoid
 * (Trefethen and Weideman 2014). */
static inline void vwl_logistic_moments(double s, double z, double y, double w, double *mean, double *variance) {
    const double mode = vwl_logistic_step(s, z, y, w), q = vwl_sigmoid(mode);
    const double step = fmin(0.75 * sqrt(z / (1 + z * w * q * (1 - q))), 1), at_mode = y * mode;
    const double loss_at_mode = (at_mode < 0 ? -at_mode : 0) + log1p(exp(-fabs(at_mode)));
    double total = 1, first = 0, second = 0;
    int side, i;
    for (side = -1; side <= 1; side += 2)
        for (i = 1; i < 10000; i++) {
            const double x = side * i * step, u = y * (mode + x);
            const double loss = (u < 0 ? -u : 0) + log1p(exp(-fabs(u))); /* log(1 + e^-u) */
            const double density = -x * (2 * (mode - s) + x) / (2 * z) - w * (loss - loss_at_mode);
            const double mass = exp(density);
            total += mass;
            first += mass * x;
            second += mass * x * x;
            if (density < -32) break;
        }
    first /= total;
    *mean = mode + first;
    *variance = second / total - first * first;
}

/* A batch of one problem: n records of d features (x by rows), a Gaussian prior of precision a (packed) around m. */
typedef struct {
    size_t n, d;
    const double *x, *y, *w, *o;
    int logistic; /* else half squared loss */
    const double *a, *m;
} vwl_batch;

/* Objective sum w loss + (t - m)' a (t - m) / 2, with its gradient (d) and the losses' curvature x' diag(w c) x (packed);
 * delta has room for d. */
static inline double vwl_objective(const vwl_batch *p, const double *t, double *gradient, double *curvature,
                                   double *delta) {
    const size_t d = p->d;
    size_t i, j;
    double total;
    for (j = 0; j < d; j++) delta[j] = t[j] - p->m[j];
    vwl_multiply(p->a, d, delta, gradient);
    total = vwl_dot_product(delta, gradient, d) / 2;
    memset(curvature, 0, d * (d + 1) / 2 * sizeof(double));
    for (i = 0; i < p->n; i++) {
        const double *x = p->x + i * d;
        const double s = p->o[i] + vwl_dot_product(x, t, d), y = p->y[i], w = p->w[i];
        double g, c, *row = curvature;
        if (p->logistic) {
            const double e = exp(-fabs(s)), q = (y * s >= 0 ? e : 1) / (1 + e); /* q = 1 / (1 + e^ys) */
            total += w * ((y * s < 0 ? fabs(s) : 0) + log1p(e));
            g = -w * y * q;
            c = w * q * (1 - q);
        } else {
            total += w * (s - y) * (s - y) / 2;
            g = w * (s - y);
            c = w;
        }
        vwl_add_scaled(gradient, x, g, d);
        for (j = 0; j < d; row += ++j)
            if (x[j] != 0) vwl_add_scaled(row, x, c * x[j], j + 1);
    }
    return total;
}

/* Minimises in place, from t; returns the objective there. On return curvature is that of the losses at the minimum.
 * work has room for d (d + 1) + 5 d. */
static inline double vwl_minimise(const vwl_batch *p, double *t, double *curvature, double *work) {
    const size_t d = p->d, packed = d * (d + 1) / 2;
    double *factor = work, *other = work + packed, *gradient = other + packed, *trial = gradient + d, *step = trial + d;
    double *ahead = step + d, *delta = ahead + d;
    double value = vwl_objective(p, t, gradient, curvature, delta);
    int i, halvings;
    for (i = 0; i < 200; i++) {
        double slope, length = 1, next = 0;
        size_t j;
        for (j = 0; j < packed; j++) factor[j] = p->a[j] + curvature[j];
        vwl_cholesky(factor, d);
        for (j = 0; j < d; j++) step[j] = -gradient[j];
        vwl_forward(factor, d, step);
        slope = vwl_dot_product(step, step, d); /* the squared Newton decrement */
        if (!(slope > 1e-22 * (1 + fabs(value)))) break;
        vwl_backward(factor, d, step);
        for (halvings = 0; halvings < 60; halvings++) {
            for (j = 0; j < d; j++) trial[j] = t[j] + length * step[j];
            next = vwl_objective(p, trial, ahead, other, delta);
            if (next <= value - 0.25 * length * slope + 1e-15 * fabs(value)) break;
            length /= 2;
        }
        if (halvings == 60) break;
        memcpy(t, trial, d * sizeof(double));
        memcpy(gradient, ahead, d * sizeof(double));
        memcpy(curvature, other, packed * sizeof(double));
        value = next;
        /* quadratic convergence: nothing is left. A logistic loss is in nats; what offsets add to it says nothing of t */
        if (length == 1 && slope <= 1e-11 * (p->logistic ? 1 : 1 + fabs(value))) break;
    }
    return value;
}
#endif
