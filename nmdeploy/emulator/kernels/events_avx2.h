/* A run of neighbouring neurons takes one event, 16 at a time: 16-bit potentials that saturate, the same numbers
 * for all neurons. Returns how many fired, having listed them. */
static int64_t take16_saturating(const nm_event_population *p, int64_t at, const int16_t *w, int64_t n,
                                 int32_t *fired) {
    int16_t *v = (int16_t *)p->potential + at;
    const vector maximum = _mm256_set1_epi16((int16_t)p->maximum);
    /* The floor of the format and then that of the neuron, which is not below it. */
    const vector low = _mm256_max_epi16(_mm256_set1_epi16((int16_t)p->minimum), _mm256_set1_epi16(*(const int16_t *)p->low));
    const vector above = _mm256_set1_epi16(*(const int16_t *)p->above);
    const vector subtract = _mm256_set1_epi16(*(const int16_t *)p->subtract);
    const vector kept = _mm256_set1_epi16(p->zero ? 0 : -1);
    const vector any = _mm256_set1_epi16(p->least < 0 ? -1 : 0);
    int64_t count = 0;
    for (int64_t i = 0; i < n; i += LANES) {
        const vector before = load(v + i), weight = load(w + i);
        vector u = _mm256_adds_epi16(before, weight);
        u = _mm256_max_epi16(_mm256_min_epi16(u, maximum), low);
        vector fires = _mm256_and_si256(_mm256_cmpgt_epi16(u, above),
                                        _mm256_or_si256(any, _mm256_cmpgt_epi16(weight, _mm256_setzero_si256())));
        if (n - i < LANES) {
            const vector lanes = first_lanes(n - i);
            u = _mm256_blendv_epi8(before, u, lanes);
            fires = _mm256_and_si256(fires, lanes);
        }
        uint32_t bits = (uint32_t)_mm256_movemask_epi8(fires);
        if (bits) {
            const vector after = _mm256_and_si256(_mm256_sub_epi16(u, subtract), kept);
            u = _mm256_blendv_epi8(u, after, fires);
            for (; bits; bits &= bits - 1, bits &= bits - 1) /* two bits a lane */
                fired[count++] = (int32_t)(at + i + (nm_lowest(bits) >> 1));
        }
        store(v + i, u);
    }
    return count;
}
#define TAKE16_SATURATING(population, at, weights, n, fired) take16_saturating(population, at, weights, n, fired)
