/* Cells of tables in text: a cursor over separators, quotes and line ends, the ends of records, numbers of cells.
 *
 * Loads reach up to 64 bytes past a position, so the text must be padded. Positions, not pointers, are kept, because the
 * text may move while names are written behind it. */
#ifndef VWLITE_CELLS_H
#define VWLITE_CELLS_H
#include "bytescan.h"
#include "number.h"

/* Bit mask of the bytes among 64 that are a, b or c. */
static inline uint64_t vwl_any_of(const uint8_t *p, uint8_t a, uint8_t b, uint8_t c) {
    uint64_t mask = 0;
    int i;
#if defined(__SSE2__)
    const __m128i first = _mm_set1_epi8((char)a), second = _mm_set1_epi8((char)b), third = _mm_set1_epi8((char)c);
    for (i = 0; i < 4; i++) {
        const __m128i v = _mm_loadu_si128((const __m128i *)(p + 16 * i));
        const __m128i found = _mm_or_si128(_mm_cmpeq_epi8(v, first),
                                           _mm_or_si128(_mm_cmpeq_epi8(v, second), _mm_cmpeq_epi8(v, third)));
        mask |= (uint64_t)(uint32_t)_mm_movemask_epi8(found) << (16 * i);
    }
#else
    for (i = 0; i < 64; i++) mask |= (uint64_t)(p[i] == a || p[i] == b || p[i] == c) << i;
#endif
    return mask;
}

/* Cursor over separators, quotes and line ends. The text must have one more of them whenever it is moved. */
typedef struct {
    size_t base;
    uint64_t mask;
    uint8_t separator;
} vwl_cells;

/* Start at a position, which is included. */
static inline void vwl_seek_cell(vwl_cells *cells, const uint8_t *text, size_t at) {
    cells->base = at;
    cells->mask = vwl_any_of(text + at, cells->separator, '"', '\n');
}

static inline size_t vwl_next_cell(vwl_cells *cells, const uint8_t *text) {
    size_t at;
    while (!cells->mask) {
        cells->base += 64;
        cells->mask = vwl_any_of(text + cells->base, cells->separator, '"', '\n');
    }
    at = cells->base + (size_t)__builtin_ctzll(cells->mask);
    cells->mask &= cells->mask - 1;
    return at;
}

/* Where a scan of a table is: inside quotes; behind a quote that may be the first of two; inside a cell, where a quote
 * begins nothing. */
typedef struct { int quoted, closing, inside; } vwl_quotes;

/* The position after the last record that ends in [begin, end), `otherwise` if none does; moves the state to the end. */
static inline size_t vwl_records_end(vwl_quotes *place, const uint8_t *text, size_t begin, size_t end, uint8_t separator,
                                     size_t otherwise) {
    size_t base, at, closed = place->closing ? begin : (size_t)-1;
    int quoted = place->quoted;
    uint64_t mask;
    if (begin == end) return otherwise;
    for (base = begin; base < end; base += 64) {
        mask = vwl_any_of(text + base, '"', '\n', '\n');
        if (end - base < 64) mask &= ((uint64_t)1 << (end - base)) - 1;
        for (; mask; mask &= mask - 1) {
            at = base + (size_t)__builtin_ctzll(mask);
            if (text[at] == '\n') {
                if (!quoted) otherwise = at + 1;
            } else if (quoted) {
                quoted = 0, closed = at + 1;
            } else {
                quoted = closed == at || !(at == begin ? place->inside
                                                       : text[at - 1] != separator && text[at - 1] != '\n');
            }
        }
    }
    place->quoted = quoted;
    place->closing = !quoted && closed == end;
    place->inside = quoted || (text[end - 1] != separator && text[end - 1] != '\n');
    return otherwise;
}

/* The number of up to 15 digits with a point before the last `decimals` of them, `point` bytes from its start. The
 * operations of vwl_number, so the same bits. */
static inline double vwl_decimal_of(uint64_t digits, size_t decimals, size_t point, int negative) {
    double found = (double)digits;
    if (!negative && point == 1 && decimals <= 8) found *= vwl_inverse[decimals];
    else found /= vwl_power[decimals];
    return (float)(negative ? -found : found);
}

/* The value of a cell of up to 15 digits with at most one point; 0 if it is anything else. */
static inline int vwl_cell_number(const uint8_t *p, size_t n, uint8_t comma, double *value) {
    const size_t first = n && p[0] == '-';
    size_t i, point = 0;
    uint64_t digits = 0;
    if (n > 16) return 0;
    for (i = first; i < n; i++) {
        if (vwl_is_digit(p[i])) digits = digits * 10 + (uint64_t)(p[i] - '0');
        else if (p[i] == comma && !point && i > first) point = i;
        else return 0;
    }
    if (n == first || point == n - 1 || n - first - (point > 0) > 15) return 0;
    if (point) *value = vwl_decimal_of(digits, n - 1 - point, point, first);
    else *value = (float)(first ? -(double)digits : (double)digits);
    return 1;
}

/* The first and last bytes of a word of up to 16 in two numbers that differ for different words of a length; reads no
 * byte outside it. */
static inline void vwl_short_word(const uint8_t *p, size_t n, uint64_t *a, uint64_t *b) {
    if (n >= 8) {
        *a = vwl_load64(p), *b = vwl_load64(p + n - 8);
    } else if (n >= 4) {
        *a = vwl_load32(p), *b = vwl_load32(p + n - 4);
    } else if (n) {
        *a = p[0] | (uint64_t)p[n / 2] << 8 | (uint64_t)p[n - 1] << 16, *b = 0;
    } else {
        *a = *b = 0;
    }
}

/* A number of `bits` bits for such a word, to find it in a table. */
static inline size_t vwl_place_of(uint64_t a, uint64_t b, uint64_t key, int bits) {
    return (size_t)(((a ^ key * 0x9FB21C651E98DF25ull) * 0x9E3779B97F4A7C15ull ^ b * 0xC2B2AE3D27D4EB4Full) >>
                    (64 - bits));
}
#endif
