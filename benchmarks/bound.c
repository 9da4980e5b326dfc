/* How many 16-bit additions and 8-bit multiply-accumulates one core does in a second.

   Both loops keep their sums in registers and read weights from a table that fits the
   first-level cache: nothing that has to touch a weight for every synaptic operation
   can do better on this instruction set. */
#include <stdint.h>

#if defined(__AVX2__)
#include <immintrin.h>

enum { VECTORS = 8, TABLE = 512 }; /* 8 sums in registers; 512 vectors of 32 bytes are 16 KiB */
__m256i table[TABLE];
int16_t sink[VECTORS * 16];

/* Makes the compiler believe that the table may have changed, so that every round reads it anew. */
#define READ_AGAIN __asm__ volatile("" ::: "memory")

static void keep(__m256i *sums) {
    for (int i = 0; i < VECTORS; i++) _mm256_storeu_si256((__m256i *)sink + i, sums[i]);
}

/* Adds `rounds` times the whole table, 16 numbers a vector; returns the number of additions. */
int64_t int16_adds(int64_t rounds) {
    __m256i sums[VECTORS] = {0};
    for (int64_t round = 0; round < rounds; round++) {
        READ_AGAIN;
        for (int row = 0; row < TABLE; row += VECTORS)
            for (int i = 0; i < VECTORS; i++) sums[i] = _mm256_add_epi16(sums[i], table[row + i]);
    }
    keep(sums);
    return rounds * TABLE * 16;
}

/* Multiplies the table by changing spikes and adds the products; returns the number of multiply-accumulates. */
int64_t int8_macs(int64_t rounds) {
    __m256i sums[VECTORS] = {0};
    for (int64_t round = 0; round < rounds; round++) {
        READ_AGAIN;
        for (int row = 0; row < TABLE; row += VECTORS) {
            __m256i spikes = _mm256_set1_epi32((int)(round + row));
            for (int i = 0; i < VECTORS; i++)
                sums[i] = _mm256_add_epi16(sums[i], _mm256_maddubs_epi16(spikes, table[row + i]));
        }
    }
    keep(sums);
    return rounds * TABLE * 32;
}
#endif
