/* Event scatter: every spike adds its rows of weights. Included once for each instruction
 * set, which defines before:
 *
 *   ADD16(current, length, weights, rows, events, count)         for every row of a window's kernel:
 *                                                                current[i] += weights[events[e] + i], all e, 16 bits;
 *                                                                there is at least one
 *   ADD32(current, length, weights, rows, events, count, chunk)  the same to 32-bit currents
 *
 * Work follows the spikes: windows without any are skipped, and all spikes of a window
 * are added to a run of currents while it stays in registers.
 */

/* current[i] += weights[events[e] + i] for all e, in 64 bits, in every row. */
static void add64(int64_t *restrict current, int64_t length, const int64_t *restrict weights, nm_rows rows,
                  const int32_t *restrict events, int64_t count) {
    for (int64_t r = 0; r < rows.count; r++) {
        int64_t *into = current + rows.runs[2 * r];
        for (int64_t e = 0; e < count; e++) {
            const int64_t *row = weights + rows.runs[2 * r + 1] + events[e];
            for (int64_t i = 0; i < length; i++) into[i] = (int64_t)((uint64_t)into[i] + (uint64_t)row[i]);
        }
    }
}

/* All that the spikes of the window (y, x) add. */
NM_INLINE void add_window(const nm_map *map, int64_t y, int64_t x, void *current, int64_t shift, const int32_t *events,
                          int64_t count, int64_t width) {
    const nm_rows rows = {map->y_runs + 2 * map->y_first[y], map->y_first[y + 1] - map->y_first[y]};
    for (int64_t k = map->x_first[x]; k < map->x_first[x + 1]; k++) {
        const int64_t *run = map->x_runs + 3 * k, at = run[0] + shift, length = run[2];
        if (width == 16)
            ADD16((int16_t *)current + at, length, (const int16_t *)map->weights + run[1], rows, events, count);
        else if (width == 32)
            ADD32((int32_t *)current + at, length, (const int16_t *)map->weights + run[1], rows, events, count,
                  map->chunk);
        else
            add64((int64_t *)current + at, length, (const int64_t *)map->weights + run[1], rows, events, count);
    }
}

/* List where the weights of the spikes of window (y, x) begin. */
NM_INLINE int64_t list_window(const nm_map *map, const uint64_t *bits, int64_t y, int64_t x, int32_t *events) {
    const int64_t length = (map->columns[2 * x + 1] - map->columns[2 * x]) * map->channels;
    int64_t count = 0;
    for (int64_t row = map->rows[2 * y]; row < map->rows[2 * y + 1]; row++) {
        const int64_t start = (row * map->width + map->columns[2 * x]) * map->channels;
        for (int64_t k = 0; k < length; k += 64) {
            uint64_t word = nm_bits(bits, start + k, length - k < 64 ? length - k : 64);
            for (; word; word &= word - 1) events[count++] = map->bit_weight[k + nm_lowest(word)];
        }
    }
    return count;
}

#include "sort_body.h"

/* Channel groups: every spike acts on the currents of its own group, so each is a run by itself. */
NM_INLINE void scatter_grouped(const nm_map *map, const uint64_t *bits, int64_t y, int64_t x, void *current,
                               int64_t width) {
    const int64_t length = (map->columns[2 * x + 1] - map->columns[2 * x]) * map->channels;
    for (int64_t row = map->rows[2 * y]; row < map->rows[2 * y + 1]; row++) {
        const int64_t start = (row * map->width + map->columns[2 * x]) * map->channels;
        for (int64_t k = 0; k < length; k += 64) {
            uint64_t word = nm_bits(bits, start + k, length - k < 64 ? length - k : 64);
            for (; word; word &= word - 1) {
                const int64_t bit = k + nm_lowest(word);
                add_window(map, y, x, current, map->bit_current[bit], map->bit_weight + bit, 1, width);
            }
        }
    }
}

/* One channel, no pool: every spike is a window of its own, found along the rows. */
NM_INLINE void scatter_single(const nm_map *map, const uint64_t *bits, void *current, int64_t width) {
    const int32_t weight = map->bit_weight[0];
    for (int64_t y = 0; y < map->windows_y; y++) {
        for (int64_t k = 0; k < map->width; k += 64) {
            const int64_t length = map->width - k < 64 ? map->width - k : 64;
            for (uint64_t word = nm_bits(bits, y * map->width + k, length); word; word &= word - 1)
                add_window(map, y, k + nm_lowest(word), current, 0, &weight, 1, width);
        }
    }
}

/* Windows that share no columns, some rows at once. */
NM_INLINE void scatter_sorted(const nm_map *map, const uint64_t *bits, void *current, int64_t width, nm_lists lists) {
    for (int64_t first = 0; first < map->windows_y; first += map->band) {
        const int64_t end = first + map->band < map->windows_y ? first + map->band : map->windows_y;
        const int64_t windows = sort_band(map, bits, first, end, lists);
        for (int64_t i = 0; i < windows; i++) {
            const int64_t y = lists.places[i] >> 32, x = (uint32_t)lists.places[i];
            const int64_t place = y * (map->windows_x + 1) + x;
            add_window(map, first + y, x, current, 0, lists.events + place * map->room, lists.counts[place], width);
        }
    }
}

NM_INLINE void scatter_windows(const nm_map *map, const uint64_t *bits, void *current, int64_t width, int32_t *events,
                               int64_t *listed) {
    if (map->single) {
        scatter_single(map, bits, current, width);
        return;
    }
    if (map->row_places) {
        scatter_sorted(map, bits, current, width, lists_of(map, events, listed));
        return;
    }
    for (int64_t y = 0; y < map->windows_y; y++) {
        for (int64_t x = 0; x < map->windows_x; x++) {
            if (map->bit_current) {
                scatter_grouped(map, bits, y, x, current, width);
                continue;
            }
            const int64_t count = list_window(map, bits, y, x, events);
            if (count) add_window(map, y, x, current, 0, events, count, width);
        }
    }
}

/* current[i] += value * weights[i]. */
#define DEFINE_ADD_VALUE(NAME, CURRENT, WEIGHT, WIDE)                                                            \
    static void NAME(CURRENT *restrict current, int64_t length, const WEIGHT *restrict weights, int64_t value) { \
        const WIDE factor = (WIDE)value;                                                                         \
        for (int64_t i = 0; i < length; i++)                                                                     \
            current[i] = (CURRENT)((WIDE)current[i] + factor * (WIDE)weights[i]);                                \
    }
DEFINE_ADD_VALUE(add_value16, int16_t, int16_t, uint32_t)
DEFINE_ADD_VALUE(add_value32, int32_t, int16_t, uint32_t)
DEFINE_ADD_VALUE(add_value64, int64_t, int64_t, uint64_t)

/* A spike of any value in window (y, x); `bit` is its place in the window's row. */
NM_INLINE void value_in_window(const nm_map *map, int64_t y, int64_t x, int64_t bit, int64_t value, void *current,
                               int64_t width) {
    const int64_t shift = map->bit_current ? map->bit_current[bit] : 0;
    for (int64_t j = map->y_first[y]; j < map->y_first[y + 1]; j++) {
        for (int64_t k = map->x_first[x]; k < map->x_first[x + 1]; k++) {
            const int64_t *row = map->y_runs + 2 * j, *run = map->x_runs + 3 * k;
            const int64_t at = row[0] + run[0] + shift, weight = row[1] + run[1] + map->bit_weight[bit];
            if (width == 16)
                add_value16((int16_t *)current + at, run[2], (const int16_t *)map->weights + weight, value);
            else if (width == 32)
                add_value32((int32_t *)current + at, run[2], (const int16_t *)map->weights + weight, value);
            else
                add_value64((int64_t *)current + at, run[2], (const int64_t *)map->weights + weight, value);
        }
    }
}

static void values_windows(const nm_map *map, const int32_t *values, void *current, int64_t width) {
    for (int64_t y = 0; y < map->windows_y; y++) {
        for (int64_t x = 0; x < map->windows_x; x++) {
            const int64_t length = (map->columns[2 * x + 1] - map->columns[2 * x]) * map->channels;
            for (int64_t row = map->rows[2 * y]; row < map->rows[2 * y + 1]; row++) {
                const int32_t *begin = values + (row * map->width + map->columns[2 * x]) * map->channels;
                for (int64_t bit = 0; bit < length; bit++)
                    if (begin[bit]) value_in_window(map, y, x, bit, begin[bit], current, width);
            }
        }
    }
}

/* One spike of value `value` of source neuron `neuron` through its column of a sparse matrix. */
#define DEFINE_ADD_COLUMN(NAME, TYPE, WIDE)                                                                   \
    static void NAME(const nm_map *map, int64_t neuron, int64_t value, TYPE *current) {                       \
        const TYPE *weights = (const TYPE *)map->weights;                                                     \
        for (int64_t k = map->first[neuron]; k < map->first[neuron + 1]; k++) {                               \
            const int32_t to = map->targets[k];                                                               \
            current[to] = (TYPE)((WIDE)current[to] + (WIDE)value * (WIDE)weights[k]);                         \
        }                                                                                                     \
    }
DEFINE_ADD_COLUMN(add_column16, int16_t, uint32_t)
DEFINE_ADD_COLUMN(add_column32, int32_t, uint32_t)
DEFINE_ADD_COLUMN(add_column64, int64_t, uint64_t)

NM_INLINE void add_column(const nm_map *map, int64_t neuron, int64_t value, void *current, int64_t width) {
    if (width == 16)
        add_column16(map, neuron, value, (int16_t *)current);
    else if (width == 32)
        add_column32(map, neuron, value, (int32_t *)current);
    else
        add_column64(map, neuron, value, (int64_t *)current);
}

static void scatter_unrolled(const nm_map *map, const void *source, void *current, int64_t width) {
    if (map->valued) {
        const int32_t *values = (const int32_t *)source;
        for (int64_t neuron = 0; neuron < map->size; neuron++)
            if (values[neuron]) add_column(map, neuron, values[neuron], current, width);
        return;
    }
    const uint64_t *bits = (const uint64_t *)source;
    for (int64_t k = 0; 64 * k < map->size; k++)
        for (uint64_t word = bits[k]; word; word &= word - 1)
            add_column(map, 64 * k + nm_lowest(word), 1, current, width);
}

static void scatter(const nm_map *map, const void *source, void *current, int64_t width, int32_t *events,
                    int64_t *listed) {
    if (map->kind == NM_UNROLLED)
        scatter_unrolled(map, source, current, width);
    else if (map->valued)
        values_windows(map, (const int32_t *)source, current, width);
    else if (width == 16) /* constants, so that each width is compiled by itself */
        scatter_windows(map, (const uint64_t *)source, current, 16, events, listed);
    else if (width == 32)
        scatter_windows(map, (const uint64_t *)source, current, 32, events, listed);
    else
        scatter_windows(map, (const uint64_t *)source, current, 64, events, listed);
}
