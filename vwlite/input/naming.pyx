"""How names become hashes and namespaces. See naming.pxd."""
from libc.math cimport NAN

from vwlite.core.hashing import feature_hash, murmur3_32
from vwlite.features.interactions import namespace_hash
from vwlite.features.transform_rules import transforms

CUT = str.maketrans(dict.fromkeys(map(chr, [*range(33), 127, ord(":"), ord("|")]), "_"))  # as rows.pyx cleans names


cdef class Naming:
    """The naming options of a run: --hash, --hash_seed, --redefine; `entities` are namespaces that name entities."""

    def __init__(self, options, entities=()):
        self.all_names = options["hash"] == "all"
        self.seed = options["hash_seed"]
        for i in range(256):
            hash_of = murmur3_32 if self.all_names else feature_hash
            self.letter_hash[i] = hash_of(bytes([i]), self.seed)
        self.anonymous = 0 if self.seed == 0 else murmur3_32(b"", self.seed)
        for i, index in enumerate(redefined(options["redefine"])):
            self.index_of[i] = index
        self.asked = looked_at(options)
        self.notes = bool(self.asked)
        self.entities = list(entities)
        for i, name in enumerate(self.entities):
            self.entity_hash[i] = namespace_hash(options, name)
            self.n_entities = i + 1
        self.keeps_zeros = transforms(options)
        self.plain = NAN if self.keeps_zeros else 1

    cdef bint names_entities(self, uint32_t namespace) noexcept nogil:
        """Whether the features of a namespace name entities: those of value 0 are kept."""
        cdef size_t i
        for i in range(self.n_entities):
            if self.entity_hash[i] == namespace:
                return True
        return False


def looked_at(options):
    """The (namespace, name) of all that --where and `Options.noted` name, as names are written in a block."""
    where = options["where"] if "where" in options else None
    if not where and not options.noted:
        return set()
    from vwlite.input.where import compile_where, name_of
    names = compile_where(where).names if where else []
    return {(name.namespace.translate(CUT), name.name.translate(CUT))
            for name in [*names, *map(name_of, options.noted)] if not name.reserved}


def redefined(rules):
    """Namespace index of every first byte after --redefine; later rules override earlier ones.

    Raises OptionError for a rule without ':='.
    """
    from vwlite.errors import OptionError
    from vwlite.features.terms import decode_names
    table = list(range(256))
    for rule in rules:
        target, separator, names = rule.partition(":=")
        if not separator:
            raise OptionError([f"--redefine {rule}: expected N:=S, for instance --redefine a:=bc"])
        index = (decode_names(target) or b" ")[0]
        for byte in decode_names(names):
            if byte == 58:
                table = [index] * 256
            else:
                table[byte] = index
    return table
