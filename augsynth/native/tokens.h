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
typedef struct { int64_t code, low, high, fewest, most, choice, upto, beyond, lengths, longer; } TokenOp; /* lengths: the first of `longer` */
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
    const int64_t *lengths;
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

/* What a row holds is as good as random: all loops over it do without branches. */
static void find_starts(Ids *row) {
    int n = 0, *extent = row->extent - 1; /* there is room before the first, for what belongs to no word */
    extent[0] = 0;
    for (int at = row->low; at < row->high; at++) {
        const int kind = row->kinds[at], first = kind == FIRST;
        row->start[n] = at;
        n += first;
        extent[n] = (first ? 0 : extent[n]) + (kind != FIXED);
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

#endif
