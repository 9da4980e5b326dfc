/* Dense products in int8, for steps with many spikes. Included by avx2.c.
 *
 * The spikes of each window are counted into bytes, an image with a border of zeros (the
 * plane). Under one output pixel a row of the kernel is then one piece of bytes, taken four
 * at a time (a quad): `maddubs` multiplies them with the weights of eight output channels
 * and adds them in pairs, so that a register holds two 16-bit sums for each channel. What
 * 16 bits may not hold is flushed to 32 bits after `flush` quads.
 */

enum { PIXELS = 4, BLOCKS = 2, OUTPUTS = 8 }; /* of one tile, and output channels of a block */

/* 32 bits as bytes: all ones or all zeros. */
NM_INLINE vector lanes_of(uint32_t bits) {
    const vector pick = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3,
                                         3, 3, 3, 3, 3);
    const vector bit = _mm256_set1_epi64x((int64_t)0x8040201008040201u);
    const vector copies = _mm256_shuffle_epi8(_mm256_set1_epi32((int32_t)bits), pick);
    return _mm256_cmpeq_epi8(_mm256_and_si256(copies, bit), bit);
}

/* Bytes of 0 or 1 from `count` bits beginning at bit `start`, and up to 31 zeros more. */
static void spread_bits(const uint64_t *bits, int64_t start, int64_t count, uint8_t *bytes) {
    for (int64_t i = 0; i < count; i += 32) {
        const uint64_t word = nm_bits(bits, start + i, count - i < 32 ? count - i : 32);
        store(bytes + i, _mm256_sub_epi8(_mm256_setzero_si256(), lanes_of((uint32_t)word)));
    }
}

/* into[i] += from[i]. */
NM_INLINE void add_bytes(uint8_t *into, const uint8_t *from, int64_t count) {
    int64_t i = 0;
    for (; i + 32 <= count; i += 32) store(into + i, _mm256_add_epi8(load(into + i), load(from + i)));
    for (; i + 4 <= count; i += 4) { /* no byte reaches 256 (plan_dense), so four add as one number */
        uint32_t left, right;
        memcpy(&left, into + i, 4);
        memcpy(&right, from + i, 4);
        left += right;
        memcpy(into + i, &left, 4);
    }
    for (; i < count; i++) into[i] = (uint8_t)(into[i] + from[i]);
}

/* Count the spikes of all windows into the plane. */
static void fill_plane(const nm_map *map, const uint64_t *bits, uint8_t *plane, uint8_t *bytes) {
    const int64_t channels = map->channels, pitch = map->plane_width * channels;
    for (int64_t y = 0; y < map->windows_y; y++) {
        uint8_t *line = plane + (y + map->top) * pitch + map->left * channels;
        if (!map->pooled) { /* zeros beyond the line's end go where zeros are, or the next line comes */
            spread_bits(bits, y * map->width * channels, map->width * channels, line);
            continue;
        }
        memset(line, 0, (size_t)(map->windows_x * channels));
        for (int64_t row = map->rows[2 * y]; row < map->rows[2 * y + 1]; row++) {
            spread_bits(bits, row * map->width * channels, map->width * channels, bytes);
            for (int64_t x = 0; x < map->windows_x; x++)
                for (int64_t column = map->columns[2 * x]; column < map->columns[2 * x + 1]; column++)
                    add_bytes(line + x * channels, bytes + column * channels, channels);
        }
    }
}

/* Move 16-bit pair sums to 32 bits, one number a channel. */
NM_INLINE void flush_sums(vector sums[PIXELS][BLOCKS], vector totals[PIXELS][BLOCKS], const int pixels,
                          const int blocks) {
    const vector ones = _mm256_set1_epi16(1);
    NM_UNROLL
    for (int p = 0; p < pixels; p++) {
        NM_UNROLL
        for (int b = 0; b < blocks; b++) {
            totals[p][b] = _mm256_add_epi32(totals[p][b], _mm256_madd_epi16(sums[p][b], ones));
            sums[p][b] = _mm256_setzero_si256();
        }
    }
}

/* `quads` quads of one kernel row: the products of all pixels and blocks of a tile. */
NM_INLINE void add_products(vector sums[PIXELS][BLOCKS], const uint8_t *bytes, int64_t step, const int8_t *weights,
                            int64_t block_step, int64_t quads, const int pixels, const int blocks) {
    for (int64_t q = 0; q < quads; q++) {
        vector weight[BLOCKS];
        NM_UNROLL
        for (int b = 0; b < blocks; b++) weight[b] = load(weights + b * block_step + 32 * q);
        NM_UNROLL
        for (int p = 0; p < pixels; p++) {
            int32_t four;
            memcpy(&four, bytes + p * step + 4 * q, 4);
            const vector value = _mm256_set1_epi32(four);
            NM_UNROLL
            for (int b = 0; b < blocks; b++)
                sums[p][b] = _mm256_add_epi16(sums[p][b], _mm256_maddubs_epi16(value, weight[b]));
        }
    }
}

/* Add a tile's totals to the currents. Channels beyond the last have weights of 0. */
NM_INLINE void add_totals(const nm_map *map, vector totals[PIXELS][BLOCKS], void *current, int64_t at,
                          int64_t width, const int pixels, const int blocks) {
    NM_UNROLL
    for (int p = 0; p < pixels; p++) {
        NM_UNROLL
        for (int b = 0; b < blocks; b++) {
            const int64_t to = at + p * map->out_channels + b * OUTPUTS;
            const vector total = totals[p][b];
            if (width == 32) {
                int32_t *into = (int32_t *)current + to;
                store(into, _mm256_add_epi32(load(into), total));
            } else {
                __m128i *into = (__m128i *)((int16_t *)current + to);
                const __m128i narrow = _mm_packs_epi32(_mm256_castsi256_si128(total), _mm256_extracti128_si256(total, 1));
                _mm_storeu_si128(into, _mm_add_epi16(_mm_loadu_si128(into), narrow));
            }
        }
    }
}

/* Some neighbouring pixels of an output row, and some blocks of channels. */
NM_INLINE void dense_tile(const nm_map *map, const uint8_t *plane, int64_t y, int64_t x, int64_t block, void *current,
                          int64_t width, const int pixels, const int blocks) {
    vector sums[PIXELS][BLOCKS];
    vector totals[PIXELS][BLOCKS];
    NM_UNROLL
    for (int p = 0; p < pixels; p++) {
        NM_UNROLL
        for (int b = 0; b < blocks; b++) sums[p][b] = totals[p][b] = _mm256_setzero_si256();
    }
    const int64_t block_step = map->dense_rows * map->dense_quads * 32, pitch = map->plane_width * map->channels;
    int64_t room = map->flush;
    for (int64_t k = 0; k < map->dense_rows; k++) {
        const uint8_t *bytes =
            plane + (y * map->stride_y + k * map->dilation_y) * pitch + x * map->stride_x * map->channels;
        const int8_t *weights = map->dense + block * block_step + k * map->dense_quads * 32;
        for (int64_t q = 0; q < map->dense_quads;) {
            const int64_t rest = map->dense_quads - q, quads = rest < room ? rest : room;
            add_products(sums, bytes + 4 * q, map->stride_x * map->channels, weights + 32 * q, block_step, quads, pixels,
                         blocks);
            q += quads;
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

static void dense(const nm_map *map, const uint64_t *bits, void *current, int64_t width, uint8_t *plane,
                  uint8_t *bytes) {
    fill_plane(map, bits, plane, bytes);
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
