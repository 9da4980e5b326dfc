/* Dense products in int8, for steps with many spikes. Included by avx2.c and neon.c after add_vectors.h.
 *
 * The spikes of each window are counted into bytes, an image with a border of zeros (the
 * plane). Under one output pixel a row of the kernel is then one piece of bytes, taken four
 * at a time (a quad): they are multiplied with the weights of eight output channels (a
 * block) and added in pairs, two 16-bit sums for each channel. What 16 bits may not hold is
 * flushed to 32 bits after `flush` quads. The including file defines before:
 *
 *   vector8, BYTES, load8, store8, all8,
 *   sum8, difference8                          a register of so many bytes
 *   lanes_of(bits)                             BYTES bits as bytes, all ones or all zeros
 *   quad_weights, load_quad                    4 weights of 8 channels
 *   quad_value, spread_quad                    4 bytes for every channel; they are at most 127
 *   quad_sums, no_sums, add_quad               2 16-bit sums of 8 channels; adding a quad's products
 *   quad_totals, no_totals, flushed            32-bit totals of 8 channels; adding sums to them
 *   add_totals32, add_totals16                 adding totals to currents
 */

enum { PIXELS = 4, BLOCKS = 2, OUTPUTS = 8 }; /* of one tile, and output channels of a block */

/* Bytes of 0 or 1 from `count` bits beginning at bit `start`, up to BYTES - 1 zeros more, and what is in `bytes`
 * if `add`. */
NM_INLINE void spread_bits(const uint64_t *bits, int64_t start, int64_t count, uint8_t *bytes, const int add) {
    const uint8_t *from = (const uint8_t *)bits + (start >> 3);
    for (int64_t i = 0; i < count; i += BYTES) {
        uint32_t word = 0;
        if ((start & 7) == 0 && count - i >= BYTES)
            memcpy(&word, from + (i >> 3), BYTES / 8);
        else
            word = (uint32_t)nm_bits(bits, start + i, count - i < BYTES ? count - i : BYTES);
        const vector8 before = add ? load8(bytes + i) : all8(0);
        store8(bytes + i, difference8(before, lanes_of(word)));
    }
}

/* Sum the columns of each window into `line`. Whole registers are stored from left to right; what is
 * too much is overwritten, at last by zeros, which then stand where zeros are or the next line comes. */
static void sum_columns(const nm_map *map, const uint8_t *bytes, uint8_t *line) {
    const int64_t channels = map->channels;
    for (int64_t x = 0; x < map->windows_x; x++) {
        const int32_t *span = map->columns + 2 * x;
        for (int64_t c = 0; c < channels; c += BYTES) {
            vector8 sum = all8(0);
            for (int64_t column = span[0]; column < span[1]; column++)
                sum = sum8(sum, load8(bytes + column * channels + c));
            store8(line + x * channels + c, sum);
        }
    }
    store8(line + map->windows_x * channels, all8(0));
}

/* Count the spikes of all windows into the plane. */
static void fill_plane(const nm_map *map, const uint64_t *bits, uint8_t *plane, uint8_t *bytes) {
    const int64_t channels = map->channels, pitch = map->plane_width * channels, row_bits = map->width * channels;
    for (int64_t y = 0; y < map->windows_y; y++) {
        uint8_t *line = plane + (y + map->top) * pitch + map->left * channels;
        if (!map->pooled) { /* zeros beyond the line's end go where zeros are, or the next line comes */
            spread_bits(bits, y * row_bits, row_bits, line, 0);
            continue;
        }
        const int64_t first = map->rows[2 * y], end = map->rows[2 * y + 1];
        if (first == end) memset(bytes, 0, (size_t)row_bits); /* a window of the pool's padding */
        for (int64_t row = first; row < end; row++) spread_bits(bits, row * row_bits, row_bits, bytes, row > first);
        sum_columns(map, bytes, line);
    }
}

/* Move 16-bit pair sums to 32 bits, one number a channel. */
NM_INLINE void flush_sums(quad_sums sums[PIXELS][BLOCKS], quad_totals totals[PIXELS][BLOCKS], const int pixels,
                          const int blocks) {
    NM_UNROLL
    for (int p = 0; p < pixels; p++) {
        NM_UNROLL
        for (int b = 0; b < blocks; b++) {
            totals[p][b] = flushed(totals[p][b], sums[p][b]);
            sums[p][b] = no_sums();
        }
    }
}

/* `quads` quads of one kernel row: the products of all pixels and blocks of a tile. */
NM_INLINE void add_products(quad_sums sums[PIXELS][BLOCKS], const uint8_t *bytes, int64_t step, const int8_t *weights,
                            int64_t quads, const int pixels, const int blocks) {
    for (int64_t q = 0; q < quads; q++) {
        quad_weights weight[BLOCKS];
        NM_UNROLL
        for (int b = 0; b < blocks; b++) weight[b] = load_quad(weights + 32 * (BLOCKS * q + b));
        NM_UNROLL
        for (int p = 0; p < pixels; p++) {
            int32_t four;
            memcpy(&four, bytes + p * step + 4 * q, 4);
            const quad_value value = spread_quad(four);
            NM_UNROLL
            for (int b = 0; b < blocks; b++) sums[p][b] = add_quad(sums[p][b], value, weight[b]);
        }
    }
}

/* Add a tile's totals to the currents. Channels beyond the last have weights of 0. */
NM_INLINE void add_totals(const nm_map *map, quad_totals totals[PIXELS][BLOCKS], void *current, int64_t at,
                          int64_t width, const int pixels, const int blocks) {
    NM_UNROLL
    for (int p = 0; p < pixels; p++) {
        NM_UNROLL
        for (int b = 0; b < blocks; b++) {
            const int64_t to = at + p * map->out_channels + b * OUTPUTS;
            if (width == 32)
                add_totals32((int32_t *)current + to, totals[p][b]);
            else
                add_totals16((int16_t *)current + to, totals[p][b]);
        }
    }
}

/* Where the weights of a block of output channels begin: those of the blocks of a tile lie side by side. */
NM_INLINE const int8_t *block_weights(const nm_map *map, int64_t block) {
    return map->dense + 32 * map->dense_rows * map->dense_quads * block;
}

/* Some neighbouring pixels of an output row, and some blocks of channels. */
NM_INLINE void dense_tile(const nm_map *map, const uint8_t *plane, int64_t y, int64_t x, int64_t block, void *current,
                          int64_t width, const int pixels, const int blocks) {
    quad_sums sums[PIXELS][BLOCKS];
    quad_totals totals[PIXELS][BLOCKS];
    NM_UNROLL
    for (int p = 0; p < pixels; p++) {
        NM_UNROLL
        for (int b = 0; b < blocks; b++) sums[p][b] = no_sums(), totals[p][b] = no_totals();
    }
    const int64_t pitch = map->plane_width * map->channels;
    const int8_t *weights = block_weights(map, block);
    int64_t room = map->flush;
    for (int64_t k = 0; k < map->dense_rows; k++) {
        const uint8_t *bytes =
            plane + (y * map->stride_y + k * map->dilation_y) * pitch + x * map->stride_x * map->channels;
        for (int64_t q = 0; q < map->dense_quads;) {
            const int64_t rest = map->dense_quads - q, quads = rest < room ? rest : room;
            add_products(sums, bytes + 4 * q, map->stride_x * map->channels, weights, quads, pixels, blocks);
            q += quads;
            weights += 32 * BLOCKS * quads;
            room -= quads;
            if (room == 0) {
                flush_sums(sums, totals, pixels, blocks);
                room = map->flush;
            }
        }
    }
    flush_sums(sums, totals, pixels, blocks);
    add_totals(map, totals, current, (y * map->out_width + x) * map->out_channels + block * OUTPUTS, width, pixels,
               blocks);
}

/* One output row for some blocks of channels. */
NM_INLINE void dense_row(const nm_map *map, const uint8_t *plane, int64_t y, int64_t block, void *current,
                         int64_t width, const int blocks) {
    int64_t x = 0;
    for (; x + PIXELS <= map->out_width; x += PIXELS)
        dense_tile(map, plane, y, x, block, current, width, PIXELS, blocks);
    switch (map->out_width - x) {
        case 3: dense_tile(map, plane, y, x, block, current, width, 3, blocks); break;
        case 2: dense_tile(map, plane, y, x, block, current, width, 2, blocks); break;
        case 1: dense_tile(map, plane, y, x, block, current, width, 1, blocks); break;
        default: break;
    }
}

/* The products of a plane, added to currents. */
NM_INLINE void add_plane(const nm_map *map, const uint8_t *plane, void *current, int64_t width) {
    for (int64_t block = 0; block < map->dense_blocks; block += BLOCKS) {
        const int both = block + BLOCKS <= map->dense_blocks;
        for (int64_t y = 0; y < map->out_height; y++) {
            if (both)
                dense_row(map, plane, y, block, current, width, BLOCKS);
            else
                dense_row(map, plane, y, block, current, width, 1);
        }
    }
}

static void dense(const nm_map *map, const uint64_t *bits, void *current, int64_t width, uint8_t *plane,
                  uint8_t *bytes) {
    fill_plane(map, bits, plane, bytes);
    add_plane(map, plane, current, width);
}

/* A dense layer's steps, whose spikes lie `stride` words apart and whose currents `pitch` numbers: they are the pixels of
 * an image, so that a weight that is loaded serves several of them. */
static void dense_steps(const nm_map *map, const uint64_t *bits, int64_t stride, int16_t *current, int64_t pitch,
                        int64_t steps, uint8_t *plane) {
    nm_map image = *map;
    image.out_width = steps, image.out_channels = pitch;
    for (int64_t i = 0; i < steps; i++) spread_bits(bits + i * stride, 0, map->channels, plane + i * map->channels, 0);
    add_plane(&image, plane, current, 16);
}
