# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""What every frame of every book costs most, compiled: reading its levels, and keeping them in order.

The same as `rows.py` and `heldlevels.py` do in Python, which stand in where this is not built, and for levels whose
texts are long or not plain: no rule stands here alone. Levels are kept as the JSON text of their rows, 64 bytes each, in
one piece of memory a side: that is what lines and checksums are made of, and it is in a quarter of the memory of
Python's lists of texts. Of a light frame of OKX (34 rows) reading the numbers takes 1.7 us instead of 11, the sides 2.5
instead of 15, a checksum 2.3 instead of 6; a line takes half as long (docs/BENCHMARKS.md).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.list cimport PyList_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.unicode cimport PyUnicode_CheckExact, PyUnicode_DecodeASCII, PyUnicode_GET_LENGTH
from libc.string cimport memcpy, memmove

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    unsigned char *PyUnicode_1BYTE_DATA(object text)

EDITION = 2
"""Counts what is asked of this module: one left over from an older version is not used."""

cdef enum:
    # Characters of a plain number. They leave at most 22 decimals, and powers of ten up to there are exact as floats.
    LONGEST = 23
    # Significant digits: two such numbers have the same float if and only if they are equal.
    EXACT_DIGITS = 15
    # Of a row in JSON.
    MOST_BYTES = 63
    # Rows of one side of a message: more are hostile, and Python reads them in less memory.
    MOST_ROWS = 100_000
    # Changes of one message that are sorted together: one at a time, in a bad order, each would move the whole side.
    MANY = 2000

cdef struct Level:
    # A row as JSON writes it, `["43250.5","100","0","5"]`.
    unsigned char length
    char text[MOST_BYTES]

cdef struct Change:
    double price
    double size
    Level level

cdef double POWERS[LONGEST]
cdef int _power
for _power in range(LONGEST):
    POWERS[_power] = float("1e%d" % _power)


cdef inline double copy_number(const unsigned char *text, Py_ssize_t length, char *to) noexcept nogil:
    """Copy a plain decimal number, `7` or `7.50`, and read it as `float` does.

    Below zero if it is none, or too long to be sure. An exact whole number divided by an exact power of ten is rounded
    once, as the nearest float is.
    """
    cdef Py_ssize_t place
    cdef unsigned long long whole = 0
    cdef int digits = 0, decimals = 0
    cdef bint point = False
    cdef unsigned char char
    if length == 0 or length > LONGEST:
        return -1.0
    for place in range(length):
        char = text[place]
        to[place] = char
        if c"0" <= char <= c"9":
            whole = whole * 10 + (char - c"0")
            digits += whole > 0
            decimals += point
            if digits > EXACT_DIGITS:
                return -1.0
        elif char == c"." and not point and 0 < place < length - 1:
            point = True
        else:
            return -1.0
    return whole / POWERS[decimals] if decimals else <double>whole


cdef inline bint copy_plain(const unsigned char *text, Py_ssize_t length, char *to) noexcept nogil:
    """Copy a text; False if JSON would not write it as it stands."""
    cdef Py_ssize_t place
    for place in range(length):
        if text[place] < 0x20 or text[place] == c'"' or text[place] == c"\\":
            return False
        to[place] = text[place]
    return True


cdef bint read_row(list row, Py_ssize_t slots, Change *change) except -1:
    """Read a row; False if its price or size is long or not plain, or the whole does not fit."""
    cdef Py_ssize_t width = PyList_GET_SIZE(row), slot, length, end = 1
    cdef const unsigned char *text
    cdef char *to = change.level.text
    if width < slots or width < 2:
        return False
    to[0] = c"["
    for slot in range(width):
        item = row[slot]
        if not PyUnicode_CheckExact(item) or not PyUnicode_IS_COMPACT_ASCII(item):
            return False
        length = PyUnicode_GET_LENGTH(item)
        if end + length + 3 > MOST_BYTES:
            return False
        text = PyUnicode_1BYTE_DATA(item)
        to[end] = c'"'
        if slot == 0:
            change.price = copy_number(text, length, to + end + 1)
            if change.price <= 0.0:
                return False
        elif slot == 1:
            change.size = copy_number(text, length, to + end + 1)
            if change.size < 0.0:
                return False
        elif not copy_plain(text, length, to + end + 1):
            return False
        to[end + 1 + length] = c'"'
        to[end + 2 + length] = c","
        end += length + 3
    to[end - 1] = c"]"
    change.level.length = <unsigned char>end
    return True


cdef class Numbers:
    """The levels of one side of a message: prices and sizes, exact as sort keys, and texts."""

    # What has just been made is empty: nothing that was not read can be looked at.
    cdef Change *changes
    cdef Py_ssize_t count

    def __dealloc__(self):
        PyMem_Free(self.changes)

    def __iter__(self):
        """Give the prices, then the sizes, as Python's own code keeps them."""
        cdef Py_ssize_t place
        prices = [self.changes[place].price for place in range(self.count)]
        sizes = [self.changes[place].size for place in range(self.count)]
        return iter((prices, sizes))

    def removes(self):
        """Tell whether a size is zero."""
        cdef Py_ssize_t place
        for place in range(self.count):
            if self.changes[place].size == 0.0:
                return True
        return False

    def ascends(self, double sign):
        """Tell whether each price, times this, is above the one before it."""
        cdef Py_ssize_t place
        for place in range(1, self.count):
            if not sign * self.changes[place].price > sign * self.changes[place - 1].price:
                return False
        return True

    def __eq__(self, other):
        return list(self) == list(other) if isinstance(other, (Numbers, tuple)) else NotImplemented

    __hash__ = None


def numbers_of(list rows not None, Py_ssize_t slots):
    """Read levels; None if one is no row of so many texts, or not so plain and short that it is kept here.

    None, too, if there are more than any venue sends.
    """
    cdef Py_ssize_t count = PyList_GET_SIZE(rows), place
    cdef Numbers numbers = Numbers.__new__(Numbers)
    if count > MOST_ROWS:
        return None
    numbers.changes = <Change *>PyMem_Malloc(count * sizeof(Change) or 1)
    if numbers.changes == NULL:
        raise MemoryError
    for place in range(count):
        row = rows[place]
        if type(row) is not list or not read_row(<list>row, slots, numbers.changes + place):
            return None
    numbers.count = count
    return numbers


cdef inline Numbers those(list rows, object numbers):
    """Return the numbers of rows; in Python's form they are of no use here, and are read again.

    Raises:
        ValueError: the rows cannot be kept here, or the numbers are those of others.
    """
    if type(numbers) is not Numbers:
        numbers = numbers_of(rows, 2)
        if numbers is None:
            raise ValueError("levels that are not short and plain")
    if (<Numbers>numbers).count != PyList_GET_SIZE(rows):
        raise ValueError("as many numbers as rows are needed")
    return numbers


cdef class Levels:
    """Levels of one moment, best first: a sequence of rows, kept as their JSON and read when somebody looks at them.

    Attributes:
        json: the bytes that the JSON library writes of the rows.
    """

    cdef readonly bytes json
    cdef Py_ssize_t count

    def __cinit__(self):
        self.json = b"[]"

    def __len__(self):
        return self.count

    def __getitem__(self, place):
        if type(place) is int and place == 0 and self.count:
            return self._read(1)[0]
        return self._read(self.count)[place]

    def __iter__(self):
        return iter(self._read(self.count))

    def __eq__(self, other):
        if isinstance(other, Levels):
            return self.json == (<Levels>other).json
        return self._read(self.count) == other if isinstance(other, list) else NotImplemented

    __hash__ = None

    def __repr__(self):
        return repr(self._read(self.count))

    cdef list _read(self, Py_ssize_t most):
        """Make the first rows again."""
        cdef const char *at = PyBytes_AS_STRING(self.json) + 1
        cdef const char *end
        cdef list rows = [], row
        for _ in range(most):
            row = []
            while at[0] != c"]":
                end = behind_text(at)
                row.append(PyUnicode_DecodeASCII(at + 2, end - at - 3, NULL))
                at = end
            rows.append(row)
            at += 2
        return rows


cdef inline const char *behind_text(const char *at) noexcept nogil:
    """Find the end of a text of a row, whose quote stands behind the bracket or comma here; no text has quotes in it."""
    at += 2
    while at[0] != c'"':
        at += 1
    return at + 1


cdef class Sorted:
    """Levels of one side in order, the best last: most changes are near it, and move what lies behind them only."""

    # Keys ascend to the best level: prices of bids, prices of asks with a minus. `order` says where in `levels` the text
    # of each lies; behind the levels it lists the places that are free.
    cdef double *keys
    cdef unsigned int *order
    cdef Level *levels
    cdef Py_ssize_t count
    cdef Py_ssize_t room
    cdef double sign

    def __cinit__(self, *, bint highest_first):
        self.sign = 1.0 if highest_first else -1.0
        self.keys = NULL
        self.order = NULL
        self.levels = NULL
        self.count = self.room = 0

    def __dealloc__(self):
        PyMem_Free(self.keys)
        PyMem_Free(self.order)
        PyMem_Free(self.levels)

    def __len__(self):
        return self.count

    def set(self, list rows not None, numbers):
        """Set levels; return how many there are."""
        return self._set(those(rows, numbers), -1.0, float("inf"))

    def set_within(self, list rows not None, numbers, double low, double high):
        """Set levels, but none beyond these prices; return how many there are."""
        return self._set(those(rows, numbers), low, high)

    def top(self, Py_ssize_t depth):
        """Return the best levels."""
        cdef Levels best = Levels.__new__(Levels)
        cdef Py_ssize_t count = max(0, min(depth, self.count)), place, size = count + 1
        cdef Level *level
        cdef char *at
        cdef char *end
        best.count = count
        if count == 0:
            return best
        for place in range(self.count - count, self.count):
            size += self.levels[self.order[place]].length
        best.json = PyBytes_FromStringAndSize(NULL, size)
        at = PyBytes_AS_STRING(best.json)
        end = at + size
        at[0] = c"["
        for place in range(self.count - 1, self.count - 1 - count, -1):
            level = self.levels + self.order[place]
            # A copy of a length that the compiler knows takes 2 ns instead of 7; what is too much is written over.
            if end - at > MOST_BYTES:
                memcpy(at + 1, level.text, MOST_BYTES)
            else:
                memcpy(at + 1, level.text, level.length)
            at += 1 + level.length
            at[0] = c","
        at[0] = c"]"
        return best

    def worst(self):
        """Return the price of the worst level.

        Raises:
            IndexError: there is none.
        """
        if self.count == 0:
            raise IndexError("an empty side has no worst level")
        return self.sign * self.keys[0]

    def last(self):
        """Return the worst level.

        Raises:
            IndexError: there is none.
        """
        if self.count == 0:
            raise IndexError("an empty side has no worst level")
        cdef Levels worst = Levels.__new__(Levels)
        cdef Level *level = self.levels + self.order[0]
        worst.json = b"[" + level.text[:level.length] + b"]"
        worst.count = 1
        return worst[0]

    def keep(self, Py_ssize_t levels):
        """Forget all but the best levels, and give back what memory they no longer need."""
        cdef Py_ssize_t beyond = self.count - max(0, levels)
        cdef unsigned int *free
        if beyond <= 0:
            return
        free = <unsigned int *>PyMem_Malloc(beyond * sizeof(unsigned int))
        if free == NULL:
            raise MemoryError
        memcpy(free, self.order, beyond * sizeof(unsigned int))
        self.count -= beyond
        memmove(self.keys, self.keys + beyond, self.count * sizeof(double))
        memmove(self.order, self.order + beyond, self.count * sizeof(unsigned int))
        memcpy(self.order + self.count, free, beyond * sizeof(unsigned int))
        PyMem_Free(free)
        if self.room > 4 * self.count + 1000:
            self._become(self.copy())

    def copy(self):
        """Return the same, untouched by later changes."""
        cdef Sorted other = Sorted(highest_first=self.sign > 0.0)
        cdef Py_ssize_t place
        other._allocate(self.count)
        for place in range(self.count):
            other.keys[place] = self.keys[place]
            other.levels[place] = self.levels[self.order[place]]
        other.count = self.count
        return other

    def in_order(self):
        """Return the levels in order: these."""
        return self

    cdef Py_ssize_t _set(self, Numbers numbers, double low, double high) except -1:
        cdef Py_ssize_t each
        cdef double price
        if numbers.count > MANY:
            return self._set_many(numbers, low, high)
        if self.count + numbers.count > self.room:
            self._make_room(self.count + self._new(numbers))
        for each in range(numbers.count):
            price = numbers.changes[each].price
            if low <= price <= high:
                self._set_one(self.sign * price, numbers.changes + each)
        return self.count

    cdef Py_ssize_t _new(self, Numbers numbers) noexcept:
        """Count the changes that may add a level."""
        cdef Py_ssize_t each, place, found = 0
        cdef double key
        for each in range(numbers.count):
            key = self.sign * numbers.changes[each].price
            place = self._place(key)
            found += numbers.changes[each].size != 0.0 and not (place < self.count and self.keys[place] == key)
        return found

    cdef void _become(self, Sorted other) noexcept:
        """Take over the levels of another side of the same kind, and leave it what was here."""
        self.keys, other.keys = other.keys, self.keys
        self.order, other.order = other.order, self.order
        self.levels, other.levels = other.levels, self.levels
        self.room, other.room = other.room, self.room
        self.count, other.count = other.count, self.count

    cdef void _set_one(self, double key, Change *change) noexcept:
        """Set a level for which there is room."""
        cdef Py_ssize_t place = self._place(key), behind
        cdef unsigned int free
        if place < self.count and self.keys[place] == key:
            if change.size != 0.0:
                self.levels[self.order[place]] = change.level
            else:
                self._remove(place)
        elif change.size != 0.0:
            free = self.order[self.count]
            behind = self.count - place
            memmove(self.keys + place + 1, self.keys + place, behind * sizeof(double))
            memmove(self.order + place + 1, self.order + place, behind * sizeof(unsigned int))
            self.keys[place] = key
            self.order[place] = free
            self.levels[free] = change.level
            self.count += 1

    cdef void _remove(self, Py_ssize_t place) noexcept:
        cdef unsigned int free = self.order[place]
        cdef Py_ssize_t behind = self.count - 1 - place
        memmove(self.keys + place, self.keys + place + 1, behind * sizeof(double))
        memmove(self.order + place, self.order + place + 1, behind * sizeof(unsigned int))
        self.count -= 1
        self.order[self.count] = free

    cdef Py_ssize_t _set_many(self, Numbers numbers, double low, double high) except -1:
        """Set levels by sorting all of them anew, by Python's means."""
        cdef Py_ssize_t each
        cdef dict last = {}
        cdef Change *change
        for each in range(numbers.count):
            if low <= numbers.changes[each].price <= high:
                last[self.sign * numbers.changes[each].price] = each
        cdef Sorted other = Sorted(highest_first=self.sign > 0.0)
        other._make_room(self.count + len(last))
        for each in range(self.count):
            if self.keys[each] not in last:
                other.keys[other.count] = self.keys[each]
                other.levels[other.count] = self.levels[self.order[each]]
                other.count += 1
        for key, place in last.items():
            change = numbers.changes + <Py_ssize_t>place
            if change.size != 0.0:
                other.keys[other.count] = key
                other.levels[other.count] = change.level
                other.count += 1
        cdef list keys = [other.keys[each] for each in range(other.count)]
        for each, place in enumerate(sorted(range(len(keys)), key=keys.__getitem__)):
            other.keys[each] = keys[place]
            other.order[each] = place
        self._become(other)
        return self.count

    cdef Py_ssize_t _place(self, double key) noexcept:
        """Find the first place whose key is not below this one."""
        cdef Py_ssize_t low = 0, high = self.count, middle
        while low < high:
            middle = (low + high) >> 1
            if self.keys[middle] < key:
                low = middle + 1
            else:
                high = middle
        return low

    cdef int _make_room(self, Py_ssize_t levels) except -1:
        """Have room for so many levels, and some more to come; after a failure the side is what it was."""
        if levels > self.room:
            self._allocate(levels + (levels >> 3) + 16)
        return 0

    cdef int _allocate(self, Py_ssize_t levels) except -1:
        cdef void *more
        cdef Py_ssize_t place
        more = PyMem_Realloc(self.keys, levels * sizeof(double))
        if more == NULL:
            raise MemoryError
        self.keys = <double *>more
        more = PyMem_Realloc(self.order, levels * sizeof(unsigned int))
        if more == NULL:
            raise MemoryError
        self.order = <unsigned int *>more
        more = PyMem_Realloc(self.levels, levels * sizeof(Level))
        if more == NULL:
            raise MemoryError
        self.levels = <Level *>more
        for place in range(self.room, levels):
            self.order[place] = <unsigned int>place
        self.room = levels
        return 0


def alternating(Levels bids not None, Levels asks not None, Py_ssize_t most):
    """Join price and size of bids and asks in turn by colons; the longer side goes on alone.

    Args:
        most: levels of each side.
    """
    cdef Py_ssize_t of_bids = min(most, bids.count), of_asks = min(most, asks.count), place
    cdef const char *bid = PyBytes_AS_STRING(bids.json) + 1
    cdef const char *ask = PyBytes_AS_STRING(asks.json) + 1
    cdef char *joined = <char *>PyMem_Malloc(len(bids.json) + len(asks.json))
    cdef char *end = joined
    if joined == NULL:
        raise MemoryError
    for place in range(max(of_bids, of_asks)):
        if place < of_bids:
            bid = put(bid, &end)
        if place < of_asks:
            ask = put(ask, &end)
    try:
        # Behind each text stands a colon, behind the last one too.
        return PyBytes_FromStringAndSize(joined, max(0, end - joined - 1))
    finally:
        PyMem_Free(joined)


cdef inline const char *put(const char *at, char **end) noexcept nogil:
    """Write price and size of the row that begins here, a colon behind each; return where the next row begins."""
    cdef const char *behind
    cdef int text
    for text in range(2):
        behind = behind_text(at)
        memcpy(end[0], at + 2, behind - at - 3)
        end[0] += behind - at - 3
        end[0][0] = c":"
        end[0] += 1
        at = behind
    while at[0] != c"]":
        at = behind_text(at)
    return at + 2
