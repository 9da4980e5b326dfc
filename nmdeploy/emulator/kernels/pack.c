/* Spikes as bytes and as bits. */
#include <string.h>

#include "nm.h"
#include "bits.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#error "the kernels are written for little-endian processors; the numpy engine runs on all"
#endif

/* One sample's row of nm_pack. */
static void pack_row(const uint8_t *spikes, int64_t channels, int64_t positions, uint64_t *bits) {
    const int64_t neurons = channels * positions;
    int64_t n = 0;
    if (channels > 1 && positions > 1) {
        for (int64_t p = 0; p < positions; p++)
            for (int64_t c = 0; c < channels; c++, n++)
                bits[n >> 6] |= (uint64_t)spikes[c * positions + p] << (n & 63);
        return;
    }
    for (; n + 64 <= neurons; n += 64) {
        uint64_t eight[8], word = 0;
        memcpy(eight, spikes + n, sizeof eight);
        for (int64_t i = 0; i < 8; i++) word |= nm_gather(eight[i]) << 8 * i;
        bits[n >> 6] = word;
    }
    for (; n < neurons; n++) bits[n >> 6] |= (uint64_t)spikes[n] << (n & 63);
}

void nm_pack(const uint8_t *spikes, int64_t steps, int64_t samples, int64_t step_stride, int64_t channels,
             int64_t positions, uint64_t *bits, int64_t words) {
    memset(bits, 0, (size_t)(steps * samples * words) * 8);
    for (int64_t step = 0; step < steps; step++)
        for (int64_t sample = 0; sample < samples; sample++)
            pack_row(spikes + step * step_stride + sample * channels * positions, channels, positions,
                     bits + (step * samples + sample) * words);
}

void nm_unpack(const uint64_t *bits, int64_t rows, int64_t words, int64_t channels, int64_t positions,
               uint8_t *spikes) {
    for (int64_t row = 0; row < rows; row++, bits += words, spikes += channels * positions)
        for (int64_t p = 0, n = 0; p < positions; p++)
            for (int64_t c = 0; c < channels; c++, n++) spikes[c * positions + p] = (bits[n >> 6] >> (n & 63)) & 1;
}
