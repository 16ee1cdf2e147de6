/* Edits of strings: what `augsynth/text` and `transforms/text.py` do, in the same order and with the same numbers.

   A text is UCS4 here. Edits are on its original characters and are spliced once, at the end. */

#ifndef AUGSYNTH_TEXT_H
#define AUGSYNTH_TEXT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "philox.h"

enum { OTHER, LETTER, DIGIT, MARK, SPACE, IDEOGRAPH, UNSPACED, APOSTROPHE, SURROGATE, KIND = 15, UPPER = 16, LOWER = 32, SPECIAL = 64 };
enum { HELD = 1, EDITED = 2, NAMED = 4, OPENED = 8 };
enum { LOWERED, TITLE, CAPITALS, MIXED };
enum { GROUP = 64, TABLED = 0x500, NEGATIONS = 256, LONGEST_NEGATION = 16 };

static const uint8_t *text_classes = NULL;  /* one per code point */
static uint64_t negations[NEGATIONS];       /* hashes, 0 where there is none */

typedef struct { int start, end; } Stretch;

typedef struct {
    int start, end;
    int from, to;     /* where the text was moved from; from is -1 where it is new */
    int rank;         /* of equal places, the first edit stands first */
    PyObject *text;   /* owned; NULL for none, or for what was moved */
    int spaced;       /* a space follows the text */
} Edit;

typedef struct { int start, end, rows, at; PyObject *found; } Site;

/* One text, and memory that the next one uses again. */
typedef struct {
    Py_UCS4 *signs, *out;
    uint8_t *kinds, *flags;
    Stretch *words;
    Site *sites;
    int *picked;
    uint8_t *marked;
    Edit *edits;
    int capacity, edit_capacity, out_capacity;
    int size, word_count, letters, edit_count, site_count;
    int split, shielded;   /* whether words, and what is held, are known */
} Text;

typedef struct { uint32_t key[2], entry, words[4]; uint64_t taken; } Stream;

static uint32_t stream_word(Stream *s) {
    if (s->taken % 4 == 0) {
        s->words[0] = (uint32_t)(s->taken / 4), s->words[1] = 0, s->words[2] = s->entry, s->words[3] = 0x74657874u;
        philox(s->words, s->key[0], s->key[1]);
    }
    return s->words[s->taken++ % 4];
}
static int stream_integer(Stream *s, uint32_t high) { return (int)(((uint64_t)stream_word(s) * high) >> 32); }
static double stream_uniform(Stream *s) { return (stream_word(s) >> 8) * (1.0 / 16777216.0); }

static void *grown(void *old, size_t size) {
    void *made = realloc(old, size ? size : 1);
    if (made == NULL) PyErr_NoMemory();
    return made;
}

#define GROW(field, count)                                                       \
    do {                                                                         \
        void *made = grown(text->field, (size_t)(count) * sizeof *text->field);  \
        if (made == NULL) return -1;                                             \
        text->field = made;                                                      \
    } while (0)

static int text_reserve(Text *text, int size) {
    if (size + 1 <= text->capacity) return 0;
    const int room = size + size / 2 + 64;
    GROW(signs, room); GROW(kinds, room); GROW(flags, room); GROW(words, room); GROW(sites, room); GROW(picked, room); GROW(marked, room);
    text->capacity = room;
    return 0;
}

static void text_release(Text *text) {
    free(text->signs), free(text->out), free(text->kinds), free(text->flags), free(text->words), free(text->sites);
    free(text->picked), free(text->marked), free(text->edits);
}

/* Read a string; 1 where it holds a lone surrogate, -1 with an error set. */
static int text_read(Text *text, PyObject *string) {
    const Py_ssize_t size = PyUnicode_GET_LENGTH(string);
    if (size > INT32_MAX / 64) return PyErr_SetString(PyExc_ValueError, "a text is too long"), -1;
    text->size = (int)size, text->edit_count = text->split = text->shielded = 0;
    if (text_reserve(text, text->size) < 0) return -1;
    const int kind = PyUnicode_KIND(string);
    const void *data = PyUnicode_DATA(string);
    int lone = 0;
    if (kind == PyUnicode_1BYTE_KIND) {
        const Py_UCS1 *from = data;
        for (int i = 0; i < text->size; i++) text->signs[i] = from[i], text->kinds[i] = text_classes[from[i]];
    } else {
        for (int i = 0; i < text->size; i++) {
            const Py_UCS4 sign = PyUnicode_READ(kind, data, i);
            text->signs[i] = sign, text->kinds[i] = text_classes[sign];
            lone |= (text->kinds[i] & KIND) == SURROGATE;
        }
    }
    memset(text->flags, 0, text->size + 1);
    return lone;
}

static int kind_at(const Text *text, int at) { return text->kinds[at] & KIND; }
static int space_at(const Text *text, int at) { return at < 0 || at >= text->size || kind_at(text, at) == SPACE; }
static int word_part(int kind) { return kind == LETTER || kind == DIGIT; }

static void text_split(Text *text) {
    if (text->split) return;
    text->split = 1, text->word_count = text->letters = 0;
    for (int at = 0; at < text->size;) {
        const int start = at, kind = kind_at(text, at);
        at++;
        if (word_part(kind)) {
            for (; at < text->size; at++) {
                const int next = kind_at(text, at);
                const int joined = next == APOSTROPHE && kind_at(text, at - 1) == LETTER && at + 1 < text->size && kind_at(text, at + 1) == LETTER;
                if (!(word_part(next) || next == MARK || joined)) break;
            }
            for (int i = start; i < at; i++) text->letters += word_part(kind_at(text, i));
        } else if (kind == IDEOGRAPH || kind == UNSPACED) {
            while (at < text->size && (kind_at(text, at) == MARK || (kind == UNSPACED && kind_at(text, at) == UNSPACED))) at++;
        } else continue;
        if (kind != UNSPACED) text->words[text->word_count].start = start, text->words[text->word_count++].end = at;
    }
}

static uint64_t hash_of(const Py_UCS4 *signs, int size) {
    uint64_t hash = 0xCBF29CE484222325u;
    for (int i = 0; i < size; i++) {
        Py_UCS4 sign = signs[i];
        if (sign >= 'A' && sign <= 'Z') sign += 32;
        if (sign == 0x2019) sign = '\'';
        hash = (hash ^ sign) * 0x100000001B3u;
    }
    return hash ? hash : 1;
}

static int is_negation(const Text *text, Stretch word) {
    const int size = word.end - word.start;
    const Py_UCS4 *signs = text->signs + word.start;
    if (size >= 3 && (signs[size - 1] | 32) == 't' && (signs[size - 2] == '\'' || signs[size - 2] == 0x2019) && (signs[size - 3] | 32) == 'n')
        return 1;
    if (size > LONGEST_NEGATION) return 0;
    const uint64_t hash = hash_of(signs, size);
    for (unsigned at = (unsigned)hash % NEGATIONS; negations[at]; at = (at + 1) % NEGATIONS)
        if (negations[at] == hash) return 1;
    return 0;
}

static int is_special(const Text *text, int start, int end) {
    for (int at = start; at < end; at++) {
        if (text->kinds[at] & SPECIAL || kind_at(text, at) == DIGIT) return 1;
        if ((text->signs[at] == '.' || text->signs[at] == ':') && at > start && at < end - 1) {
            const int before = kind_at(text, at - 1), after = kind_at(text, at + 1);
            if ((word_part(before) || before == IDEOGRAPH || before == UNSPACED) &&
                (word_part(after) || after == IDEOGRAPH || after == UNSPACED))
                return 1;
        }
    }
    return 0;
}

static int group_at(const Text *text, int at) {
    const Py_UCS4 opener = text->signs[at], closer = opener == '<' ? '>' : opener == '{' ? '}' : ']';
    for (int i = at + 1; i < text->size && i < at + GROUP; i++) {
        const Py_UCS4 sign = text->signs[i];
        if (sign == closer) return i - at + 1;
        if (sign == '\n' || sign == '<' || sign == '{' || sign == '[') return 0;
    }
    return 0;
}

static void text_shield(Text *text) {
    if (text->shielded) return;
    text->shielded = 1;
    text_split(text);
    int any = 0;
    for (int at = 0, start = 0; at <= text->size; at++) {
        const int kind = at < text->size ? kind_at(text, at) : SPACE;
        if (at < text->size) any |= text->kinds[at] & SPECIAL;
        if (kind != SPACE && kind != IDEOGRAPH) continue;
        if (start < at && is_special(text, start, at))
            for (int i = start; i < at; i++) text->flags[i] |= HELD;
        start = at + 1;
    }
    for (int at = 0; any && at < text->size; at++) {
        const Py_UCS4 sign = text->signs[at];
        const int size = sign == '<' || sign == '{' || sign == '[' ? group_at(text, at) : 0;
        for (int i = at; i < at + size; i++) text->flags[i] |= HELD;
    }
    for (int i = 0; i < text->word_count; i++)
        if (is_negation(text, text->words[i]))
            for (int at = text->words[i].start; at < text->words[i].end; at++) text->flags[at] |= HELD;
}

/* Tell whether nothing there is held or edited, and nothing was inserted between. */
static int is_free(const Text *text, int start, int end, int mask) {
    for (int at = start; at < end; at++)
        if (text->flags[at] & mask || (at > start && text->flags[at] & OPENED)) return 0;
    return 1;
}

static int is_held(const Text *text, int start, int end, int mask) {
    for (int at = start; at < end; at++)
        if (text->flags[at] & mask) return 1;
    return 0;
}

static int is_simple(const Text *text, int at) {
    return word_part(kind_at(text, at)) && !(text->flags[at] & EDITED) && (at + 1 == text->size || kind_at(text, at + 1) != MARK);
}

/* Add an edit; takes over `string`. */
static int text_edit(Text *text, int start, int end, PyObject *string, int spaced, int from, int to) {
    if (text->edit_count == text->edit_capacity) {
        GROW(edits, 2 * text->edit_capacity + 32);
        text->edit_capacity = 2 * text->edit_capacity + 32;
    }
    text->edits[text->edit_count] = (Edit){start, end, from, to, text->edit_count, string, spaced};
    text->edit_count++;
    for (int at = start; at < end; at++) text->flags[at] |= EDITED;
    return 0;
}

static int by_place(const void *one, const void *two) {
    const Edit *a = one, *b = two;
    return a->start != b->start ? a->start - b->start : a->end != b->end ? a->end - b->end : a->rank - b->rank;
}

static int edit_length(const Edit *edit) {
    const int size = edit->from >= 0 ? edit->to - edit->from : edit->text ? (int)PyUnicode_GET_LENGTH(edit->text) : 0;
    return size + edit->spaced;
}

/* Return the edited string. */
static PyObject *text_splice(Text *text) {
    if (text->edit_count > 16) qsort(text->edits, text->edit_count, sizeof(Edit), by_place);
    else
        for (int i = 1; i < text->edit_count; i++)
            for (int j = i; j > 0 && by_place(&text->edits[j - 1], &text->edits[j]) > 0; j--) {
                const Edit held = text->edits[j];
                text->edits[j] = text->edits[j - 1], text->edits[j - 1] = held;
            }
    int size = text->size;
    for (int i = 0; i < text->edit_count; i++) size += edit_length(&text->edits[i]) - (text->edits[i].end - text->edits[i].start);
    if (size > text->out_capacity) {
        void *made = grown(text->out, (size_t)(2 * size) * sizeof(Py_UCS4));
        if (made == NULL) return NULL;
        text->out = made, text->out_capacity = 2 * size;
    }
    Py_UCS4 *to = text->out;
    int at = 0;
    for (int i = 0; i < text->edit_count; i++) {
        const Edit *edit = &text->edits[i];
        if (edit->start < at) return PyErr_Format(PyExc_RuntimeError, "edits overlap");
        memcpy(to, text->signs + at, (edit->start - at) * sizeof *to), to += edit->start - at;
        if (edit->from >= 0) memcpy(to, text->signs + edit->from, (edit->to - edit->from) * sizeof *to), to += edit->to - edit->from;
        else if (edit->text) {
            const int count = (int)PyUnicode_GET_LENGTH(edit->text), kind = PyUnicode_KIND(edit->text);
            const void *data = PyUnicode_DATA(edit->text);
            for (int j = 0; j < count; j++) *to++ = PyUnicode_READ(kind, data, j);
        }
        if (edit->spaced) *to++ = ' ';
        at = edit->end;
    }
    memcpy(to, text->signs + at, (text->size - at) * sizeof *to);
    return PyUnicode_FromKindAndData(PyUnicode_4BYTE_KIND, text->out, size);
}

/* Return the edits as tuples (start, end, text, origin or None). */
static PyObject *text_listed(const Text *text) {
    PyObject *list = PyList_New(text->edit_count);
    for (int i = 0; list != NULL && i < text->edit_count; i++) {
        const Edit *edit = &text->edits[i];
        PyObject *string = edit->from >= 0 ? PyUnicode_FromKindAndData(PyUnicode_4BYTE_KIND, text->signs + edit->from, edit->to - edit->from)
                           : edit->text == NULL ? PyUnicode_New(0, 0)
                           : edit->spaced       ? PyUnicode_FromFormat("%U ", edit->text)
                                                : Py_NewRef(edit->text);
        PyObject *made = string == NULL ? NULL
                         : edit->from >= 0 ? Py_BuildValue("(iiN(ii))", edit->start, edit->end, string, edit->from, edit->to)
                                           : Py_BuildValue("(iiNO)", edit->start, edit->end, string, Py_None);
        if (made == NULL) Py_CLEAR(list);
        else PyList_SET_ITEM(list, i, made);
    }
    return list;
}

#endif
