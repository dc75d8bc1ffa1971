/* Has bytes come from memory before they are needed. */
#ifndef VWLITE_FETCH_H
#define VWLITE_FETCH_H
#include <stddef.h>

#define VWL_MOST_FETCHED 512

/* Prefetch the first bytes of an array. The empty statement keeps gcc, which takes a function that only prefetches for
 * one without effect, from leaving its calls out. */
static inline void vwl_fetch(const void *start, size_t n) {
    const char *p = (const char *)start;
    const char *end = p + (n < VWL_MOST_FETCHED ? n : VWL_MOST_FETCHED);
    for (; p < end; p += 64) __builtin_prefetch(p);
    __builtin_prefetch(end);
    __asm__ volatile("");
}
#endif
