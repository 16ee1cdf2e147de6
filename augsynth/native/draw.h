/* Draw the samples of a batch from their keys, and fill in their tables: maps, sizes, steps.

   The plan comes as instructions (`augsynth/engines/native_plan.py`). Each formula is that of a transform's
   `sample_params` and `matrix`, operation by operation, so that both give the same bits. */

#ifndef AUGSYNTH_DRAW_H
#define AUGSYNTH_DRAW_H

#include "base.h"
#include "elementary.h"
#include "philox.h"

enum { GATE, CHOICE, MOVE, CROP, RESIZED_CROP, ROTATE, AFFINE, RECTANGLE, JITTER, GRAY, TURN, RESIZE, CENTER_CROP, PAD };
enum { BRIGHTNESS, CONTRAST, SATURATION, SHIFT_HUE, LUMA };
enum { PARTS = 4, TRIES = 10, MOST_BLOCKS = 256 };

typedef struct {
    int32_t op, column, bit, out, count, kind, antialias, bordered, cuts, parts[PARTS], columns[PARTS], resizes;
    double n[18];
} Instruction;

/* What all samples of a batch have in common; weights, gray and so on as in `transforms/color.py`. */
typedef struct {
    double weights[3], gray[9], chroma[9], turn[9], border, fill[3];
} Constants;

typedef struct {
    const Instruction *program;
    int count, blocks, channels, exact;
    const int64_t *slots, *lanes;
    const Constants *constants;
} Plan;

/* One sample's key, and the words that have been drawn of it. */
typedef struct {
    const Plan *plan;
    uint32_t index, occurrence, epoch, seed;
    uint8_t known[MOST_BLOCKS];
    uint32_t words[MOST_BLOCKS][4];
} Key;

static double uniform(Key *key, int column) {
    const int block = column / 4;
    uint32_t *c = key->words[block];
    if (!key->known[block]) {
        c[0] = key->index, c[1] = key->occurrence;
        c[2] = (uint32_t)key->plan->slots[block], c[3] = (uint32_t)key->plan->lanes[block];
        philox(c, key->seed, key->epoch);
        key->known[block] = 1;
    }
    return (c[column % 4] >> 8) * 0x1p-24;
}

/* --- geometry: maps from output to input, and the size that comes out; 0 where the host has to see to it ----------- */

typedef struct {
    double a, b, x, c, d, y; /* x' = a x + b y + x, y' = c x + d y + y */
    double size[2];
} Map;

static void about(Map *map, double source_x, double source_y, double target_x, double target_y) {
    map->x = source_x - map->a * target_x - map->b * target_y;
    map->y = source_y - map->c * target_x - map->d * target_y;
}

static int reflects(int mode, const double reach[2], const double size[2]) {
    for (int i = 0; i < 2; i++) {
        if (mode == REFLECT && reach[i] > size[i] - 1) return 0;
        if (mode == SYMMETRIC && reach[i] > size[i]) return 0;
    }
    return 1;
}

static int crop(Map *map, const double *n, const double u[2], const double size[2]) {
    double place[2];
    double before[2] = {n[3], n[4]}, padded[2] = {size[0] + n[5], size[1] + n[6]};
    for (int i = 0; i < 2; i++) {
        const double missing = n[1 + i] - padded[i];
        if (missing <= 0) continue;
        if (n[7] == 0) return 0;
        before[i] += missing, padded[i] += 2 * missing;
    }
    if (!reflects((int)n[8], before, size)) return 0;
    for (int i = 0; i < 2; i++) {
        const double free = padded[i] - n[1 + i], drawn = floor((0.5 + (u[i] - 0.5) * n[0]) * (free + 1));
        place[i] = (drawn < free ? drawn : free) - before[i];
        map->size[i] = n[1 + i];
    }
    map->x = place[1], map->y = place[0];
    return 1;
}

static void resized_crop(Map *map, const double *n, Key *key, int column, const double size[2]) {
    const double height = size[0], width = size[1], own = logarithm(width / height);
    double h = 0, w = 0, top, left;
    int fits = 0;
    for (int i = 0; i < TRIES && !fits; i++) {
        const double area = n[0] + uniform(key, column + i) * n[1];
        const double drawn = n[2] + uniform(key, column + TRIES + i) * n[3];
        const double aspect = exponential(own + n[4] * (drawn - own)), pixels = area * height * width;
        w = rint(sqrt(pixels * aspect)), h = rint(sqrt(pixels / aspect));
        fits = w > 0 && w <= width && h > 0 && h <= height;
    }
    if (fits) {
        top = floor(uniform(key, column + 2 * TRIES) * (height - h + 1));
        left = floor(uniform(key, column + 2 * TRIES + 1) * (width - w + 1));
    } else { /* the largest central window whose aspect ratio is allowed */
        h = width / height < n[7] ? rint(width / n[7]) : height;
        w = width / height > n[8] ? rint(height * n[8]) : width;
        h = h > 1 ? h : 1, w = w > 1 ? w : 1;
        top = floor((height - h) / 2), left = floor((width - w) / 2);
    }
    map->a = w / n[6], map->d = h / n[5], map->x = left, map->y = top;
    map->size[0] = n[5], map->size[1] = n[6];
}

static void affine(Map *map, const double *n, Key *key, int column, const double size[2]) {
    double drawn[6], cos, sin, cos_x, sin_x, cos_y, sin_y;
    for (int i = 0; i < 6; i++) drawn[i] = n[i] + uniform(key, column + i) * n[6 + i];
    const double strength = n[12], shift_x = rint(drawn[1] * size[1] * strength), shift_y = rint(drawn[2] * size[0] * strength);
    const double scale = strength == 1 ? drawn[3] : exponential(strength * logarithm(drawn[3]));
    cos_sin(drawn[0] * strength, &cos, &sin);
    cos_sin(drawn[4] * strength, &cos_x, &sin_x);
    cos_sin(drawn[5] * strength, &cos_y, &sin_y);
    const double tan_x = sin_x / cos_x, tan_y = sin_y / cos_y;
    const double a = cos + sin * tan_y, b = -cos * tan_x - sin * (1 + tan_x * tan_y);
    const double c = sin - cos * tan_y, d = -sin * tan_x + cos * (1 + tan_x * tan_y);
    const double x = n[13] != 0 ? n[14] : size[1] / 2.0, y = n[13] != 0 ? n[15] : size[0] / 2.0;
    map->a = d / scale, map->b = -b / scale, map->c = -c / scale, map->d = a / scale;
    about(map, x, y, x + shift_x, y + shift_y);
}

static void resize(Map *map, const double *n, const double size[2]) {
    map->size[0] = n[0], map->size[1] = n[1];
    if (n[1] == 0) { /* the shorter side to n[0], the longer one to n[2] at most */
        const double less = size[0] < size[1] ? size[0] : size[1], more = size[0] < size[1] ? size[1] : size[0];
        double few = n[0], many = floor(n[0] * more / less);
        if (n[2] != 0 && many > n[2]) few = floor(n[2] * few / many), many = n[2];
        map->size[0] = size[0] > size[1] ? many : few, map->size[1] = size[0] > size[1] ? few : many;
        for (int i = 0; i < 2; i++) map->size[i] = map->size[i] > 1 ? map->size[i] : 1;
    }
    map->a = size[1] / map->size[1], map->d = size[0] / map->size[0];
}

static int map_of(Map *map, const Instruction *step, Key *key, const double size[2]) {
    const double *n = step->n;
    const int column = step->column;
    *map = (Map){.a = 1, .d = 1, .size = {size[0], size[1]}};
    switch (step->op) {
        case CROP: return crop(map, n, (double[2]){uniform(key, column), uniform(key, column + 1)}, size);
        case RESIZED_CROP: resized_crop(map, n, key, column, size); return 1;
        case AFFINE: affine(map, n, key, column, size); return 1;
        case RESIZE: resize(map, n, size); return 1;
        case ROTATE: {
            const double x = n[3] != 0 ? n[4] : size[1] / 2.0, y = n[3] != 0 ? n[5] : size[0] / 2.0;
            cos_sin((n[0] + uniform(key, column) * n[1]) * n[2], &map->a, &map->c);
            map->b = -map->c, map->d = map->a;
            about(map, x, y, x, y);
            return 1;
        }
        case TURN:
            map->a = n[0], map->b = n[1], map->c = n[2], map->d = n[3];
            map->x = n[0] + n[1] < 0 ? size[1] : 0, map->y = n[2] + n[3] < 0 ? size[0] : 0;
            if (n[0] == 0) map->size[0] = size[1], map->size[1] = size[0];
            return 1;
        case CENTER_CROP:
            for (int i = 0; i < 2; i++) {
                const double free = size[i] - n[i], corner = free >= 0 ? rint(free / 2.0) : -floor(-free / 2.0);
                *(i == 0 ? &map->y : &map->x) = corner, map->size[i] = n[i];
            }
            return 1;
        case PAD:
            if (!reflects((int)n[4], (double[2]){n[0] > n[2] ? n[0] : n[2], n[1] > n[3] ? n[1] : n[3]}, size)) return 0;
            map->y = -n[0], map->x = -n[1], map->size[0] = size[0] + (n[0] + n[2]), map->size[1] = size[1] + (n[1] + n[3]);
            return 1;
        default: return 0;
    }
}

/* Put a map before what a sample has already: m = m map. */
static void compose(double *m, const Map *map) {
    for (int i = 0; i < 9; i += 3) {
        const double p = m[i], q = m[i + 1];
        m[i] = p * map->a + q * map->c, m[i + 1] = p * map->b + q * map->d;
        m[i + 2] = p * map->x + q * map->y + m[i + 2];
    }
}

/* Move a sample; returns 0 where the host has to see to it. */
static int move(Sample *sample, const Instruction *step, Key *key, double size[2], int *moved) {
    Map map;
    if (!map_of(&map, step, key, size)) return 0;
    int outside = step->bordered == 1;
    if (step->bordered == 2) outside = size[0] < step->n[0] || size[1] < step->n[1];
    compose(sample->matrix, &map);
    if (!*moved) sample->interpolation = 0, sample->antialias = 1;
    *moved = 1;
    if (step->resizes) sample->cut_first |= step->cuts || size[0] != sample->image[0] || size[1] != sample->image[1];
    if (step->kind > sample->interpolation) sample->interpolation = step->kind;
    sample->antialias &= step->antialias;
    sample->bordered |= outside;
    size[0] = map.size[0], size[1] = map.size[1];
    return 1;
}

/* --- colours and rectangles ---------------------------------------------------------------------------------------- */

/* The steps of a sample, and in linear colour the one that is still being composed. */
typedef struct {
    const Plan *plan;
    Step *next;
    int open;
    double total[9], shift[3];
} Palette;

static void write_matrix(Palette *palette, const double a[9], const double v[3]) {
    Step *step = palette->next++;
    const int channels = palette->plan->channels;
    step->code = COLOR_MATRIX, step->mean = 0;
    for (int i = 0; i < channels; i++) {
        for (int j = 0; j < channels; j++) step->matrix[3 * i + j] = (float)a[3 * i + j];
        step->vector[i] = (float)v[i];
        step->mean |= v[i] != 0;
    }
}

static void close_colors(Palette *palette) {
    if (palette->open) write_matrix(palette, palette->total, palette->shift);
    palette->open = 0;
}

/* Add `x' = A x + m v`. */
static void add_color(Palette *palette, const double a[9], const double v[3]) {
    if (palette->plan->exact) {
        write_matrix(palette, a, v);
        return;
    }
    double *t = palette->total, *s = palette->shift, next[9], moved[3];
    if (!palette->open) {
        palette->open = 1;
        for (int i = 0; i < 9; i++) t[i] = i % 4 == 0;
        for (int i = 0; i < 3; i++) s[i] = 0;
    }
    const double *w = palette->plan->constants->weights;
    if (palette->plan->channels == 1) {
        const double pivot = t[0] + s[0];
        t[0] = a[0] * t[0], s[0] = a[0] * s[0] + pivot * v[0];
        return;
    }
    const double g0 = t[0] + t[1] + t[2] + s[0], g1 = t[3] + t[4] + t[5] + s[1], g2 = t[6] + t[7] + t[8] + s[2];
    const double pivot = g0 * w[0] + g1 * w[1] + g2 * w[2];
    for (int i = 0; i < 3; i++) {
        const double *row = a + 3 * i;
        for (int j = 0; j < 3; j++) next[3 * i + j] = row[0] * t[j] + row[1] * t[3 + j] + row[2] * t[6 + j];
        moved[i] = (row[0] * s[0] + row[1] * s[1] + row[2] * s[2]) + pivot * v[i];
    }
    memcpy(t, next, sizeof next), memcpy(s, moved, sizeof moved);
}

static void add_part(Palette *palette, int part, double value) {
    const Constants *k = palette->plan->constants;
    double a[9] = {0}, v[3] = {0};
    if (part >= SATURATION && palette->plan->channels == 1) return;
    if (part == BRIGHTNESS || part == CONTRAST) {
        a[0] = a[4] = a[8] = value;
        if (part == CONTRAST) v[0] = v[1] = v[2] = 1 - value;
    } else if (part == SATURATION) {
        for (int i = 0; i < 9; i++) a[i] = value * (i % 4 == 0) + (1 - value) * k->gray[i];
    } else if (part == LUMA) {
        memcpy(a, k->gray, sizeof a);
    } else if (palette->plan->exact) {
        Step *step = palette->next++;
        step->code = HUE, step->mean = 0, step->matrix[0] = (float)value;
        return;
    } else {
        double cos, sin;
        cos_sin(360.0 * value, &cos, &sin);
        for (int i = 0; i < 9; i++) a[i] = k->gray[i] + cos * k->chroma[i] + sin * k->turn[i];
    }
    add_color(palette, a, v);
}

static void jitter(Palette *palette, const Instruction *step, Key *key) {
    int order[PARTS];
    double rank[PARTS];
    for (int i = 0; i < step->count; i++) { /* a stable sort */
        const double u = uniform(key, step->column + i);
        int at = i;
        for (; at > 0 && rank[at - 1] > u; at--) rank[at] = rank[at - 1], order[at] = order[at - 1];
        rank[at] = u, order[at] = i;
    }
    for (int k = 0; k < step->count; k++) {
        const int i = order[k];
        const double drawn = step->n[i] + uniform(key, step->columns[i]) * step->n[PARTS + i], strength = step->n[2 * PARTS];
        add_part(palette, step->parts[i], step->parts[i] == SHIFT_HUE ? drawn * strength : 1 + (drawn - 1) * strength);
    }
}

static void rectangle(Palette *palette, const Instruction *step, Key *key, const double size[2]) {
    const double *n = step->n;
    double h = 0, w = 0;
    int fits = 0;
    for (int i = 0; i < TRIES && !fits; i++) {
        const double area = (n[0] + uniform(key, step->column + i) * n[1]) * n[2] * size[0] * size[1];
        const double aspect = exponential(n[3] + uniform(key, step->column + TRIES + i) * n[4]);
        h = rint(sqrt(area * aspect)), w = rint(sqrt(area / aspect));
        fits = h < size[0] && w < size[1];
    }
    if (!fits) h = w = 0;
    close_colors(palette);
    Step *made = palette->next++;
    made->code = ERASE, made->mean = 0;
    made->rectangle[0] = (int32_t)floor(uniform(key, step->column + 2 * TRIES) * (size[0] - h + 1));
    made->rectangle[1] = (int32_t)floor(uniform(key, step->column + 2 * TRIES + 1) * (size[1] - w + 1));
    made->rectangle[2] = (int32_t)h, made->rectangle[3] = (int32_t)w;
    for (int c = 0; c < 3; c++) made->vector[c] = (float)n[5 + c];
}

/* --- samples ------------------------------------------------------------------------------------------------------- */

/* Draw one sample, whose image is known. Returns 0 where the host has to see to it: a wrong size, say. */
static int draw_sample(const Plan *plan, Key *key, Sample *sample, Step *steps) {
    const Constants *k = plan->constants;
    uint64_t holds = 1;
    double size[2] = {sample->image[0], sample->image[1]};
    int moved = 0;
    Palette palette = {.plan = plan, .next = steps};
    for (int i = 0; i < 9; i++) sample->matrix[i] = i % 4 == 0;
    for (int i = 0; i < plan->count; i++) {
        const Instruction *step = plan->program + i;
        if (!(holds >> step->bit & 1)) continue;
        if (step->op == GATE) holds |= (uint64_t)(uniform(key, step->column) < step->n[0]) << step->out;
        else if (step->op == CHOICE) {
            const double u = uniform(key, step->column);
            int chosen = 0;
            while (chosen < step->count && u >= step->n[chosen]) chosen++;
            holds |= 1ull << (step->out + chosen);
        } else if (step->op == JITTER) {
            if (step->out == 0) jitter(&palette, step, key);
        } else if (step->op == GRAY) add_part(&palette, LUMA, 0);
        else if (step->op == RECTANGLE) rectangle(&palette, step, key, size);
        else if (!move(sample, step, key, size, &moved)) return 0;
    }
    close_colors(&palette);
    sample->antialias &= sample->interpolation > 0;
    sample->border = sample->bordered ? (int32_t)k->border : EDGE;
    for (int c = 0; c < 3; c++) sample->fill[c] = sample->bordered ? (float)k->fill[c] : 0;
    sample->size[0] = (int32_t)size[0], sample->size[1] = (int32_t)size[1];
    sample->steps = (int32_t)(palette.next - steps);
    return 1;
}

#endif
