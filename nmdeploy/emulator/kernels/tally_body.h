/* Counting spikes, in portable C. */

/* Counting in planes: bit i of plane k is bit k of the i-th neuron's count. */
enum { PLANES = 6, MOST_STEPS = (1 << PLANES) - 1 };

static void tally_portable(const uint64_t *bits, int64_t steps, int64_t words, int64_t stride, uint32_t *tally) {
    for (int64_t from = 0; from < steps; from += MOST_STEPS) {
        const int64_t until = from + MOST_STEPS < steps ? from + MOST_STEPS : steps;
        for (int64_t w = 0; w < words; w++) {
            uint64_t plane[PLANES] = {0}, any = 0;
            for (int64_t step = from; step < until; step++) {
                uint64_t carry = bits[step * stride + w];
                any |= carry;
                for (int64_t k = 0; carry && k < PLANES; k++) {
                    const uint64_t sum = plane[k] ^ carry;
                    carry &= plane[k];
                    plane[k] = sum;
                }
            }
            if (!any) continue;
            for (int64_t i = 0; i < 64; i += 8) {
                uint64_t eight = 0;
                for (int64_t k = 0; k < PLANES; k++) eight += nm_spread((plane[k] >> i) & 255) << k;
                uint8_t counts[8];
                memcpy(counts, &eight, 8);
                for (int64_t j = 0; j < 8; j++) tally[64 * w + i + j] += counts[j];
            }
        }
    }
}
