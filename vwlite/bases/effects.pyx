"""Base class of learners with random effects. Design notes are in effects.pxd."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from vwlite.bayes.posterior cimport Posterior
from vwlite.core.arrays cimport grow
from vwlite.core.example cimport CONSTANT_HASH, Block, Example, Extent, Feature, NameSpan, Row, extent_end, problem_in
from vwlite.core.learner cimport Learner, Learners
from vwlite.core.reasons cimport ENTITY_NAMELESS, ENTITY_TWICE, ENTITY_VALUE, FINE
from vwlite.entities.table cimport home_of

from vwlite.features.interactions import namespace_hash

cdef extern from "vwlite/core/bytescan.h" nogil:
    uint32_t vwl_murmur3_32_padded(const uint8_t* data, size_t n, uint32_t seed)

cdef extern from "vwlite/entities/table.h" nogil:
    void vwl_prefetch(const void* place)


cdef inline uint64_t hash_of_name(const Effect* effect, const char* name, uint32_t length) noexcept nogil:
    """Hash of an entity's name."""
    cdef const uint8_t* text = <const uint8_t*>name
    return (<uint64_t>vwl_murmur3_32_padded(text, length, effect.namespace) << 32
            | vwl_murmur3_32_padded(text, length, ~effect.namespace))


# Called through a pointer, as a list's items have no type.
ctypedef void (*Fetched)(void*, uint64_t) noexcept nogil

cdef void fetch(Posterior learner, uint64_t key) noexcept nogil:
    """Prefetch the slot of an entity."""
    vwl_prefetch(learner.table.slots + home_of(learner.table, key))

cdef Fetched call_fetch = <Fetched>fetch


cdef class Effects(Learner):
    """Learner with a base and with learners of random effects beside it.

    ``specs`` has, for each effect, the name of its namespace and the names of the namespaces whose features it has
    coefficients of; None stands for all.
    """

    vets = True
    needs_names = True

    def __init__(self, base, taken, specs, learners, options):
        cdef Effect* effect
        super().__init__(base, taken)
        self.names = [name for name, _ in specs]
        self.beside = learners
        self.learners = Learners(learners)
        self.n_effects = len(specs)
        self.bounded = options["posterior"] == "full"
        memset(self.effects, 0, sizeof(self.effects))
        for i, (name, named) in enumerate(specs):
            effect = &self.effects[i]
            (<Learner>learners[i]).loss = self.loss
            effect.namespace = namespace_hash(options, name)
            effect.kind = ALL if named is None else NAMED if named else INTERCEPT
            for j, other in enumerate(named or []):
                effect.named[j] = namespace_hash(options, other)
            effect.n_named = len(named or [])
            self.posteriors[i] = <void*>learners[i] if isinstance(learners[i], Posterior) else NULL
        memset(self.intercept, 0, sizeof(self.intercept))
        self.intercept[0].hash = CONSTANT_HASH
        self.intercept[0].value = 1

    def __dealloc__(self):
        for i in range(self.n_effects):
            free(self.effects[i].features)

    @property
    def part_names(self):
        """Names of ex.known.parts."""
        return ["fixed", *self.names]

    @property
    def sets_aside(self):
        """The namespaces of entities."""
        return self.names

    def init_driver(self, driver):
        driver.effects = self

    cdef void look_ahead(self, Block block, const Row* row) noexcept nogil:
        """Prefetch the slots of the entities of the next example."""
        cdef const Extent* extents = block.extents + row.extent
        cdef const NameSpan* name
        cdef size_t i, r
        for r in range(self.n_effects if block.names != NULL else 0):
            for i in range(row.n_extents if self.posteriors[r] != NULL else 0):
                if extents[i].hash == self.effects[r].namespace and extents[i].begin < row.n_features:
                    name = block.names + row.feature + extents[i].begin
                    call_fetch(self.posteriors[r],
                               hash_of_name(&self.effects[r], block.text + name.begin, name.length))
                    break

    cdef int vet(self, Example ex) except -1 nogil:
        cdef size_t i, r, count, begin
        for r in range(self.n_effects):
            count = 0
            for i in range(ex.n_extents):
                if ex.extents[i].hash == self.effects[r].namespace:
                    begin = ex.extents[i].begin
                    count += extent_end(ex, i) - begin
                    if count > 1 or (count and ex.names[begin].length == 0):
                        ex.problem_at = problem_in(ex, ex.extents[i].name)
                        return ENTITY_TWICE if count > 1 else ENTITY_NAMELESS
                    if count and ex.linear[begin].value != 1:
                        ex.problem_at = problem_in(ex, ex.names[begin].begin)
                        return ENTITY_VALUE
        return self.vet_entities(ex) if self.bounded else FINE

    cdef int vet_entities(self, Example ex) except -1 nogil:
        """vet() for each effect with its own features, if posteriors have a limit."""
        cdef const Feature* features = ex.features
        cdef size_t n = ex.n, r
        cdef float initial = ex.initial
        cdef int reason = FINE
        self.resolve(ex)
        for r in range(self.n_effects):
            if self.effects[r].present and reason == FINE:
                self.point(ex, &self.effects[r], features, n)
                reason = self.learners.vet(r, ex)
        self.unpoint(ex, features, n, initial)
        return reason

    cdef int resolve(self, Example ex) except -1 nogil:
        """Find the entity and the features of each effect in an example."""
        cdef size_t i, r, begin
        cdef Effect* effect
        for r in range(self.n_effects):
            effect = &self.effects[r]
            effect.present = False
            effect.score = 0
            for i in range(ex.n_extents):
                begin = ex.extents[i].begin
                if ex.extents[i].hash == effect.namespace and begin < extent_end(ex, i):
                    effect.present = True
                    effect.name = ex.names_text + ex.names[begin].begin
                    effect.name_length = ex.names[begin].length
                    effect.entity = hash_of_name(effect, effect.name, effect.name_length)
                    self.key_of(r, ex)
                    break
            if effect.present and effect.kind == NAMED:
                self.gather(effect, ex)
        return 0

    cdef int key_of(self, size_t r, Example ex) except -1 nogil:
        """Replace the hash of the entity's name by its key."""
        cdef Effect* effect = &self.effects[r]
        ex.entity = effect.entity
        ex.entity_name, ex.entity_name_length = effect.name, effect.name_length
        effect.known_before = self.learners.identify(r, ex)
        effect.entity = ex.entity
        ex.entity = 0
        ex.entity_name_length = 0
        return 0

    cdef void count_entities(self) noexcept nogil:
        """Count the entities of the current example, for the summary."""
        cdef size_t r
        cdef Effect* effect
        for r in range(self.n_effects if not self.later_pass else 0):
            effect = &self.effects[r]
            effect.n_of_known += effect.present and effect.known_before
            effect.n_of_new += effect.present and not effect.known_before
            effect.n_of_none += not effect.present

    cdef int gather(self, Effect* effect, Example ex) except -1 nogil:
        """Gather the features of an effect's namespaces, and the intercept."""
        cdef size_t i, j, begin, n = 0
        grow(&effect.features, &effect.capacity, ex.n_linear + 1, sizeof(Feature))
        for i in range(ex.n_extents):
            for j in range(effect.n_named):
                if ex.extents[i].hash == effect.named[j]:
                    begin = ex.extents[i].begin
                    memcpy(effect.features + n, ex.linear + begin, (extent_end(ex, i) - begin) * sizeof(Feature))
                    n += extent_end(ex, i) - begin
                    break
        effect.features[n] = self.intercept[0]
        effect.n = n + 1
        return 0

    cdef double sum_of_effects(self) noexcept nogil:
        """Sum of all effects' scores; recomputed, as differences would accumulate rounding errors."""
        cdef size_t i
        cdef double total = 0
        for i in range(self.n_effects):
            total += self.effects[i].score
        return total

    cdef int name_features(self, Effect* effect, Example ex, size_t r) except -1 nogil:
        """Store the names of an effect's first few features, for reports."""
        cdef size_t i, j, k
        for i in range(effect.n - 1 if effect.n_known < MOST_NAMED else 0):
            for k in range(effect.n_known):
                if effect.known[k] == effect.features[i].hash:
                    break
            else:
                if effect.n_known == MOST_NAMED:
                    break
                effect.known[effect.n_known] = effect.features[i].hash
                effect.n_known += 1
                for j in range(ex.n_linear):
                    if ex.linear[j].hash == effect.features[i].hash:
                        with gil:
                            name = <bytes>ex.names_text[ex.names[j].begin:ex.names[j].begin + ex.names[j].length]
                            self.beside[r].names[ex.linear[j].hash] = name.decode("utf-8", "replace")
                        break
        return 0

    cdef int name_entity(self, Effect* effect, Example ex, size_t r) except -1 nogil:
        """Register the entity with its learner, as sweeps have no names."""
        cdef const Feature* features = ex.features
        cdef size_t n = ex.n
        cdef float initial = ex.initial
        self.point(ex, effect, features, n)
        self.learners.meet(r, ex)
        self.unpoint(ex, features, n, initial)
        return 0

    def counts_of_entities(self):
        """Metrics: examples of the first pass with a known, a new, and no entity, by effect."""
        figures = {}
        for r in range(self.n_effects):
            owner = self.beside[r].owner
            figures[f"{owner} examples of known entities"] = self.effects[r].n_of_known
            figures[f"{owner} examples of new entities"] = self.effects[r].n_of_new
            figures[f"{owner} examples without an entity"] = self.effects[r].n_of_none
        return figures
