/* The transforms of strings; each as `edit` of its class in `transforms/text.py` and `transforms/typos.py`. */

#ifndef AUGSYNTH_TEXT_OPS_H
#define AUGSYNTH_TEXT_OPS_H

#include "text.h"

enum { DELETE_WORD, SWAP_WORDS, PUNCTUATE, REPLACE_WORD, INSERT_WORD, REPLACE_LETTER, SWAP_LETTERS, DELETE_LETTER, INSERT_LETTER };

/* A transform, as Python gives it: what all have in common, then the code and what it needs. */
typedef struct {
    unsigned int slot;
    double p, low, high;
    long min_edits, max_edits;    /* -1 for no bound */
    int gated, held, min_length;
    PyObject *words, *spans;      /* a set of words that are held, a function from a text to spans; or None */
    int code;
    PyObject *first, *second, *third;
} Op;

static int op_read(PyObject *given, Op *op) {
    op->first = op->second = op->third = NULL;
    return PyArg_ParseTuple(given, "IidddlliiOOi|OOO", &op->slot, &op->gated, &op->p, &op->low, &op->high, &op->min_edits,
                            &op->max_edits, &op->held, &op->min_length, &op->words, &op->spans, &op->code, &op->first,
                            &op->second, &op->third);
}

static int op_count(const Op *op, double n, Stream *stream, double strength) {
    const double share = op->high > op->low ? op->low + (op->high - op->low) * stream_uniform(stream) : op->low;
    const double product = n * share * strength;
    long k = (long)(product + stream_uniform(stream));
    if (strength > 0 && k < op->min_edits) k = op->min_edits;
    if (op->max_edits >= 0 && k > op->max_edits) k = op->max_edits;
    return (int)(k < INT32_MAX ? k : INT32_MAX);
}

/* Choose k of n; fills `picked`, ascending. */
static void choose_of(Text *text, Stream *stream, int n, int k) {
    if (k <= 0) return;
    memset(text->marked, 0, n);
    for (int last = n - k; last < n; last++) {
        const int drawn = stream_integer(stream, (uint32_t)last + 1);
        text->marked[text->marked[drawn] ? last : drawn] = 1;
    }
    for (int i = 0, found = 0; found < k; i++)
        if (text->marked[i]) text->picked[found++] = i;
}

static int least(int a, int b) { return a < b ? a : b; }

static PyObject *lowered(const Text *text, Stretch word) {
    Py_UCS4 small[64];
    const int size = word.end - word.start;
    int plain = size <= 64;
    for (int i = 0; plain && i < size; i++) {
        const Py_UCS4 sign = text->signs[word.start + i];
        small[i] = sign == 0x2019 ? '\'' : sign >= 'A' && sign <= 'Z' ? sign + 32 : sign;
        plain = sign < 128 || sign == 0x2019;
    }
    if (plain) {
        PyObject *made = PyUnicode_New(size, 127);
        if (made != NULL)
            for (int i = 0; i < size; i++) PyUnicode_1BYTE_DATA(made)[i] = (Py_UCS1)small[i];
        return made;
    }
    PyObject *whole = PyUnicode_FromKindAndData(PyUnicode_4BYTE_KIND, text->signs + word.start, size);
    PyObject *lower = whole == NULL ? NULL : PyObject_CallMethod(whole, "lower", NULL);
    Py_XDECREF(whole);
    PyObject *made = lower == NULL ? NULL : PyObject_CallMethod(lower, "replace", "ss", "\xe2\x80\x99", "'");
    Py_XDECREF(lower);
    return made;
}

static int case_at(const Text *text, Stretch word) {
    int upper = 0, lower = 0;
    for (int at = word.start; at < word.end; at++) upper += (text->kinds[at] & UPPER) != 0, lower += (text->kinds[at] & LOWER) != 0;
    if (upper == 0) return LOWERED;
    if (upper == 1 && text->kinds[word.start] & UPPER) return TITLE;
    return lower ? MIXED : CAPITALS;
}

/* Set or clear the flag of what `protect` names. */
static int hold_named(Text *text, const Op *op, PyObject *string) {
    if (op->words != Py_None) {
        text_split(text);
        for (int i = 0; i < text->word_count; i++) {
            const Stretch word = text->words[i];
            PyObject *lower = lowered(text, word);
            const int held = lower == NULL ? -1 : PySet_Contains(op->words, lower);
            Py_XDECREF(lower);
            if (held < 0) return -1;
            for (int at = word.start; held && at < word.end; at++) text->flags[at] |= NAMED;
        }
    }
    if (op->spans == Py_None) return 0;
    PyObject *given = PyObject_CallOneArg(op->spans, string);
    PyObject *spans = given == NULL ? NULL : PySequence_Fast(given, "protect: the function gave no spans");
    Py_XDECREF(given);
    if (spans == NULL) return -1;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(spans); i++) {
        int start, end;
        if (!PyArg_ParseTuple(PySequence_Fast_GET_ITEM(spans, i), "ii", &start, &end)) return Py_DECREF(spans), -1;
        for (int at = start; at < end && at < text->size; at++) text->flags[at] |= NAMED;
    }
    Py_DECREF(spans);
    return 0;
}

static int find_words(Text *text, int mask) {
    text_split(text);
    text->site_count = 0;
    for (int i = 0; i < text->word_count; i++)
        if (is_free(text, text->words[i].start, text->words[i].end, mask))
            text->sites[text->site_count++] = (Site){text->words[i].start, text->words[i].end, 0, 0, NULL};
    return 0;
}

static int delete_words(Text *text, const Op *op, Stream *stream, double strength, int mask) {
    find_words(text, mask);
    const int most = text->word_count > 0 ? text->word_count - 1 : 0;
    const int k = least(least(op_count(op, text->word_count, stream, strength), text->site_count), most);
    choose_of(text, stream, text->site_count, k);
    for (int i = 0; i < k; i++) {
        int start = text->sites[text->picked[i]].start, end = text->sites[text->picked[i]].end;
        const int before = space_at(text, start - 1), after = space_at(text, end);
        if (start && before && (after || space_at(text, end + 1)) && is_free(text, start - 1, end, mask)) start--;
        else if (end < text->size && before && after && is_free(text, start, end + 1, mask)) end++;
        if (text_edit(text, start, end, NULL, 0, -1, -1) < 0) return -1;
    }
    return 0;
}

static int swap_words(Text *text, const Op *op, Stream *stream, double strength, int mask) {
    find_words(text, mask);
    const int k = 2 * least(op_count(op, text->word_count * 0.5, stream, strength), text->site_count / 2);
    choose_of(text, stream, text->site_count, k);
    for (int last = k - 1; last > 0; last--) {
        const int other = stream_integer(stream, (uint32_t)last + 1), held = text->picked[last];
        text->picked[last] = text->picked[other], text->picked[other] = held;
    }
    for (int i = 0; i < k; i += 2)
        for (int j = 0; j < 2; j++) {
            const Site *there = &text->sites[text->picked[i + j]], *here = &text->sites[text->picked[i + 1 - j]];
            if (text_edit(text, there->start, there->end, NULL, 0, here->start, here->end) < 0) return -1;
        }
    return 0;
}

static PyObject *random_of(PyObject *tuple, Stream *stream) {
    return Py_NewRef(PyTuple_GET_ITEM(tuple, stream_integer(stream, (uint32_t)PyTuple_GET_SIZE(tuple))));
}

static int punctuate(Text *text, const Op *op, Stream *stream, double strength, int mask) {
    find_words(text, mask);
    int sites = 0;
    for (int i = 0; i < text->site_count; i++) {
        const int at = text->sites[i].start;
        if (space_at(text, at - 1) && !(text->flags[at] & OPENED)) text->sites[sites++] = text->sites[i];
    }
    const int k = least(op_count(op, text->word_count, stream, strength), sites);
    choose_of(text, stream, sites, k);
    for (int i = 0; i < k; i++) {
        const int at = text->sites[text->picked[i]].start;
        text->flags[at] |= OPENED;
        if (text_edit(text, at, at, random_of(op->first, stream), 1, -1, -1) < 0) return -1;
    }
    return 0;
}

/* Words that there are others for; `first` is a dict that answers for what it does not know. Site.at is the case. */
static int find_known(Text *text, const Op *op, int mask) {
    text_split(text);
    text->site_count = 0;
    for (int i = 0; i < text->word_count; i++) {
        const Stretch word = text->words[i];
        const int pattern = case_at(text, word);
        if (pattern == MIXED || !is_free(text, word.start, word.end, mask)) continue;
        PyObject *lower = lowered(text, word);
        PyObject *found = lower == NULL ? NULL : PyDict_GetItemWithError(op->first, lower);
        if (found != NULL) Py_INCREF(found);
        else if (lower != NULL && !PyErr_Occurred()) found = PyObject_GetItem(op->first, lower);
        Py_XDECREF(lower);
        if (found == NULL) return -1;
        if (PyTuple_GET_SIZE(found)) text->sites[text->site_count++] = (Site){word.start, word.end, 0, pattern, found};
        else Py_DECREF(found);
    }
    return 0;
}

static void drop_found(Text *text) {
    for (int i = 0; i < text->site_count; i++) Py_XDECREF(text->sites[i].found);
    text->site_count = 0;
}

static int replace_words(Text *text, const Op *op, Stream *stream, double strength, int mask) {
    if (find_known(text, op, mask) < 0) return drop_found(text), -1;
    const int k = least(op_count(op, text->word_count, stream, strength), text->site_count);
    choose_of(text, stream, text->site_count, k);
    int failed = 0;
    for (int i = 0; !failed && i < k; i++) {
        const Site *site = &text->sites[text->picked[i]];
        PyObject *word = random_of(site->found, stream);
        if (site->at != LOWERED) {
            PyObject *cased = PyObject_CallFunction(op->second, "Oi", word, site->at);
            Py_DECREF(word);
            word = cased;
        }
        failed = word == NULL || text_edit(text, site->start, site->end, word, 0, -1, -1) < 0;
    }
    drop_found(text);
    return failed ? -1 : 0;
}

static int insert_words(Text *text, const Op *op, Stream *stream, double strength, int mask) {
    if (find_known(text, op, mask) < 0) return drop_found(text), -1;
    const int k = least(op_count(op, text->word_count, stream, strength), text->site_count);
    choose_of(text, stream, text->site_count, k);
    int failed = 0;
    for (int i = 0; !failed && i < k; i++) {
        PyObject *word = random_of(text->sites[text->picked[i]].found, stream);
        const int first = stream_integer(stream, (uint32_t)text->word_count);
        int placed = 0;
        for (int j = 0; !placed && j < text->word_count; j++) {
            const Stretch at = text->words[(first + j) % text->word_count];
            placed = !(text->flags[at.start] & OPENED) && is_free(text, at.start, at.end, mask);
            if (!placed) continue;
            text->flags[at.start] |= OPENED;
            failed = text_edit(text, at.start, at.start, word, 1, -1, -1) < 0;
        }
        if (!placed) Py_DECREF(word);
    }
    drop_found(text);
    return failed ? -1 : 0;
}

static int row_of(const Op *op, const Text *text, int at, int end) {
    const int32_t *pairs = (const int32_t *)PyBytes_AS_STRING(op->second);
    const int count = (int)(PyBytes_GET_SIZE(op->second) / 12);
    if (at + 1 < end && is_simple(text, at + 1)) {
        int low = 0, high = count;
        const int64_t wanted = ((int64_t)text->signs[at] << 32) | text->signs[at + 1];
        while (low < high) {
            const int middle = (low + high) / 2;
            const int64_t here = ((int64_t)pairs[3 * middle] << 32) | (uint32_t)pairs[3 * middle + 1];
            if (here == wanted) return pairs[3 * middle + 2] | 1 << 30;
            if (here < wanted) low = middle + 1;
            else high = middle;
        }
    }
    return text->signs[at] < TABLED ? ((const int32_t *)PyBytes_AS_STRING(op->first))[text->signs[at]] : -1;
}

/* Letters that may be edited; what they are sites for is the caller's question. Site.end is where the word ends. */
static int find_letters(Text *text, const Op *op, int mask) {
    text_split(text);
    text->site_count = 0;
    for (int i = 0; i < text->word_count; i++) {
        const Stretch word = text->words[i];
        if (word.end - word.start < op->min_length || is_held(text, word.start, word.end, mask & ~EDITED)) continue;
        for (int at = word.start; at < word.end; at++)
            if (is_simple(text, at)) text->sites[text->site_count++] = (Site){at, word.end, 0, word.start, NULL};
    }
    return 0;
}

static int replace_letters(Text *text, const Op *op, Stream *stream, double strength, int mask) {
    find_letters(text, op, mask);
    int sites = 0;
    for (int i = 0; i < text->site_count; i++) {
        const int at = text->sites[i].start, row = row_of(op, text, at, text->sites[i].end);
        if (row < 0) continue;
        const int both = row >> 30 & 1;
        text->sites[sites++] = (Site){at, at + 1 + both, row & ~(1 << 30), 0, NULL};
    }
    const int k = least(op_count(op, text->letters, stream, strength), sites);
    choose_of(text, stream, sites, k);
    for (int i = 0; i < k; i++) {
        const Site *site = &text->sites[text->picked[i]];
        PyObject *string = random_of(PyTuple_GET_ITEM(op->third, site->rows), stream);
        if (!is_free(text, site->start, site->end, mask)) Py_DECREF(string);
        else if (text_edit(text, site->start, site->end, string, 0, -1, -1) < 0) return -1;
    }
    return 0;
}

static int swap_letters(Text *text, const Op *op, Stream *stream, double strength, int mask) {
    find_letters(text, op, mask);
    int sites = 0;
    for (int i = 0; i < text->site_count; i++) {
        const int at = text->sites[i].start;
        if (at + 1 < text->sites[i].end && is_simple(text, at + 1) && text->signs[at] != text->signs[at + 1]) text->sites[sites++] = text->sites[i];
    }
    const int k = least(op_count(op, text->letters * 0.5, stream, strength), sites);
    choose_of(text, stream, sites, k);
    for (int i = 0; i < k; i++) {
        const int at = text->sites[text->picked[i]].start;
        if (!is_free(text, at, at + 2, mask)) continue;
        if (text_edit(text, at, at + 1, NULL, 0, at + 1, at + 2) < 0 || text_edit(text, at + 1, at + 2, NULL, 0, at, at + 1) < 0) return -1;
    }
    return 0;
}

static int delete_letters(Text *text, const Op *op, Stream *stream, double strength, int mask) {
    find_letters(text, op, mask);
    const int k = least(op_count(op, text->letters, stream, strength), text->site_count);
    choose_of(text, stream, text->site_count, k);
    int word = -1, kept = 0;
    for (int i = 0; i < k; i++) {
        const Site *site = &text->sites[text->picked[i]];
        if (site->at != word) word = site->at, kept = site->end - site->at;
        if (kept-- <= 1) continue; /* a word keeps one character */
        if (text_edit(text, site->start, site->start + 1, NULL, 0, -1, -1) < 0) return -1;
    }
    return 0;
}

static int insert_letters(Text *text, const Op *op, Stream *stream, double strength, int mask) {
    find_letters(text, op, mask);
    int sites = 0;
    for (int i = 0; i < text->site_count; i++)
        if (!(text->flags[text->sites[i].start] & OPENED)) text->sites[sites++] = text->sites[i];
    const int k = least(op_count(op, text->letters, stream, strength), sites);
    choose_of(text, stream, sites, k);
    for (int i = 0; i < k; i++) {
        const int at = text->sites[text->picked[i]].start;
        PyObject *letter = random_of(text->kinds[at] & UPPER ? op->second : op->first, stream);
        text->flags[at] |= OPENED;
        if (text_edit(text, at, at, letter, 0, -1, -1) < 0) return -1;
    }
    return 0;
}

static int op_run(Text *text, const Op *op, Stream *stream, double strength, PyObject *string) {
    typedef int (*Run)(Text *, const Op *, Stream *, double, int);
    static const Run runs[] = {delete_words, swap_words, punctuate, replace_words, insert_words, replace_letters, swap_letters, delete_letters, insert_letters};
    const int named = op->words != Py_None || op->spans != Py_None;
    if (op->held) text_shield(text);
    if (named && hold_named(text, op, string) < 0) return -1;
    const int failed = runs[op->code](text, op, stream, strength, EDITED | (op->held ? HELD : 0) | (named ? NAMED : 0));
    for (int at = 0; named && at < text->size; at++) text->flags[at] &= ~NAMED;
    return failed;
}

#endif
