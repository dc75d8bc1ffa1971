"""Dense weight table. Design notes are in parameters.pxd."""
from posix.mman cimport MAP_ANONYMOUS, MAP_FAILED, MAP_PRIVATE, PROT_READ, PROT_WRITE, mmap, munmap

from vwlite.errors import OptionError

cdef extern from *:
    """
    #include <sys/mman.h>
    #include <unistd.h>
    #if defined(__linux__) && !defined(MADV_COLLAPSE)
    #define MADV_COLLAPSE 25 /* Linux 6.1; others refuse it */
    #endif
    /* Pages touched from now on are huge ones, and those in use are moved to such. Where the system forbids it, or has
     * no memory for it, nothing changes. */
    static void vwl_huge_pages(void *begin, size_t bytes) {
    #ifdef MADV_HUGEPAGE
        if (madvise(begin, bytes, MADV_HUGEPAGE) == 0) (void)madvise(begin, bytes, MADV_COLLAPSE);
    #else
        (void)begin; (void)bytes;
    #endif
    }
    /* How many of the bytes are in pages in use. */
    static size_t vwl_bytes_in_use(void *begin, size_t bytes) {
        size_t found = 0;
    #ifdef MADV_HUGEPAGE
        const size_t page = (size_t)sysconf(_SC_PAGESIZE);
        unsigned char states[8192]; /* of pages */
        size_t at, some, i;
        for (at = 0; at < bytes; at += some) {
            some = bytes - at < page * sizeof states ? bytes - at : page * sizeof states;
            if (mincore((char *)begin + at, some, states) != 0) return found;
            for (i = 0; i < some / page; i++) found += states[i] & 1 ? page : 0;
        }
    #else
        (void)begin; (void)bytes;
    #endif
        return found;
    }
    """
    void vwl_huge_pages(void* begin, size_t bytes) nogil
    size_t vwl_bytes_in_use(void* begin, size_t bytes) nogil

cdef enum:
    HUGE_PAGE = 2 << 20
    SMALL_PAGE = 4096
    SMALL_TABLE = 64 << 20


cdef class DenseTable:
    """Dense weight table: 2^bits slots of 2^stride_shift float32, all zero.

    Raises OptionError if the memory can't be allocated.
    """

    def __cinit__(self, int bits, int stride_shift):
        self.bits = bits
        self.stride_shift = stride_shift
        self.mask = <uint32_t>((<uint64_t>1 << bits) - 1)
        # spare bytes to align the start to a huge page; munmap frees them with the whole
        self.bytes = ((<size_t>1 << bits) << stride_shift) * sizeof(float) + HUGE_PAGE
        self.mapping = mmap(NULL, self.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        if self.mapping == MAP_FAILED:
            self.mapping = NULL
            raise OptionError([f"-b {bits} needs {self.bytes / 2.0**30:.1f} GiB of memory: use fewer bits"])
        self.values = <float*>((<size_t>self.mapping + HUGE_PAGE - 1) & ~<size_t>(HUGE_PAGE - 1))

    def __dealloc__(self):
        if self.mapping != NULL:
            munmap(self.mapping, self.bytes)

    cdef void use_huge_pages(self) noexcept nogil:
        """Request huge pages, once."""
        if not self.huge:
            self.huge = True
            vwl_huge_pages(self.values, self.bytes - HUGE_PAGE)

    cdef bint is_filled_by(self, double touches) noexcept nogil:
        """Whether so many accesses at random touch nearly all small pages: four for each page touch 98 of 100."""
        return touches * SMALL_PAGE >= 4 * <double>self.bytes

    cdef void expect(self, double touches) noexcept nogil:
        """Request huge pages if so many accesses touch most small pages of the table.

        A long text may have few features: a large table has to have an eighth of its pages in use by now.
        """
        cdef size_t size = self.bytes - HUGE_PAGE
        if self.huge or not self.is_filled_by(touches):
            return
        if size <= SMALL_TABLE or 8 * vwl_bytes_in_use(self.values, size) >= size:
            self.use_huge_pages()

    cdef size_t count(self) noexcept nogil:
        """Number of slots."""
        return <size_t>self.mask + 1


def all_finite(const unsigned char[::1] numbers, size_t width):
    """Whether all floats in a buffer are finite; each has `width` bytes, 4 or 8.

    Infinite and NaN have all bits of the exponent set; the loops have no branch, so memory bandwidth limits them.
    """
    cdef size_t i, n = numbers.shape[0] // width
    cdef const uint32_t* single
    cdef const uint64_t* wide
    cdef uint32_t found = 0
    cdef uint64_t found_wide = 0
    if n == 0:
        return True
    with nogil:
        if width == 4:
            single = <const uint32_t*>&numbers[0]
            for i in range(n):
                found |= ((single[i] & 0x7F800000u) + 0x00800000u) & 0x80000000u
        else:
            wide = <const uint64_t*>&numbers[0]
            for i in range(n):
                found_wide |= ((wide[i] & 0x7FF0000000000000u) + 0x0010000000000000u) & 0x8000000000000000u
    return found == 0 and found_wide == 0
