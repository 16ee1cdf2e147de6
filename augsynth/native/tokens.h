/* Edits of padded rows of token ids: what `augsynth/transforms/tokens.py` does, with the same numbers, in place.

   A row's content stands in [low, high), the positions from the first to the last that its mask has; what is in there
   moves together, holes too. Of its tokens, kinds tells what may be edited: the first of a word, one that goes on, or
   neither. */

#ifndef AUGSYNTH_TOKENS_H
#define AUGSYNTH_TOKENS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "philox.h"

enum { TOKEN_SYNONYM, TOKEN_SWAP, TOKEN_DELETE, TOKEN_INSERT, TOKEN_MASK, TOKEN_SPANS, TOKEN_CUT, TOKEN_CUT_SPAN };
enum { ID_SPECIAL = 1, ID_START = 2, ID_KNOWN = 4 };
enum { FIXED, GOES_ON, FIRST };
enum { CONTROL, PLACES, VALUES, OTHERS }; /* purposes of drawn words */
enum { FROM_SYNONYMS, FROM_MASK, FROM_VOCABULARY };
#define TOKEN_TAG 0x746F6B6Eu
#define NO_LABEL (-100)

/* As Python lays them out, all int64. */
typedef struct { int64_t code, low, high, fewest, most, choice, upto, beyond, lengths, longest; } TokenOp;
typedef struct { int64_t flags, ordinary, indptr, indices, size, ordinaries, pad, mask, left; } TokenBook;

typedef struct {
    int64_t *ids, *mask, *source, *place, *labels; /* the last three may be NULL */
    uint8_t *kinds, *marked;
    int *start, *extent, *site, *chosen, *take, *seat, *list;
    int64_t *fresh, *spare, *ranked;
    int length, low, high, count; /* of words */
    uint32_t key[2];
    const uint8_t *flags;
    const int64_t *ordinary, *indptr, *indices;
    const TokenBook *book;
} Ids;

typedef struct { uint32_t words[4]; int64_t block; uint32_t purpose; } Taken;

static uint32_t token_word(const Ids *row, Taken *taken, int64_t at) {
    if (at / 4 != taken->block) {
        uint32_t c[4] = {row->key[0], row->key[1], taken->purpose, (uint32_t)(at / 4)};
        philox(c, TOKEN_TAG, 0);
        memcpy(taken->words, c, sizeof c);
        taken->block = at / 4;
    }
    return taken->words[at % 4];
}

static inline int64_t below(uint32_t word, int64_t high) { return (int64_t)(((uint64_t)word * (uint64_t)high) >> 32); }

static void find_starts(Ids *row) {
    int n = 0;
    for (int at = row->low; at < row->high; at++) {
        if (row->kinds[at] == FIRST) row->start[n] = at, row->extent[n++] = 1;
        else if (row->kinds[at] == GOES_ON) row->extent[n - 1]++;
    }
    row->count = n;
}

/* How many of the words, or of pairs of them, are to be edited. */
static int64_t token_count(const Ids *row, const TokenOp *op, int pairs) {
    Taken control = {{0}, -1, CONTROL};
    const int64_t first = token_word(row, &control, 0) >> 8, second = token_word(row, &control, 1) >> 8;
    const int64_t share = op->low + (((op->high - op->low) * second) >> 24);
    int64_t k = (row->count * share + (first << pairs)) >> (24 + pairs);
    if (k < op->fewest) k = op->fewest;
    return op->most >= 0 && k > op->most ? op->most : k;
}

static inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/* k of the numbers 0 to n - 1 into chosen, all sets as likely (Floyd, doi:10.1145/30401.315746). */
static void choose_some(Ids *row, int64_t n, int64_t k) {
    Taken places = {{0}, -1, PLACES};
    for (int64_t c = 0; c < k; c++) {
        const int64_t last = n - k + c, drawn = below(token_word(row, &places, c), last + 1);
        row->chosen[c] = (int)(row->marked[drawn] ? last : drawn);
        row->marked[row->chosen[c]] = 1;
    }
    for (int64_t c = 0; c < k; c++) row->marked[row->chosen[c]] = 0;
}

static int find_sites(Ids *row) {
    int sites = 0;
    for (int i = 0; i < row->count; i++)
        if (row->extent[i] == 1 && row->flags[row->ids[row->start[i]]] & ID_KNOWN) row->site[sites++] = row->start[i];
    return sites;
}

static int64_t synonym_of(const Ids *row, int64_t id, uint32_t word) {
    const int64_t first = row->indptr[id];
    return row->indices[first + below(word, row->indptr[id + 1] - first)];
}

static void token_synonym(Ids *row, const TokenOp *op) {
    const int sites = find_sites(row);
    const int64_t k = smaller(token_count(row, op, 0), sites);
    Taken values = {{0}, -1, VALUES};
    choose_some(row, sites, k);
    for (int64_t c = 0; c < k; c++) {
        int64_t *id = &row->ids[row->site[row->chosen[c]]];
        *id = synonym_of(row, *id, token_word(row, &values, c));
    }
}

static void move_array(Ids *row, int64_t *array, int64_t fill, const int *take, const int64_t *fresh, int first, int made) {
    const int size = row->high - row->low;
    if (array == NULL) return;
    memcpy(row->spare, array + row->low, size * sizeof *array);
    for (int at = row->low; at < row->high; at++) array[at] = fill;
    for (int i = 0; i < made; i++)
        array[first + i] = take[i] >= 0 ? row->spare[take[i] - row->low] : fresh ? fresh[i] : fill;
}

/* Let the content be `made` tokens: number i from position take[i], or a new word fresh[i], in the place of seat[i]. */
static void move_tokens(Ids *row, int made) {
    const int first = row->book->left ? row->high - made : row->low;
    uint8_t *held = (uint8_t *)row->list;
    memcpy(held, row->kinds + row->low, row->high - row->low);
    memset(row->kinds + row->low, FIXED, row->high - row->low);
    for (int i = 0; i < made; i++) row->kinds[first + i] = row->take[i] >= 0 ? held[row->take[i] - row->low] : FIRST;
    move_array(row, row->ids, row->book->pad, row->take, row->fresh, first, made);
    move_array(row, row->source, -1, row->take, NULL, first, made);
    move_array(row, row->place, -1, row->seat, NULL, first, made);
    move_array(row, row->labels, NO_LABEL, row->take, NULL, first, made);
    for (int i = 0; i < made; i++) row->fresh[i] = 1;
    move_array(row, row->mask, 0, row->take, row->fresh, first, made);
    row->low = first, row->high = first + made;
}

static void token_delete(Ids *row, const TokenOp *op) {
    const int64_t k = larger(smaller(token_count(row, op, 0), row->count - 1), 0);
    if (!k) return;
    choose_some(row, row->count, k);
    for (int64_t c = 0; c < k; c++)
        memset(row->marked + row->start[row->chosen[c]], 1, row->extent[row->chosen[c]]);
    int made = 0;
    for (int at = row->low; at < row->high; at++)
        if (!row->marked[at]) row->take[made] = row->seat[made] = at, made++;
    for (int64_t c = 0; c < k; c++)
        memset(row->marked + row->start[row->chosen[c]], 0, row->extent[row->chosen[c]]);
    move_tokens(row, made);
}

static void exchange(int64_t *array, int a, int b) {
    if (array == NULL) return;
    const int64_t held = array[a];
    array[a] = array[b], array[b] = held;
}

static int by_rank(const void *one, const void *two) {
    const int64_t a = *(const int64_t *)one, b = *(const int64_t *)two;
    return (a > b) - (a < b);
}

static void sort_ranks(int64_t *ranked, int64_t k) {
    if (k > 32) {
        qsort(ranked, k, sizeof *ranked, by_rank);
        return;
    }
    for (int64_t i = 1; i < k; i++)
        for (int64_t j = i, held; j > 0 && ranked[j - 1] > ranked[j]; j--)
            held = ranked[j], ranked[j] = ranked[j - 1], ranked[j - 1] = held;
}

static void token_swap(Ids *row, const TokenOp *op) {
    const int64_t k = 2 * smaller(token_count(row, op, 1), row->count / 2);
    if (!k) return;
    Taken others = {{0}, -1, OTHERS};
    int single = 1;
    choose_some(row, row->count, k);
    for (int64_t c = 0; c < k; c++) {
        row->ranked[c] = (int64_t)(token_word(row, &others, c) >> 1) << 32 | c;
        single &= row->extent[row->chosen[c]] == 1;
    }
    sort_ranks(row->ranked, k);
    int *other = row->list;
    for (int i = 0; !single && i < row->count; i++) other[i] = i;
    for (int64_t c = 0; c < k; c += 2) {
        const int one = row->chosen[(uint32_t)row->ranked[c]], two = row->chosen[(uint32_t)row->ranked[c + 1]];
        const int a = row->start[one], b = row->start[two];
        if (!single) other[one] = two, other[two] = one;
        else exchange(row->ids, a, b), exchange(row->source, a, b), exchange(row->labels, a, b);
    }
    if (single) return;
    int made = 0, word = 0;
    for (int at = row->low; at < row->high; at++) {
        if (row->kinds[at] == FIXED) row->take[made] = row->seat[made] = at, made++;
        if (row->kinds[at] != FIRST) continue;
        const int last = at + row->extent[word] - 1;
        for (int i = 0; i < row->extent[other[word]]; i++)
            row->take[made] = row->start[other[word]] + i, row->seat[made++] = at + i < last ? at + i : last;
        word++;
    }
    move_tokens(row, made);
}

static void token_insert(Ids *row, const TokenOp *op) {
    const int sites = op->choice == FROM_SYNONYMS ? find_sites(row) : row->count;
    const int64_t room = row->book->left ? row->low : row->length - row->high;
    /* One by one, they would be refused where there is no room for more: the later ones. */
    const int64_t k = smaller(token_count(row, op, 0), sites), fit = smaller(k, room);
    if (!fit) return;
    Taken values = {{0}, -1, VALUES}, others = {{0}, -1, OTHERS};
    if (op->choice == FROM_SYNONYMS) choose_some(row, sites, k);
    for (int64_t c = 0; c < fit; c++) {
        row->ranked[c] = below(token_word(row, &others, c), row->count) << 32 | c;
        const uint32_t word = token_word(row, &values, c);
        row->list[c] = (int)(op->choice == FROM_SYNONYMS ? synonym_of(row, row->ids[row->site[row->chosen[c]]], word)
                             : op->choice == FROM_MASK   ? row->book->mask
                                                         : row->ordinary[below(word, row->book->ordinaries)]);
    }
    sort_ranks(row->ranked, fit);
    int made = 0, next = 0, word = 0;
    for (int at = row->low; at < row->high; at++) {
        if (row->kinds[at] == FIRST) {
            for (; next < fit && row->ranked[next] >> 32 == word; next++, made++) {
                row->take[made] = -1, row->seat[made] = at;
                row->fresh[made] = row->list[(uint32_t)row->ranked[next]];
            }
            word++;
        }
        row->take[made] = row->seat[made] = at, made++;
    }
    move_tokens(row, made);
}

/* Write the mask over tokens, or others in their place, by the four words of a column; origin is where its first stands. */
static void mask_tokens(Ids *row, const TokenOp *op, Taken *values, int64_t column, int origin, int word) {
    const int64_t decision = token_word(row, values, 4 * column);
    for (int at = row->start[word], stop = at + row->extent[word]; at < stop; at++) {
        if (op->choice && row->labels[at] == NO_LABEL) row->labels[at] = row->ids[at];
        if (decision < op->upto) row->ids[at] = row->book->mask;
        else if (decision < op->beyond) {
            const int offset = at - origin;
            const uint32_t drawn = token_word(row, values, 4 * column + 1 + offset % 3) + (uint32_t)(offset / 3) * 0x9E3779B9u;
            row->ids[at] = row->ordinary[below(drawn, row->book->ordinaries)];
        }
    }
}

static void token_mask(Ids *row, const TokenOp *op) {
    const int64_t k = smaller(token_count(row, op, 0), row->count);
    Taken values = {{0}, -1, VALUES};
    choose_some(row, row->count, k);
    for (int64_t c = 0; c < k; c++) mask_tokens(row, op, &values, c, row->start[row->chosen[c]], row->chosen[c]);
}

/* Spans of k words in all, their lengths geometric, their places uniform among those where they do not overlap. */
static void token_spans(Ids *row, const TokenOp *op) {
    const int64_t k = smaller(token_count(row, op, 0), row->count), *over = (const int64_t *)(uintptr_t)op->lengths;
    Taken others = {{0}, -1, OTHERS}, values = {{0}, -1, VALUES};
    int64_t spans = 0;
    for (int64_t covered = 0; covered < k; covered += row->site[spans++]) {
        const int64_t word = token_word(row, &others, spans);
        int64_t length = 1;
        for (int i = 0; i < op->longest - 1; i++) length += word >= over[i];
        row->site[spans] = (int)smaller(length, k - covered);
    }
    choose_some(row, row->count - k + spans, spans);
    for (int64_t c = 0; c < spans; c++) row->ranked[c] = row->chosen[c];
    sort_ranks(row->ranked, spans);
    for (int64_t c = 0, shift = 0; c < spans; shift += row->site[c++] - 1) {
        const int first = (int)(row->ranked[c] + shift);
        for (int i = first; i < first + row->site[c]; i++) mask_tokens(row, op, &values, c, row->start[first], i);
    }
}

static void cut_word(Ids *row, int word) {
    for (int at = row->start[word], stop = at + row->extent[word]; at < stop; at++) {
        row->ids[at] = row->book->pad, row->mask[at] = 0, row->kinds[at] = FIXED;
        if (row->source != NULL) row->source[at] = -1;
        if (row->labels != NULL) row->labels[at] = NO_LABEL;
    }
}

static void token_cut(Ids *row, const TokenOp *op) {
    const int64_t k = larger(smaller(token_count(row, op, 0), row->count - 1), 0);
    choose_some(row, row->count, k);
    for (int64_t c = 0; c < k; c++) cut_word(row, row->chosen[c]);
}

static void token_cut_span(Ids *row, const TokenOp *op) {
    const int64_t k = larger(smaller(token_count(row, op, 0), row->count - 1), 0);
    Taken control = {{0}, -1, CONTROL};
    const int64_t first = below(token_word(row, &control, 2), row->count - k + 1);
    for (int64_t i = 0; i < k; i++) cut_word(row, (int)(first + i));
}

static void run_token_op(Ids *row, const TokenOp *op) {
    static void (*const runs[])(Ids *, const TokenOp *) = {token_synonym, token_swap,  token_delete, token_insert,
                                                           token_mask,    token_spans, token_cut,    token_cut_span};
    find_starts(row);
    runs[op->code](row, op);
}

/* Tell what may be edited; 0 where an id is not in the vocabulary. */
static int find_kinds(Ids *row, const int64_t *words, const int64_t *specials) {
    row->low = row->high = 0;
    for (int at = 0, before = FIXED; at < row->length; at++) {
        const int64_t id = row->ids[at];
        if (id < 0 || id >= row->book->size) return 0;
        const uint8_t flags = row->flags[id];
        const int open = row->mask[at] && !(flags & ID_SPECIAL) && !(words && words[at] < 0) && !(specials && specials[at]);
        const int starts = before == FIXED || (words ? words[at] != words[at - 1] : flags & ID_START);
        row->kinds[at] = (uint8_t)(before = !open ? FIXED : starts ? FIRST : GOES_ON);
        if (row->mask[at]) row->low = row->high ? row->low : at, row->high = at + 1;
    }
    return 1;
}

/* Lend a row memory from one block; NULL where there is none. */
static void *row_memory(Ids *row, int length) {
    const size_t size = (size_t)length + 4;
    int64_t *block = malloc(size * (3 * sizeof(int64_t) + 7 * sizeof(int) + 2));
    if (block == NULL) return NULL;
    row->fresh = block, row->spare = block + size, row->ranked = block + 2 * size;
    int *next = (int *)(block + 3 * size);
    int **parts[] = {&row->start, &row->extent, &row->site, &row->chosen, &row->take, &row->seat, &row->list};
    for (int i = 0; i < 7; i++, next += size) *parts[i] = next;
    row->kinds = (uint8_t *)next, row->marked = row->kinds + size;
    memset(row->marked, 0, size);
    return block;
}

typedef struct { int64_t ids, mask, words, specials, source, place, labels; } TokenArrays;

static inline int64_t *at_row(int64_t address, int64_t at) { return address ? (int64_t *)(uintptr_t)address + at : NULL; }

/* Edit all rows; return -1, or the first one that has an id outside the vocabulary, or -2 without memory. */
static int64_t run_tokens(const TokenArrays *a, int64_t rows, int length, const TokenOp *ops, const int64_t *codes,
                          const double *params, int width, int size, const TokenBook *book) {
    Ids row = {.length = length, .book = book, .flags = (const uint8_t *)(uintptr_t)book->flags};
    row.ordinary = at_row(book->ordinary, 0), row.indptr = at_row(book->indptr, 0), row.indices = at_row(book->indices, 0);
    void *block = row_memory(&row, length);
    if (block == NULL) return -2;
    int64_t fault = -1;
    for (int64_t i = 0; i < rows && fault < 0; i++) {
        const int64_t at = i * length;
        row.ids = at_row(a->ids, at), row.mask = at_row(a->mask, at), row.labels = at_row(a->labels, at);
        row.source = at_row(a->source, at), row.place = at_row(a->place, at);
        if (!find_kinds(&row, at_row(a->words, at), at_row(a->specials, at))) fault = i;
        for (int j = 0; j < width && fault < 0; j++) {
            const int64_t code = codes[i * width + j];
            const double *key = params + (i * width + j) * size;
            if (!code) continue;
            row.key[0] = (uint32_t)key[0], row.key[1] = (uint32_t)key[1];
            run_token_op(&row, &ops[code - 1]);
        }
    }
    free(block);
    return fault;
}

/* tokens(arrays, rows, length, ops, codes, params, width, size, book): structs as bytes, a program's codes and params. */
static PyObject *native_tokens(PyObject *self, PyObject *args) {
    Py_buffer arrays, ops, codes, params, book;
    Py_ssize_t rows;
    int length, width, size;
    if (!PyArg_ParseTuple(args, "y*niy*y*y*iiy*", &arrays, &rows, &length, &ops, &codes, &params, &width, &size, &book)) return NULL;
    int64_t fault;
    Py_BEGIN_ALLOW_THREADS
    fault = run_tokens(arrays.buf, rows, length, ops.buf, codes.buf, params.buf, width, size, book.buf);
    Py_END_ALLOW_THREADS
    Py_buffer *held[] = {&arrays, &ops, &codes, &params, &book};
    for (int i = 0; i < 5; i++) PyBuffer_Release(held[i]);
    return fault == -2 ? PyErr_NoMemory() : PyLong_FromLongLong(fault);
}

#endif
