/* Zeroed memory in pages of its own, for tables that are read at random and whose pages all come into use.
 *
 * From 2 MB on, it begins at a huge page, and huge pages are asked for: they save a fault for every 4 kB and most misses
 * of the address cache. Where the system forbids them, nothing changes. */
#ifndef VWL_PAGES_H
#define VWL_PAGES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#if !defined(MAP_ANONYMOUS) && defined(MAP_ANON)
#define MAP_ANONYMOUS MAP_ANON
#endif

enum { VWL_HUGE_PAGE = 2 << 20, VWL_SMALL_PAGE = 4096 };

typedef struct { void *begin; size_t bytes; } vwl_mapping; /* of the system; it precedes the memory */

/* NULL if there is no memory; the result is aligned to 4 kB. */
static inline void *vwl_new_pages(size_t bytes) {
    const size_t align = bytes >= VWL_HUGE_PAGE ? VWL_HUGE_PAGE : VWL_SMALL_PAGE;
    const size_t all = bytes + align + VWL_SMALL_PAGE;
    char *begin, *memory;
    if (all < bytes) return NULL;
    begin = (char *)mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (begin == (char *)MAP_FAILED) return NULL;
    memory = (char *)(((uintptr_t)begin + sizeof(vwl_mapping) + align - 1) & ~(uintptr_t)(align - 1));
#ifdef MADV_HUGEPAGE
    if (align == VWL_HUGE_PAGE) (void)madvise(memory, bytes & ~(size_t)(VWL_HUGE_PAGE - 1), MADV_HUGEPAGE);
#endif
    ((vwl_mapping *)memory)[-1].begin = begin;
    ((vwl_mapping *)memory)[-1].bytes = all;
    return memory;
}

/* Gives memory back; NULL is none. */
static inline void vwl_free_pages(void *memory) {
    if (memory != NULL) (void)munmap(((vwl_mapping *)memory)[-1].begin, ((vwl_mapping *)memory)[-1].bytes);
}

#endif
