/* Known features: a hash table of hashes of 32 bits that asks one cache line for a feature that is known.
 *
 * Design: a) a key is the hash times an odd constant, so no two hashes have one key; its highest bits choose a bucket
 * of eight cells; b) a feature whose bucket is full is stored in a second table, `more`, which few need; c) a bucket of
 * twice as many buckets has keys of one of now only, so the table grows in one pass from its start to its end; d) a
 * free cell is 0, in the first bucket all ones: keys that belong to another bucket; e) the number of a feature is beside
 * its cell, and stored only if it is wanted. */
#ifndef VWLITE_KNOWN_H
#define VWLITE_KNOWN_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__) && !defined(VWLITE_PLAIN)
#include <emmintrin.h>
#define VWL_KNOWN_SSE2 1
#endif

#define VWL_WAYS 8
#define VWL_KNOWN_AHEAD 32 /* features between prefetch and use; at most the padding of an example */

typedef struct { uint32_t hash, number; } vwl_known_entry; /* number + 1; 0: free */

typedef struct {
    uint64_t count, last;
    float low, high;
} vwl_seen;

typedef struct { uint32_t hash; float value; } vwl_one;

typedef struct {
    uint32_t *cells;       /* keys, VWL_WAYS of a bucket */
    uint32_t *numbers;     /* number + 1 of each cell, and one more; NULL: not wanted */
    vwl_known_entry *more; /* features whose bucket is full: open addressing, at most half full */
    vwl_seen *seen;        /* by number; NULL: no statistics */
    size_t n_more, more_mask;
    int shift;             /* 32 - log2 of the buckets, of which there are at least two */
} vwl_known;

static inline uint32_t vwl_known_key(uint32_t hash) { return hash * 0x9E3779B1u; }

static inline size_t vwl_bucket(const vwl_known *known, uint32_t key) { return (size_t)(key >> known->shift) * VWL_WAYS; }

/* What a free cell of the bucket with this first cell has. */
static inline uint32_t vwl_free_cell(size_t bucket) { return bucket ? 0 : UINT32_MAX; }

/* The cells of a bucket that have a key, a bit for each. */
static inline unsigned vwl_cells_with(const uint32_t *cells, uint32_t key) {
#ifdef VWL_KNOWN_SSE2
    const __m128i k = _mm_set1_epi32((int)key);
    const __m128i low = _mm_cmpeq_epi32(k, _mm_load_si128((const __m128i *)cells));
    const __m128i high = _mm_cmpeq_epi32(k, _mm_load_si128((const __m128i *)(cells + 4)));
    return (unsigned)_mm_movemask_ps(_mm_castsi128_ps(low)) | (unsigned)_mm_movemask_ps(_mm_castsi128_ps(high)) << 4;
#else
    unsigned found = 0;
    int i;
    for (i = 0; i < VWL_WAYS; i++) found |= (unsigned)(cells[i] == key) << i;
    return found;
#endif
}

/* Whether a bucket has a key. */
static inline int vwl_has_cell(const uint32_t *cells, uint32_t key) {
#ifdef VWL_KNOWN_SSE2
    const __m128i k = _mm_set1_epi32((int)key);
    return _mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi32(k, _mm_load_si128((const __m128i *)cells)),
                                          _mm_cmpeq_epi32(k, _mm_load_si128((const __m128i *)(cells + 4))))) != 0;
#else
    return vwl_cells_with(cells, key) != 0;
#endif
}

/* The place of a feature among those whose bucket is full, or the free one where it would be. */
static inline vwl_known_entry *vwl_more_place(const vwl_known *known, uint32_t hash) {
    const uint32_t mixed = (hash ^ hash >> 16) * 0x85EBCA6Bu;
    size_t i = (mixed ^ mixed >> 13) & known->more_mask;
    while (known->more[i].number && known->more[i].hash != hash) i = (i + 1) & known->more_mask;
    return &known->more[i];
}

/* The number + 1 of a feature, or 1 if numbers are not wanted; 0 of one that is not known. */
static inline uint32_t vwl_known_number(const vwl_known *known, uint32_t hash) {
    const uint32_t key = vwl_known_key(hash);
    const size_t bucket = vwl_bucket(known, key);
    const unsigned found = vwl_cells_with(known->cells + bucket, key);
    if (found) return known->numbers ? known->numbers[bucket + (size_t)__builtin_ctz(found)] : 1;
    if (known->cells[bucket + VWL_WAYS - 1] == vwl_free_cell(bucket) || !known->n_more) return 0;
    return vwl_more_place(known, hash)->number;
}

/* Fetch what a look at features will need. */
static inline void vwl_foresee(const vwl_known *known, const void *features, size_t n) {
    const vwl_one *f = (const vwl_one *)features;
    size_t j;
    for (j = 0; j < n; j++) {
        const size_t bucket = vwl_bucket(known, vwl_known_key(f[j].hash));
        __builtin_prefetch(known->cells + bucket);
        if (known->numbers) __builtin_prefetch(known->numbers + bucket);
    }
}

/* Find features: writes the indices of those that no bucket has to `missed`, which has room for one more, and returns
 * how many. */
static inline size_t vwl_find_missed(const vwl_known *known, const void *features, size_t n, uint32_t *missed) {
    const vwl_one *f = (const vwl_one *)features;
    const uint32_t *cells = known->cells;
    const int shift = known->shift;
    size_t j, k = 0;
    for (j = 0; j < n; j++) {
        const uint32_t key = vwl_known_key(f[j].hash);
        missed[k] = (uint32_t)j;
        k += !vwl_has_cell(cells + (size_t)(key >> shift) * VWL_WAYS, key);
    }
    return k;
}

/* The same, and writes their numbers + 1: 0 of those that no bucket has. */
static inline size_t vwl_find_numbers(const vwl_known *known, const void *features, size_t n, uint32_t *numbers,
                                      uint32_t *missed) {
    const vwl_one *f = (const vwl_one *)features;
    size_t j, k = 0;
    for (j = 0; j < n; j++) {
        const uint32_t key = vwl_known_key(f[j].hash);
        const size_t bucket = vwl_bucket(known, key);
        const unsigned found = vwl_cells_with(known->cells + bucket, key);
        numbers[j] = known->numbers[bucket + (size_t)__builtin_ctz(found | 1u << VWL_WAYS)] & (0u - (uint32_t)!!found);
        missed[k] = (uint32_t)j;
        k += !found;
        if (known->seen) __builtin_prefetch(&known->seen[numbers[j] - 1], 1);
    }
    return k;
}

/* Prepare cells that are all 0. */
static inline void vwl_begin_cells(vwl_known *known) {
    int i;
    for (i = 0; i < VWL_WAYS; i++) known->cells[i] = vwl_free_cell(0);
}

/* Store a feature in its bucket; returns whether that has room. */
static inline int vwl_put(vwl_known *known, uint32_t hash, uint32_t number) {
    const uint32_t key = vwl_known_key(hash);
    const size_t bucket = vwl_bucket(known, key);
    const unsigned empty = vwl_cells_with(known->cells + bucket, vwl_free_cell(bucket));
    size_t cell;
    if (!empty) return 0;
    cell = bucket + (size_t)__builtin_ctz(empty);
    known->cells[cell] = key;
    if (known->numbers) known->numbers[cell] = number;
    return 1;
}

/* Store what cells have in those of another table, which has twice the buckets and is empty. */
static inline void vwl_split(const vwl_known *known, vwl_known *wider) {
    const size_t n = (size_t)VWL_WAYS << (32 - known->shift);
    size_t bucket, i, to[2];
    for (bucket = 0; bucket < n; bucket += VWL_WAYS) {
        to[0] = 2 * bucket, to[1] = 2 * bucket + VWL_WAYS;
        for (i = bucket; i < bucket + VWL_WAYS && known->cells[i] != vwl_free_cell(bucket); i++) {
            const uint32_t key = known->cells[i];
            const size_t cell = to[key >> wider->shift & 1]++;
            wider->cells[cell] = key;
            if (wider->numbers) wider->numbers[cell] = known->numbers[i];
        }
    }
}

/* Copy a text of which 16 bytes more can be read, to where 16 bytes more can be written: most are short. */
static inline void vwl_copy_padded(char *to, const char *text, size_t n) {
    size_t i;
    for (i = 0; i < n; i += 16) memcpy(to + i, text + i, 16);
}

/* Where the first colon of a text is, n without one. */
static inline size_t vwl_colon(const char *text, size_t n, size_t readable) {
    size_t i = 0;
#ifdef VWL_KNOWN_SSE2
    for (; i < n && i + 16 <= readable; i += 16) {
        const __m128i word = _mm_loadu_si128((const __m128i *)(text + i));
        const unsigned found = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(word, _mm_set1_epi8(':')));
        if (found) {
            i += (size_t)__builtin_ctz(found);
            return i < n ? i : n;
        }
    }
#endif
    (void)readable;
    while (i < n && text[i] != ':') i++;
    return i < n ? i : n;
}

/* Count features by their numbers, those that are known. */
static inline void vwl_count(const vwl_known *known, const void *features, size_t n, const uint32_t *numbers,
                             uint64_t example) {
    const vwl_one *f = (const vwl_one *)features;
    size_t j;
    for (j = 0; j < n; j++)
        if (numbers[j]) {
            vwl_seen *seen = &known->seen[numbers[j] - 1];
            seen->count += 1;
            seen->last = example;
            if (f[j].value < seen->low) seen->low = f[j].value;
            if (f[j].value > seen->high) seen->high = f[j].value;
        }
}

/* How many features are not known. */
static inline size_t vwl_unknown(const vwl_known *known, const void *features, size_t n) {
    const vwl_one *f = (const vwl_one *)features;
    size_t j, k = 0;
    for (j = 0; j < n; j++) {
        k += vwl_known_number(known, f[j].hash) == 0;
    }
    return k;
}
#endif
