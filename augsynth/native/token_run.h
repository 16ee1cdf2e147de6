/* Runs of edits of token ids, as Python calls them. */

#ifndef AUGSYNTH_TOKEN_RUN_H
#define AUGSYNTH_TOKEN_RUN_H

#include "token_ops.h"

static void run_token_op(Ids *row, const TokenOp *op) {
    static void (*const runs[])(Ids *, const TokenOp *) = {token_synonym, token_swap,  token_delete, token_insert,
                                                           token_mask,    token_spans, token_cut,    token_cut_span};
    find_starts(row);
    runs[op->code](row, op);
}

/* Tell what may be edited; 0 where an id is not in the vocabulary. */
static int find_kinds(Ids *row, const int64_t *words, const int64_t *specials) {
    const uint64_t size = (uint64_t)row->book->size;
    const int length = row->length;
    int before = FIXED;
    for (int at = 0; at < length; at++) {
        const uint64_t id = (uint64_t)row->ids[at];
        if (id >= size) return 0;
        const int flags = row->flags[id];
        int open = (row->mask[at] != 0) & !(flags & ID_SPECIAL), starts = (flags & ID_START) != 0;
        if (specials) open &= !specials[at];
        if (words) open &= words[at] >= 0, starts = at == 0 || words[at] != words[at - 1];
        before = open * (GOES_ON + (starts | (before == FIXED)));
        row->kinds[at] = (uint8_t)before;
    }
    row->low = 0, row->high = length;
    while (row->high > 0 && !row->mask[row->high - 1]) row->high--;
    while (row->low < row->high && !row->mask[row->low]) row->low++;
    return 1;
}

/* Lend a row memory from one block; NULL where there is none. */
static void *row_memory(Ids *row, int length) {
    const size_t size = (size_t)length + 4; /* one before and one behind, and whole words of 8 bytes */
    int64_t *block = malloc(size * (3 * sizeof(int64_t) + 7 * sizeof(int) + 2));
    if (block == NULL) return NULL;
    row->fresh = block, row->spare = block + size, row->ranked = block + 2 * size;
    int *next = (int *)(block + 3 * size);
    int **parts[] = {&row->start, &row->extent, &row->site, &row->chosen, &row->take, &row->seat, &row->list};
    for (int i = 0; i < 7; i++, next += size) *parts[i] = next + 1;
    row->kinds = (uint8_t *)next, row->marked = row->kinds + size;
    memset(row->marked, 0, size);
    return block;
}

typedef struct { int64_t ids, mask, words, specials, source, place, labels; } TokenArrays;

static inline int64_t *at_row(int64_t address, int64_t at) { return address ? (int64_t *)(uintptr_t)address + at : NULL; }

/* Edit all rows; return -1, or the first one that has an id outside the vocabulary, or -2 without memory. */
static int64_t run_tokens(const TokenArrays *a, int64_t rows, int length, const TokenOp *ops, const int64_t *lengths, const int64_t *codes,
                          const double *params, int width, int size, const TokenBook *book) {
    Ids row = {.length = length, .book = book, .lengths = lengths, .flags = (const uint8_t *)(uintptr_t)book->flags};
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

/* tokens(arrays, rows, length, ops, lengths, codes, params, width, size, book): structs as bytes, a program's codes and params. */
static PyObject *native_tokens(PyObject *self, PyObject *args) {
    Py_buffer arrays, ops, lengths, codes, params, book;
    Py_ssize_t rows;
    int length, width, size;
    if (!PyArg_ParseTuple(args, "y*niy*y*y*y*iiy*", &arrays, &rows, &length, &ops, &lengths, &codes, &params, &width, &size, &book)) return NULL;
    int64_t fault;
    Py_BEGIN_ALLOW_THREADS
    fault = run_tokens(arrays.buf, rows, length, ops.buf, lengths.buf, codes.buf, params.buf, width, size, book.buf);
    Py_END_ALLOW_THREADS
    Py_buffer *held[] = {&arrays, &ops, &lengths, &codes, &params, &book};
    for (int i = 0; i < 6; i++) PyBuffer_Release(held[i]);
    return fault == -2 ? PyErr_NoMemory() : PyLong_FromLongLong(fault);
}

#endif
