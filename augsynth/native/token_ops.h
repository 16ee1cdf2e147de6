/* The edits of a row of token ids, as the classes of `augsynth/transforms/tokens.py` make them. */

#ifndef AUGSYNTH_TOKEN_OPS_H
#define AUGSYNTH_TOKEN_OPS_H

#include "tokens.h"

static int find_sites(Ids *row) {
    int sites = 0;
    for (int i = 0; i < row->count; i++) {
        row->site[sites] = row->start[i];
        sites += (row->extent[i] == 1) & ((row->flags[row->ids[row->start[i]]] & ID_KNOWN) != 0);
    }
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

static void token_delete(Ids *row, const TokenOp *op) {
    const int64_t k = larger(smaller(token_count(row, op, 0), row->count - 1), 0);
    if (!k) return;
    choose_some(row, row->count, k);
    for (int64_t c = 0; c < k; c++)
        memset(row->marked + row->start[row->chosen[c]], 1, row->extent[row->chosen[c]]);
    int made = 0;
    for (int at = row->low; at < row->high; at++) row->take[made] = row->seat[made] = at, made += !row->marked[at];
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

/* Let the content go on with what stands from `at` to `stop`. */
static int keep_tokens(Ids *row, int made, int at, int stop) {
    for (; at < stop; at++, made++) row->take[made] = row->seat[made] = at;
    return made;
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
    for (int64_t c = 0; c < k; c += 2) {
        const int one = row->chosen[(uint32_t)row->ranked[c]], two = row->chosen[(uint32_t)row->ranked[c + 1]];
        const int a = row->start[one], b = row->start[two];
        other[one] = two, other[two] = one;
        if (single) exchange(row->ids, a, b), exchange(row->source, a, b), exchange(row->labels, a, b);
    }
    if (single) return;
    int made = 0, at = row->low;
    for (int64_t c = 0; c < k; c++) row->ranked[c] = row->chosen[c];
    sort_ranks(row->ranked, k);
    for (int64_t c = 0; c < k; c++) {
        const int word = (int)row->ranked[c], first = row->start[word], last = first + row->extent[word] - 1;
        made = keep_tokens(row, made, at, first);
        for (int i = 0; i < row->extent[other[word]]; i++)
            row->take[made] = row->start[other[word]] + i, row->seat[made++] = first + i < last ? first + i : last;
        at = last + 1;
    }
    move_tokens(row, keep_tokens(row, made, at, row->high));
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
    int made = 0, at = row->low;
    for (int64_t c = 0; c < fit; c++, made++) {
        const int first = row->start[row->ranked[c] >> 32];
        made = keep_tokens(row, made, at, first);
        row->take[made] = -1, row->seat[made] = at = first, row->fresh[made] = row->list[(uint32_t)row->ranked[c]];
    }
    move_tokens(row, keep_tokens(row, made, at, row->high));
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
    const int64_t k = smaller(token_count(row, op, 0), row->count), *over = row->lengths + op->lengths;
    Taken control = {{0}, -1, CONTROL}, others = {{0}, -1, OTHERS}, values = {{0}, -1, VALUES};
    int64_t spans = 0;
    for (int64_t covered = 0; covered < k; covered += row->site[spans++]) {
        const int64_t word = token_word(row, &others, spans);
        int64_t length = 1;
        for (int i = 0; i < op->longer; i++) length += word >= over[i];
        row->site[spans] = (int)smaller(length, k - covered);
    }
    choose_some(row, row->count - k + spans, spans);
    for (int64_t c = 0; c < spans; c++) row->ranked[c] = row->chosen[c];
    sort_ranks(row->ranked, spans);
    /* The last length drawn is cut short: it may stand anywhere. */
    const int64_t turn = below(token_word(row, &control, 2), spans);
    for (int64_t c = 0, shift = 0; c < spans; c++) {
        const int first = (int)(row->ranked[c] + shift), length = row->site[(c + turn) % spans];
        shift += length - 1;
        for (int i = first; i < first + length; i++) mask_tokens(row, op, &values, c, row->start[first], i);
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

#endif
