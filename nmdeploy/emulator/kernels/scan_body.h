/* One step of 64 neurons after the other, in portable C. Included once for each pair of
 * types, which defines before: SCAN (name), CURRENT, POTENTIAL, UNSIGNED (as wide as the
 * potential). */

static void SCAN(const nm_scan *scan, int64_t words, CURRENT *restrict current, POTENTIAL *restrict potential,
                 int32_t *restrict silent, uint64_t *restrict spikes) {
    const POTENTIAL *bias = (const POTENTIAL *)scan->bias, *above = (const POTENTIAL *)scan->above;
    const POTENTIAL *subtract = (const POTENTIAL *)scan->subtract;
    const POTENTIAL *low = (const POTENTIAL *)scan->low, *high = (const POTENTIAL *)scan->high;
    const UNSIGNED mask = (UNSIGNED)scan->mask, sign = (UNSIGNED)scan->sign;
    const POTENTIAL kept = scan->zero ? 0 : -1; /* what a spike leaves of the potential, as a mask */
    uint8_t fired[64];
    int64_t at = 0;
    for (int64_t w = 0; w < words; w++) {
        for (int64_t i = 0; i < 64; i++) {
            const int64_t n = 64 * w + i;
            UNSIGNED v = (UNSIGNED)potential[n];
            const UNSIGNED received = ((UNSIGNED)(POTENTIAL)current[n] << scan->shift) + (UNSIGNED)bias[at + i];
            current[n] = 0;
            if (!silent || silent[n] == 0) v += received;
            if (scan->wraps) v = ((v & mask) ^ sign) - sign;
            POTENTIAL u = (POTENTIAL)v;
            if (scan->clips) {
                u = u < low[at + i] ? low[at + i] : u;
                u = u > high[at + i] ? high[at + i] : u;
            }
            int spike = u > above[at + i];
            if (silent) {
                spike = spike && silent[n] == 0;
                silent[n] = spike ? (int32_t)scan->refractory : silent[n] - (silent[n] > 0);
            }
            potential[n] = spike ? (POTENTIAL)((UNSIGNED)(u & kept) - (UNSIGNED)subtract[at + i]) : u;
            fired[i] = (uint8_t)spike;
        }
        uint64_t word = 0;
        for (int64_t k = 0; k < 8; k++) {
            uint64_t eight;
            memcpy(&eight, fired + 8 * k, 8);
            word |= nm_gather(eight) << (8 * k);
        }
        spikes[w] = word;
        at = at + 64 == scan->period ? 0 : at + 64;
    }
}

#undef SCAN
#undef CURRENT
#undef POTENTIAL
#undef UNSIGNED
