/* Runs of transforms of strings, as Python calls them. */

#ifndef AUGSYNTH_TEXT_RUN_H
#define AUGSYNTH_TEXT_RUN_H

#include "text_ops.h"

/* text_setup(classes, negations): the address of one byte per code point, and a tuple of lower-case words. */
static PyObject *native_text_setup(PyObject *self, PyObject *args) {
    unsigned long long address;
    PyObject *words;
    if (!PyArg_ParseTuple(args, "KO!", &address, &PyTuple_Type, &words)) return NULL;
    memset(negations, 0, sizeof negations);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(words); i++) {
        PyObject *word = PyTuple_GET_ITEM(words, i);
        Py_UCS4 signs[LONGEST_NEGATION];
        if (i >= NEGATIONS / 2 || PyUnicode_GET_LENGTH(word) > LONGEST_NEGATION || PyUnicode_AsUCS4(word, signs, LONGEST_NEGATION, 0) == NULL)
            return PyErr_Format(PyExc_ValueError, "%R is too long", word);
        const uint64_t hash = hash_of(signs, (int)PyUnicode_GET_LENGTH(word));
        unsigned at = (unsigned)hash % NEGATIONS;
        while (negations[at] && negations[at] != hash) at = (at + 1) % NEGATIONS;
        negations[at] = hash;
    }
    text_classes = (const uint8_t *)(uintptr_t)address;
    Py_RETURN_NONE;
}

typedef struct { const int64_t *index, *occurrence, *epoch, *codes; const double *params; uint32_t seed; int width, size; } Keys;

/* The stream of a transform on a text; 0 where its gate is closed. */
static int stream_of(Stream *stream, const Keys *keys, const Op *op, double strength, Py_ssize_t row) {
    uint32_t block[4] = {(uint32_t)keys->index[row], (uint32_t)keys->occurrence[row], op->slot, 0};
    philox(block, keys->seed, (uint32_t)keys->epoch[row]);
    const uint32_t *words = block;
    if (op->gated) {
        if ((block[0] >> 8) * (1.0 / 16777216.0) >= op->p * strength) return 0;
        words++;
    }
    stream->key[0] = words[0] >> 8, stream->key[1] = words[1] >> 8, stream->taken = 0;
    return 1;
}

static int run_one(Text *text, const Op *ops, int count, const Keys *keys, Stream *stream, double strength, Py_ssize_t row, PyObject *string) {
    if (keys->codes == NULL) {
        for (int j = 0; j < count; j++)
            if (stream_of(stream, keys, &ops[j], strength, row) && op_run(text, &ops[j], stream, strength, string) < 0) return -1;
        return 0;
    }
    for (int j = 0; j < keys->width; j++) {
        const int64_t code = keys->codes[row * keys->width + j];
        if (!code) continue;
        const double *params = keys->params + (row * keys->width + j) * keys->size;
        stream->key[0] = (uint32_t)params[0], stream->key[1] = (uint32_t)params[1], stream->taken = 0;
        if (op_run(text, &ops[code - 1], stream, strength, string) < 0) return -1;
    }
    return 0;
}

static void forget(Text *text) {
    for (int i = 0; i < text->edit_count; i++) Py_XDECREF(text->edits[i].text);
    text->edit_count = 0;
}

/* Fill `results`, and `listed` where it is one; -1 with an error set. */
static int run_all(PyObject **texts, Py_ssize_t size, const Op *ops, int count, const Keys *keys, Stream *stream, double strength, PyObject *results, PyObject *listed) {
    Text text = {NULL};
    int failed = 0;
    for (Py_ssize_t i = 0; !failed && i < size; i++) {
        if (!PyUnicode_Check(texts[i])) failed = -1, PyErr_Format(PyExc_TypeError, "%zd", i);
        else if ((failed = text_read(&text, texts[i])) > 0) PyErr_Format(PyExc_ValueError, "%zd", i), failed = -1;
        else failed = run_one(&text, ops, count, keys, stream, strength, i, texts[i]);
        PyObject *result = failed ? NULL : text.edit_count ? text_splice(&text) : Py_NewRef(texts[i]);
        if (result != NULL) PyList_SET_ITEM(results, i, result);
        else failed = -1;
        if (!failed && listed != NULL) {
            PyObject *edits = text_listed(&text);
            if (edits != NULL) PyList_SET_ITEM(listed, i, edits);
            else failed = -1;
        }
        forget(&text);
    }
    text_release(&text);
    return failed;
}

/* text(texts, ops, strength, entry, index, occurrence, epoch, seed, codes, params, width, size, listed).

   texts is a list, ops a tuple of tuples: see op_read. index, occurrence and epoch hold an int64 for each text, codes and
   params are those of a program, or None: then each op draws its own gate and key. Returns the texts, or the pair of them
   and their edits. */
static PyObject *native_text(PyObject *self, PyObject *args) {
    PyObject *texts, *given, *results = NULL, *listed = NULL, *held = NULL;
    Py_buffer views[5];
    double strength;
    int listing, failed = 1;
    Keys keys;
    Stream stream;
    if (!PyArg_ParseTuple(args, "O!O!dIy*y*y*Iz*z*iip", &PyList_Type, &texts, &PyTuple_Type, &given, &strength, &stream.entry, &views[0],
                          &views[1], &views[2], &keys.seed, &views[3], &views[4], &keys.width, &keys.size, &listing))
        return NULL;
    keys.index = views[0].buf, keys.occurrence = views[1].buf, keys.epoch = views[2].buf;
    keys.codes = views[3].buf, keys.params = views[4].buf;
    const int count = (int)PyTuple_GET_SIZE(given);
    const Py_ssize_t size = PyList_GET_SIZE(texts), bytes = size * (Py_ssize_t)sizeof(int64_t);
    Op *ops = PyMem_Malloc((count ? count : 1) * sizeof(Op));
    if (ops == NULL) PyErr_NoMemory();
    else if (text_classes == NULL || views[0].len != bytes || views[1].len != bytes || views[2].len != bytes)
        PyErr_Format(PyExc_RuntimeError, "text: text_setup comes first, and keys for each text");
    else {
        results = PyList_New(size), listed = listing ? PyList_New(size) : NULL;
        held = PyList_AsTuple(texts); /* what a function of the user's does to the list must not matter */
        failed = results == NULL || held == NULL || (listing && listed == NULL);
    }
    for (int i = 0; !failed && i < count; i++) failed = !op_read(PyTuple_GET_ITEM(given, i), &ops[i]);
    if (!failed) failed = run_all(((PyTupleObject *)held)->ob_item, size, ops, count, &keys, &stream, strength, results, listed) < 0;
    PyMem_Free(ops);
    Py_XDECREF(held);
    for (int i = 0; i < 5; i++) PyBuffer_Release(&views[i]);
    if (failed) {
        Py_XDECREF(results), Py_XDECREF(listed);
        return NULL;
    }
    return listing ? Py_BuildValue("(NN)", results, listed) : results;
}

#endif
