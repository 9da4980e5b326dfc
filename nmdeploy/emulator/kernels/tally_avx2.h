/* Counting spikes, four words at a time. Included by avx2.c after tally_body.h. */

/* The counts of 32 neurons from the planes' bits, added to their tally. */
NM_INLINE void add_counts(const uint32_t half[PLANES], uint32_t *tally) {
    vector counts = _mm256_setzero_si256();
    NM_UNROLL
    for (int k = 0; k < PLANES; k++)
        counts = _mm256_or_si256(counts, _mm256_and_si256(lanes_of(half[k]), _mm256_set1_epi8((char)(1 << k))));
    uint8_t bytes[32];
    store(bytes, counts);
    NM_UNROLL
    for (int i = 0; i < 32; i += 8) {
        const vector wide = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(bytes + i)));
        store(tally + i, _mm256_add_epi32(load(tally + i), wide));
    }
}

/* At most MOST_STEPS steps of four words. */
NM_INLINE void tally_words(const uint64_t *bits, int64_t steps, int64_t stride, uint32_t *tally) {
    vector plane[PLANES];
    NM_UNROLL
    for (int k = 0; k < PLANES; k++) plane[k] = _mm256_setzero_si256();
    for (int64_t step = 0; step < steps; step++) {
        vector carry = load(bits + step * stride);
        NM_UNROLL
        for (int k = 0; k < PLANES; k++) {
            const vector sum = _mm256_xor_si256(plane[k], carry);
            carry = _mm256_and_si256(plane[k], carry);
            plane[k] = sum;
        }
    }
    uint32_t halves[PLANES][8];
    NM_UNROLL
    for (int k = 0; k < PLANES; k++) store(halves[k], plane[k]);
    for (int i = 0; i < 8; i++) {
        uint32_t half[PLANES], any = 0;
        NM_UNROLL
        for (int k = 0; k < PLANES; k++) any |= half[k] = halves[k][i];
        if (any) add_counts(half, tally + 32 * i);
    }
}

static void tally_avx2(const uint64_t *bits, int64_t steps, int64_t words, int64_t stride, uint32_t *tally) {
    const int64_t whole = words & ~(int64_t)3;
    for (int64_t from = 0; from < steps; from += MOST_STEPS) {
        const int64_t count = steps - from < MOST_STEPS ? steps - from : MOST_STEPS;
        for (int64_t w = 0; w < whole; w += 4) tally_words(bits + from * stride + w, count, stride, tally + 64 * w);
    }
    if (whole < words) tally_portable(bits + whole, steps, words - whole, stride, tally + 64 * whole);
}
