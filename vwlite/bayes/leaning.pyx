"""Regression of entities' coefficients on the fixed part's. Design notes are in leaning.pxd."""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from vwlite.core.example cimport Example, Feature


cdef class Leans:
    """Dependence of all effects on one fixed part."""

    def take(self, fixed_hashes, arrays):
        """Store the result of a fit.

        Args:
            fixed_hashes: The fixed part's features.
            arrays: For each effect (keys, counts, hashes, K), or None.
        """
        cdef const uint64_t[::1] keys
        cdef const int64_t[::1] counts
        cdef const double[::1] values
        cdef const uint32_t[::1] hashes, fixed = fixed_hashes
        cdef Lean* lean
        self.arrays, self.fixed_hashes, self.n = arrays, fixed_hashes, 0
        for r, each in enumerate(arrays):
            lean = &self.each[r]
            lean.n = 0
            if each is None or not len(each[3]):
                continue
            keys, counts, hashes, values = each
            lean.keys, lean.counts, lean.values = &keys[0], &counts[0], &values[0]
            lean.n, lean.size, lean.width = len(keys), len(hashes), len(hashes) * len(fixed_hashes)
            for i in range(len(hashes)):
                lean.hashes[i] = hashes[i]
            self.fixed, self.n = &fixed[0], len(fixed_hashes)

    cdef size_t add(self, size_t effect, uint64_t entity, double experience, Example ex, Feature* into) noexcept nogil:
        """Add the features -K'z of an entity to the fixed part's; returns their count, at most n.

        Args:
            effect: Index of the effect.
            entity: Key of the entity.
            experience: Number of examples that the entity has learned.
            ex: The example, with the features of the entity.
            into: Output buffer.
        """
        cdef Lean* lean = &self.each[effect]
        cdef size_t low = 0, high = lean.n, middle, i, j, added = 0
        cdef double total
        cdef double[MOST_LEANING] z
        cdef const double* row
        while low < high:
            middle = (low + high) // 2
            if lean.keys[middle] < entity:
                low = middle + 1
            else:
                high = middle
        if low == lean.n or lean.keys[low] != entity or lean.counts[low] != experience:
            return 0
        row = lean.values + low * lean.width
        for i in range(lean.size):
            z[i] = 0
            for j in range(ex.n):
                if ex.features[j].hash == lean.hashes[i]:
                    z[i] += ex.features[j].value
        for j in range(self.n):
            total = 0
            for i in range(lean.size):
                total += row[i * self.n + j] * z[i]
            if total != 0:
                into[added].hash, into[added].value = self.fixed[j], <float>-total
                added += 1
        return added

    def save_load(self, io, names):
        """Save or load the dependence, if there is one.

        Args:
            io: The model file.
            names: Names of the effects.
        """
        if not self.n if io.saving else not io.has("leaning_on"):
            return
        import numpy as np

        def array(name, dtype, values):
            return np.array(io.array(name, dtype, values.tobytes() if io.saving else None))

        fixed_hashes = array("leaning_on", "U32", self.fixed_hashes)
        found = [None] * len(names)
        for r, name in enumerate(names):
            if self.arrays[r] is None if io.saving else not io.has(f"leaning.{name}.key"):
                continue
            known = self.arrays[r] if io.saving else [None] * 4
            fields = zip(("key", "count", "hash", "value"), ("U64", "I64", "U32", "F64"), known, strict=True)
            keys, counts, hashes, values = [array(f"leaning.{name}.{field}", *rest) for field, *rest in fields]
            if io.saving:
                continue
            if (len(counts) != len(keys) or len(hashes) > MOST_LEANING or not np.isfinite(values).all()
                    or len(values) != len(keys) * len(hashes) * len(fixed_hashes)):
                io.refuse("the dependence of its entities on the fixed part is inconsistent")
            found[r] = keys, counts, hashes, values
        if not io.saving:
            self.take(fixed_hashes, found)
