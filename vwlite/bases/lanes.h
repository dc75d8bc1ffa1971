/* Loops over several weight vectors, VWL_LANES of them at a time, one in each lane: scores, the rates of the usual
 * update, and the step. lanes.h is included by vectors.h for each number of lanes; results don't depend on it, since no
 * vector has anything to do with the others.
 *
 * `at` has a pointer to the weight of the first of all vectors for each feature, `place` is the first vector of these. */

typedef float VWL_N(vwl_floats) __attribute__((vector_size(4 * VWL_LANES)));
typedef int32_t VWL_N(vwl_masks) __attribute__((vector_size(4 * VWL_LANES)));
#define V VWL_N(vwl_floats)
#define M VWL_N(vwl_masks)

VWL_TARGET static inline V VWL_N(vwl_load)(const float *p) {
    V v;
    memcpy(&v, p, sizeof v);
    return v;
}

VWL_TARGET static inline V VWL_N(vwl_pick)(M mask, V a, V b) { return (V)((mask & (M)a) | (~mask & (M)b)); }

/* sum w x, in the order of vwl_dot. */
VWL_TARGET static void VWL_N(vwl_scores)(float *const *at, const vwl_feature *f, size_t n, size_t place, float *sums) {
    V a = {0}, b = {0}, c = {0}, d = {0};
    size_t j;
    for (j = 0; j + 4 <= n; j += 4) {
        a += VWL_N(vwl_load)(at[j] + place) * f[j].value;
        b += VWL_N(vwl_load)(at[j + 1] + place) * f[j + 1].value;
        c += VWL_N(vwl_load)(at[j + 2] + place) * f[j + 2].value;
        d += VWL_N(vwl_load)(at[j + 3] + place) * f[j + 3].value;
    }
    for (; j < n; j++) a += VWL_N(vwl_load)(at[j] + place) * f[j].value;
    a = (a + b) + (c + d);
    memcpy(sums, &a, sizeof a);
}

/* vwl_rate of the active lanes for a feature at p; the others keep all but R, which has no meaning between updates. */
VWL_TARGET static inline void VWL_N(vwl_rate)(float *p, size_t apart, float value, V g2, M active, V *sum, V *norm) {
    const float size = fabsf(value), x = size < VWL_TINY ? VWL_TINY : size, x2 = x * x;
    const V none = {0}, most = none + FLT_MAX, g_before = VWL_N(vwl_load)(p + apart);
    V g = g_before + g2 * x2, m = VWL_N(vwl_load)(p + 2 * apart), inverse, rate, share;
    const M grown = (none + x > m) & active;
    g = VWL_N(vwl_pick)(g <= most, g, most);
    g = VWL_N(vwl_pick)(active, g, g_before);
    memcpy(p + apart, &g, sizeof g);
    if (VWL_ANY(grown)) { /* where 0 < N < |x|, the weight shrinks by N/|x| */
        const V w = VWL_N(vwl_load)(p), shrunk = VWL_N(vwl_pick)(grown & (m > 0), w * (m / x), w);
        memcpy(p, &shrunk, sizeof shrunk);
        m = VWL_N(vwl_pick)(grown, none + x, m);
        memcpy(p + 2 * apart, &m, sizeof m);
    }
    inverse = 1 / m;
    rate = inverse / VWL_ROOTS(g);
    memcpy(p + 3 * apart, &rate, sizeof rate);
    share = x * inverse; /* at most 1, so the sum stays finite */
    *sum += x2 * rate;
    *norm += share * share;
}

/* vwl_usual_rates of the active lanes. The sums stay in registers: in arrays they take 7% longer. */
VWL_TARGET static void VWL_N(vwl_rates)(float *const *at, int group, const vwl_feature *f, size_t n, size_t place,
                                        const vwl_lanes *lanes, float *ppu, float *norm) {
    const size_t apart = (size_t)1 << group;
    const V g2 = VWL_N(vwl_load)(lanes->g2);
    V a = {0}, b = a, c = a, d = a, rest = a;
    V norm_a = a, norm_b = a, norm_c = a, norm_d = a, norm_rest = a;
    M active;
    size_t j;
    memcpy(&active, lanes->active, sizeof active);
#define VWL_RATE_AT(j, sum, norm) VWL_N(vwl_rate)(at[j] + place, apart, f[j].value, g2, active, &sum, &norm)
    for (j = 0; j + 4 <= n; j += 4) {
        VWL_RATE_AT(j, a, norm_a);
        VWL_RATE_AT(j + 1, b, norm_b);
        VWL_RATE_AT(j + 2, c, norm_c);
        VWL_RATE_AT(j + 3, d, norm_d);
    }
    for (; j < n; j++) VWL_RATE_AT(j, rest, norm_rest);
#undef VWL_RATE_AT
    rest += (a + b) + (c + d);
    norm_rest += (norm_a + norm_b) + (norm_c + norm_d);
    memcpy(ppu, &rest, sizeof rest);
    memcpy(norm, &norm_rest, sizeof norm_rest);
}

/* vwl_add of the active lanes by their own u; `left_out` becomes whether a weight of a lane would not be finite. */
VWL_TARGET static void VWL_N(vwl_steps)(float *const *at, int group, const vwl_feature *f, size_t n, size_t place,
                                        const vwl_lanes *lanes, const float *u, int32_t *left_out) {
    const V step = VWL_N(vwl_load)(u), none = {0}, most = none + FLT_MAX;
    M active, bad = {0};
    size_t j;
    memcpy(&active, lanes->active, sizeof active);
    for (j = 0; j < n; j++) {
        float *const p = at[j] + place;
        const V w = VWL_N(vwl_load)(p);
        const V moved = w + step * (f[j].value * VWL_N(vwl_load)(p + ((size_t)3 << group)));
        const M finite = (moved <= most) & (moved >= -most);
        const V next = VWL_N(vwl_pick)(finite & active, moved, w);
        bad |= active & ~finite;
        memcpy(p, &next, sizeof next);
    }
    memcpy(left_out, &bad, sizeof bad);
}

#undef V
#undef M
