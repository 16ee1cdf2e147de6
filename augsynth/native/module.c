/* The CPU kernel as a module: `render(rows, steps, samples, capacity, ...)`, for the best instructions that there are.

   What it does to a sample stands in kernel.h and what that includes, which is compiled here for AVX-512, AVX2 and
   without either. Products and sums are never contracted, so that all three give the same bits. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "base.h"
#include "draw.h"
#include "philox.h"
#include "place.h"
#include "text_run.h"
#include "token_run.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define FN(name) JOIN(name, SUFFIX)

#if defined(__x86_64__)
#include <immintrin.h>

/* Which byte of each of three vectors goes where, for the channels of interleaved pixels; 128 for none. */
#define NO 128
static const uint8_t SPLIT[3][3][16] __attribute__((aligned(16))) = {
    {{0, 3, 6, 9, 12, 15, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO},
     {NO, NO, NO, NO, NO, NO, 2, 5, 8, 11, 14, NO, NO, NO, NO, NO},
     {NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, 1, 4, 7, 10, 13}},
    {{1, 4, 7, 10, 13, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO},
     {NO, NO, NO, NO, NO, 0, 3, 6, 9, 12, 15, NO, NO, NO, NO, NO},
     {NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, 2, 5, 8, 11, 14}},
    {{2, 5, 8, 11, 14, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO},
     {NO, NO, NO, NO, NO, 1, 4, 7, 10, 13, NO, NO, NO, NO, NO, NO},
     {NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, 0, 3, 6, 9, 12, 15}}};

/* From pixels of three bytes to pixels of four. */
static const uint8_t WIDEN[16] __attribute__((aligned(16))) = {0, 1, 2, NO, 3, 4, 5, NO, 6, 7, 8, NO, 9, 10, 11, NO};

static const uint8_t BACKWARDS[16] __attribute__((aligned(16))) = {15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0};

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")
#define WIDTH 16
#define SUFFIX _avx512
#define VECTOR __m512
#define INDICES __m512i
#define LOAD _mm512_loadu_ps
#define STORE _mm512_storeu_ps
#define BYTES(block) _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(block))
#define ADD _mm512_add_ps
#define MULTIPLY _mm512_mul_ps
#define RELATIVE(first, low) _mm512_sub_epi32(_mm512_loadu_si512(first), _mm512_set1_epi32(low))
#define NEXT(at) _mm512_add_epi32(at, _mm512_set1_epi32(1))
#define PICK(one, at, two) _mm512_permutex2var_ps(one, at, two)
#include "kernel.h"
#include "undefine.h"
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2")
#define WIDTH 8
#define SUFFIX _avx2
#define VECTOR __m256
#define INDICES __m256i
#define LOAD _mm256_loadu_ps
#define STORE _mm256_storeu_ps
#define BYTES(block) _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(block))
#define ADD _mm256_add_ps
#define MULTIPLY _mm256_mul_ps
#define RELATIVE(first, low) _mm256_sub_epi32(_mm256_loadu_si256((const __m256i *)(first)), _mm256_set1_epi32(low))
#define NEXT(at) _mm256_add_epi32(at, _mm256_set1_epi32(1))
/* The lower three bits of an index pick from a vector, the fourth says from which. */
#define PICK(one, at, two)                                                                                 \
    _mm256_blendv_ps(_mm256_permutevar8x32_ps(one, at), _mm256_permutevar8x32_ps(two, at),                 \
                     _mm256_castsi256_ps(_mm256_slli_epi32(at, 28)))
#include "kernel.h"
#include "undefine.h"
#pragma GCC pop_options
#endif

#define WIDTH 4
#define SUFFIX _plain
#include "kernel.h"

typedef void (*Render)(Arena *, const Sample *, const Step *, int, int, const Output *);

/* Return the kernel for an instruction set, NULL where this machine lacks it. */
static Render kernel_of(const char *name) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (strcmp(name, "avx512") == 0)
        return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")
                   ? render_avx512
                   : NULL;
    if (strcmp(name, "avx2") == 0) return __builtin_cpu_supports("avx2") ? render_avx2 : NULL;
#endif
    return strcmp(name, "plain") == 0 ? render_plain : NULL;
}

static PyObject *native_render(PyObject *self, PyObject *args) {
    const char *set;
    unsigned long long rows, steps;
    int samples, capacity;
    Output out;
    float *l = out.luma, *s = out.scale, *o = out.offset;
    if (!PyArg_ParseTuple(args, "sKKiiiiif(fff)(fff)(fff)", &set, &rows, &steps, &samples, &capacity, &out.channels, &out.to,
                          &out.interleaved, &out.white, l, l + 1, l + 2, s, s + 1, s + 2, o, o + 1, o + 2))
        return NULL;
    Render render = kernel_of(set);
    if (render == NULL) return PyErr_Format(PyExc_ValueError, "this machine has no %s", set);
    Arena arena = {NULL};
    volatile int failed = 0;
    Py_BEGIN_ALLOW_THREADS
    if (setjmp(arena.failed) == 0)
        render(&arena, (const Sample *)(uintptr_t)rows, (const Step *)(uintptr_t)steps, samples, capacity, &out);
    else failed = 1;
    release(&arena);
    Py_END_ALLOW_THREADS
    if (failed) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

/* Fill in source, strides, size and type of each array (H, W, 3) or (H, W) of a sequence.

   What has no axis for channels gets INT32_MIN as their stride: 0 is that of a gray image expanded to three. */
static PyObject *native_describe(PyObject *self, PyObject *args) {
    PyObject *images;
    unsigned long long address;
    Py_ssize_t item;
    if (!PyArg_ParseTuple(args, "OKn", &images, &address, &item)) return NULL;
    PyObject *list = PySequence_Fast(images, "describe takes a sequence of arrays");
    if (list == NULL) return NULL;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(list); i++) {
        Sample *sample = (Sample *)(uintptr_t)(address + i * item);
        Py_buffer view;
        if (PyObject_GetBuffer(PySequence_Fast_GET_ITEM(list, i), &view, PyBUF_STRIDED_RO) < 0) {
            Py_DECREF(list);
            return NULL;
        }
        sample->source = (int64_t)(uintptr_t)view.buf;
        sample->type = view.itemsize == 1 ? UINT8 : FLOAT32;
        for (int a = 0; a < 2; a++) {
            sample->image[a] = (int32_t)view.shape[a];
            sample->strides[1 + a] = (int32_t)(view.strides[a] / view.itemsize);
        }
        sample->strides[0] = view.ndim == 3 ? (int32_t)(view.strides[2] / view.itemsize) : INT32_MIN;
        PyBuffer_Release(&view);
    }
    Py_DECREF(list);
    Py_RETURN_NONE;
}

/* Tell whether all entries of a sequence are objects of the first one's class, with its shape and type of elements. */
static PyObject *native_alike(PyObject *self, PyObject *images) {
    PyObject *list = PySequence_Fast(images, "alike takes a sequence of arrays");
    if (list == NULL) return NULL;
    const Py_ssize_t count = PySequence_Fast_GET_SIZE(list);
    PyObject **items = PySequence_Fast_ITEMS(list);
    Py_buffer first, view;
    int same = count > 0 && PyObject_GetBuffer(items[0], &first, PyBUF_RECORDS_RO) == 0;
    const int held = same;
    for (Py_ssize_t i = 1; same && i < count; i++) {
        same = Py_TYPE(items[i]) == Py_TYPE(items[0]) && PyObject_GetBuffer(items[i], &view, PyBUF_RECORDS_RO) == 0;
        if (!same) break;
        same = view.ndim == first.ndim && strcmp(view.format, first.format) == 0;
        for (int a = 0; same && a < view.ndim; a++) same = view.shape[a] == first.shape[a];
        PyBuffer_Release(&view);
    }
    if (held) PyBuffer_Release(&first);
    PyErr_Clear();
    Py_DECREF(list);
    return PyBool_FromLong(same);
}

/* Addresses of int64 arrays: index, occurrence, epoch (samples), slots, lanes (blocks), and of words to fill. */
static PyObject *native_words(PyObject *self, PyObject *args) {
    unsigned long long index, occurrence, epoch, slots, lanes, words;
    unsigned int seed;
    Py_ssize_t samples, blocks;
    if (!PyArg_ParseTuple(args, "KKKIKKnnK", &index, &occurrence, &epoch, &seed, &slots, &lanes, &samples, &blocks, &words))
        return NULL;
    fill_words((const int64_t *)(uintptr_t)index, (const int64_t *)(uintptr_t)occurrence,
               (const int64_t *)(uintptr_t)epoch, seed, (const int64_t *)(uintptr_t)slots,
               (const int64_t *)(uintptr_t)lanes, samples, blocks, (uint64_t *)(uintptr_t)words);
    Py_RETURN_NONE;
}

/* Draw samples whose images are described; addresses of keys as in words. Tells whether the host need not do it. */
static PyObject *native_draw(PyObject *self, PyObject *args) {
    unsigned long long program, slots, lanes, constants, index, occurrence, epoch, rows, steps;
    Plan plan;
    Key key;
    int samples, capacity, drawn = 1;
    if (!PyArg_ParseTuple(args, "KiKKiKiiKKKIKKii", &program, &plan.count, &slots, &lanes, &plan.blocks, &constants,
                          &plan.channels, &plan.exact, &index, &occurrence, &epoch, &key.seed, &rows, &steps, &samples,
                          &capacity))
        return NULL;
    plan.program = (const Instruction *)(uintptr_t)program, plan.constants = (const Constants *)(uintptr_t)constants;
    plan.slots = (const int64_t *)(uintptr_t)slots, plan.lanes = (const int64_t *)(uintptr_t)lanes;
    key.plan = &plan;
    for (int i = 0; drawn && i < samples; i++) {
        key.index = (uint32_t)((const int64_t *)(uintptr_t)index)[i];
        key.occurrence = (uint32_t)((const int64_t *)(uintptr_t)occurrence)[i];
        key.epoch = (uint32_t)((const int64_t *)(uintptr_t)epoch)[i];
        memset(key.known, 0, plan.blocks);
        drawn = draw_sample(&plan, &key, (Sample *)(uintptr_t)rows + i, (Step *)(uintptr_t)steps + (ptrdiff_t)i * capacity);
    }
    return PyBool_FromLong(drawn);
}

/* Return (type of each column or None, columns) of a list of tuples of one length, None for anything else. */
static PyObject *native_columns(PyObject *self, PyObject *samples) {
    if (!PyList_Check(samples) || PyList_GET_SIZE(samples) == 0) Py_RETURN_NONE;
    PyObject *first = PyList_GET_ITEM(samples, 0);
    if (!PyTuple_CheckExact(first)) Py_RETURN_NONE;
    const Py_ssize_t count = PyList_GET_SIZE(samples), width = PyTuple_GET_SIZE(first);
    PyObject *kinds = PyTuple_New(width), *columns = PyList_New(width);
    for (Py_ssize_t c = 0; columns != NULL && c < width; c++) {
        PyObject *column = PyTuple_New(count);
        if (column == NULL) Py_CLEAR(columns);
        else PyList_SET_ITEM(columns, c, column);
    }
    if (kinds == NULL || columns == NULL) {
        Py_XDECREF(kinds), Py_XDECREF(columns);
        return NULL;
    }
    /* From here on nothing runs that could change the list; what was allocated above may have run anything. */
    int same = PyList_GET_SIZE(samples) == count;
    for (Py_ssize_t i = 0; same && i < count; i++) {
        PyObject *sample = PyList_GET_ITEM(samples, i);
        same = PyTuple_CheckExact(sample) && PyTuple_GET_SIZE(sample) == width;
    }
    for (Py_ssize_t c = 0; same && c < width; c++) {
        PyObject *kind = (PyObject *)Py_TYPE(PyTuple_GET_ITEM(PyList_GET_ITEM(samples, 0), c));
        PyObject *column = PyList_GET_ITEM(columns, c);
        for (Py_ssize_t i = 0; i < count; i++) {
            PyObject *entry = PyTuple_GET_ITEM(PyList_GET_ITEM(samples, i), c);
            if ((PyObject *)Py_TYPE(entry) != kind) kind = Py_None;
            Py_INCREF(entry);
            PyTuple_SET_ITEM(column, i, entry);
        }
        Py_INCREF(kind);
        PyTuple_SET_ITEM(kinds, c, kind);
    }
    if (same) return Py_BuildValue("(NN)", kinds, columns);
    Py_DECREF(kinds), Py_DECREF(columns);
    Py_RETURN_NONE;
}

static PyObject *native_sets(PyObject *self, PyObject *args) {
    PyObject *found = PyList_New(0);
    const char *names[] = {"avx512", "avx2", "plain"};
    for (int i = 0; found != NULL && i < 3; i++) {
        if (kernel_of(names[i]) == NULL) continue;
        PyObject *name = PyUnicode_FromString(names[i]);
        if (name == NULL || PyList_Append(found, name) < 0) Py_CLEAR(found);
        Py_XDECREF(name);
    }
    return found;
}

static PyMethodDef methods[] = {
    {"render", native_render, METH_VARARGS,
     "render(set, rows, steps, samples, capacity, channels, to, interleaved, white, luma, scale, offset): render tables."},
    {"describe", native_describe, METH_VARARGS, "describe(images, samples, item): fill in what is known of each image."},
    {"alike", native_alike, METH_O, "alike(images): whether all arrays have one class, shape and type."},
    {"words", native_words, METH_VARARGS, "words(index, occurrence, epoch, seed, slots, lanes, samples, blocks, words)."},
    {"draw", native_draw, METH_VARARGS,
     "draw(program, count, slots, lanes, blocks, constants, channels, exact, index, occurrence, epoch, seed, rows, steps, "
     "samples, capacity): fill in what is drawn of each sample; False where the host has to."},
    {"text_setup", native_text_setup, METH_VARARGS, "text_setup(classes, negations): what text() has to know."},
    {"text", native_text, METH_VARARGS,
     "text(texts, ops, strength, entry, index, occurrence, epoch, seed, codes, params, width, size, listed): edit strings."},
    {"tokens", native_tokens, METH_VARARGS,
     "tokens(arrays, rows, length, ops, lengths, codes, params, width, size, book): edit rows of ids; -1, or a row that cannot be."},
    {"columns", native_columns, METH_O, "columns(samples): the columns of a list of tuples, and the type of each."},
    {"sets", native_sets, METH_NOARGS, "Return the names of the instruction sets that this machine has, best first."},
    {NULL, NULL, 0, NULL}};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_native", "The CPU kernel.", 0, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__native(void) {
    PyObject *made = PyModule_Create(&module);
    if (made == NULL) return NULL;
    /* Python lays out the tables: it checks that both mean the same. */
    if (PyModule_AddIntConstant(made, "SAMPLE_BYTES", sizeof(Sample)) < 0 ||
        PyModule_AddIntConstant(made, "STEP_BYTES", sizeof(Step)) < 0)
        Py_CLEAR(made);
    return made;
}
