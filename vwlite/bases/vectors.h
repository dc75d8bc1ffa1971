/* Several weight vectors of a table, `step` slots apart: scores and updates of all in one pass over the features, with
 * the bits of one after the other. Vectors next to each other in planes (slots.h) are processed four or eight at a time. */
#ifndef VWLITE_VECTORS_H
#define VWLITE_VECTORS_H
#include <string.h>
#include "slots.h"
#include "vwlite/core/cpu.h"

#define VWL_MOST_LANES 8
#define VWL_LINES 4 /* cache lines prefetched for a feature; later ones follow with earlier vectors */

typedef struct {
    float g2[VWL_MOST_LANES];       /* importance weight times squared gradient */
    int32_t active[VWL_MOST_LANES]; /* -1: this vector learns; 0: it does not */
} vwl_lanes;

#define VWL_JOIN(name, lanes) name##_##lanes
#define VWL_JOINED(name, lanes) VWL_JOIN(name, lanes)
#define VWL_N(name) VWL_JOINED(name, VWL_LANES)

#define VWL_LANES 4
#define VWL_TARGET
#if defined(__SSE2__)
#define VWL_ANY(mask) _mm_movemask_ps((__m128)(mask))
#define VWL_ROOTS(v) ((vwl_floats_4)_mm_sqrt_ps((__m128)(v)))
#else
#define VWL_ANY(mask) ((mask)[0] | (mask)[1] | (mask)[2] | (mask)[3])
#define VWL_ROOTS(v) ((vwl_floats_4){sqrtf((v)[0]), sqrtf((v)[1]), sqrtf((v)[2]), sqrtf((v)[3])})
#endif
#include "lanes.h"
#undef VWL_LANES
#undef VWL_TARGET
#undef VWL_ANY
#undef VWL_ROOTS

#ifdef VWL_AVX2
#define VWL_LANES 8
#define VWL_TARGET VWL_AVX2
#define VWL_ANY(mask) _mm256_movemask_ps((__m256)(mask))
#define VWL_ROOTS(v) ((vwl_floats_8)_mm256_sqrt_ps((__m256)(v)))
#include "lanes.h"
#undef VWL_LANES
#undef VWL_TARGET
#undef VWL_ANY
#undef VWL_ROOTS
#endif

/* Whether no two of the vectors share a slot: false if the table has fewer slots than a feature has vectors. */
static inline int vwl_are_apart(const vwl_table *table, uint32_t count, uint32_t step) {
    const uint64_t last = table->offset + (uint64_t)(count - 1) * step;
    return count > 0 && last >> table->width == 0 && ((uint64_t)table->mask + 1) >> table->width != 0;
}

/* How many vectors are processed at a time; 1: they don't lie in planes. `wide`: the processor has AVX2. */
static inline uint32_t vwl_lanes_of(const vwl_table *table, uint32_t step, int wide) {
    const int group = table->stride ? table->group : table->width;
    if (step != 1 || table->offset % VWL_MOST_LANES) return 1;
    return wide && group >= 3 ? 8 : group >= 2 ? 4 : 1;
}

/* Pointers to the weights of the first vector; the first `bytes` from there are prefetched for later features. */
static inline void vwl_find(const vwl_table *table, const void *features, size_t n, size_t bytes, float **at) {
    const vwl_feature *f = (const vwl_feature *)features;
    const size_t lines = bytes < 64 * VWL_LINES ? (bytes + 63) / 64 : VWL_LINES;
    size_t j, k;
    for (j = 0; j < n; j++) {
        const float *later = vwl_slot(table, VWL_INDEX(f[j + VWL_AHEAD / 2]));
        at[j] = vwl_slot(table, VWL_INDEX(f[j]));
        for (k = 0; k < lines; k++) __builtin_prefetch(later + 16 * k);
    }
}

/* Scores of vectors that don't lie in planes, four at a time; unused lanes of the last four repeat the last vector. */
static inline void vwl_scores_apart(float *const *at, const vwl_feature *f, size_t n, uint32_t count, size_t apart,
                                    float *sums) {
    size_t j;
    uint32_t k;
    for (k = 0; k < count; k += 4) {
        const uint32_t left = count - k - 1;
        const size_t i0 = k * apart, i1 = i0 + (left < 1 ? left : 1) * apart, i2 = i0 + (left < 2 ? left : 2) * apart,
                     i3 = i0 + (left < 3 ? left : 3) * apart;
        vwl_floats_4 a = {0}, b = a, c = a, d = a;
#define VWL_TIMES(j) ((vwl_floats_4){at[j][i0], at[j][i1], at[j][i2], at[j][i3]} * f[j].value)
        for (j = 0; j + 4 <= n; j += 4) a += VWL_TIMES(j), b += VWL_TIMES(j + 1), c += VWL_TIMES(j + 2), d += VWL_TIMES(j + 3);
        for (; j < n; j++) a += VWL_TIMES(j);
#undef VWL_TIMES
        a = (a + b) + (c + d);
        memcpy(sums + k, &a, sizeof a);
    }
}

/* vwl_dot for `count` vectors. `at` has n pointers, `sums` count + VWL_MOST_LANES floats. */
static inline void vwl_dot_many(const vwl_table *table, const void *features, size_t n, uint32_t count, uint32_t step,
                                int wide, float **at, float *sums) {
    const vwl_feature *f = (const vwl_feature *)features;
    const int alone = !vwl_are_apart(table, count, step);
    const uint32_t lanes = vwl_lanes_of(table, step, wide);
    uint32_t k;
    if (alone || (lanes == 1 && table->group)) {
        vwl_table one = *table;
        for (k = 0; k < count; k++, one.offset += step) sums[k] = vwl_dot(&one, features, n);
        return;
    }
    vwl_find(table, features, n, (count * sizeof(float) * step) << table->stride, at);
    if (lanes == 1) {
        vwl_scores_apart(at, f, n, count, (size_t)step << table->stride, sums);
        return;
    }
#ifdef VWL_AVX2
    if (lanes == 8) {
        for (k = 0; k < count; k += 8) vwl_scores_8(at, f, n, k, sums + k);
        return;
    }
#endif
    for (k = 0; k < count; k += 4) vwl_scores_4(at, f, n, k, sums + k);
}

static inline void vwl_rates_of_lanes(uint32_t lanes, float *const *at, int group, const void *features, size_t n,
                                      size_t place, const vwl_lanes *each, float *ppu, float *norm) {
    const vwl_feature *f = (const vwl_feature *)features;
#ifdef VWL_AVX2
    if (lanes == 8) {
        vwl_rates_8(at, group, f, n, place, each, ppu, norm);
        return;
    }
#endif
    (void)lanes;
    vwl_rates_4(at, group, f, n, place, each, ppu, norm);
}

static inline void vwl_step_lanes(uint32_t lanes, float *const *at, int group, const void *features, size_t n,
                                  size_t place, const vwl_lanes *each, const float *u, int32_t *left_out) {
    const vwl_feature *f = (const vwl_feature *)features;
#ifdef VWL_AVX2
    if (lanes == 8) {
        vwl_steps_8(at, group, f, n, place, each, u, left_out);
        return;
    }
#endif
    (void)lanes;
    vwl_steps_4(at, group, f, n, place, each, u, left_out);
}
#endif
