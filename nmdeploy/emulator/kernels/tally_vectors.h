/* Counting spikes, a register of words at a time. Included by avx2.c and neon.c after tally_body.h and what
 * dense_vectors.h needs; they also define both8, either8, or8 (bitwise and, exclusive or, or) and
 * add_eight(tally, bytes), which adds eight bytes to their tally. */

enum { WORDS = BYTES / 8 };

/* The counts of 32 neurons from the planes' bits, added to their tally. */
NM_INLINE void add_counts(const uint32_t half[PLANES], uint32_t *tally) {
    uint8_t bytes[32];
    NM_UNROLL
    for (int i = 0; i < 32; i += BYTES) {
        vector8 counts = all8(0);
        NM_UNROLL
        for (int k = 0; k < PLANES; k++)
            counts = or8(counts, both8(lanes_of(half[k] >> i), all8((uint8_t)(1 << k))));
        store8(bytes + i, counts);
    }
    NM_UNROLL
    for (int i = 0; i < 32; i += 8) add_eight(tally + i, bytes + i);
}

/* At most MOST_STEPS steps of WORDS words. */
NM_INLINE void tally_words(const uint64_t *bits, int64_t steps, int64_t stride, uint32_t *tally) {
    vector8 plane[PLANES];
    NM_UNROLL
    for (int k = 0; k < PLANES; k++) plane[k] = all8(0);
    for (int64_t step = 0; step < steps; step++) {
        vector8 carry = load8((const uint8_t *)(bits + step * stride));
        NM_UNROLL
        for (int k = 0; k < PLANES; k++) {
            const vector8 sum = either8(plane[k], carry);
            carry = both8(plane[k], carry);
            plane[k] = sum;
        }
    }
    uint32_t halves[PLANES][2 * WORDS];
    NM_UNROLL
    for (int k = 0; k < PLANES; k++) store8((uint8_t *)halves[k], plane[k]);
    for (int i = 0; i < 2 * WORDS; i++) {
        uint32_t half[PLANES], any = 0;
        NM_UNROLL
        for (int k = 0; k < PLANES; k++) any |= half[k] = halves[k][i];
        if (any) add_counts(half, tally + 32 * i);
    }
}

static void tally_vectors(const uint64_t *bits, int64_t steps, int64_t words, int64_t stride, uint32_t *tally) {
    const int64_t whole = words - words % WORDS;
    for (int64_t from = 0; from < steps; from += MOST_STEPS) {
        const int64_t count = steps - from < MOST_STEPS ? steps - from : MOST_STEPS;
        for (int64_t w = 0; w < whole; w += WORDS) tally_words(bits + from * stride + w, count, stride, tally + 64 * w);
    }
    if (whole < words) tally_portable(bits + whole, steps, words - whole, stride, tally + 64 * whole);
}
