/* Small operations on words of spikes. */
#ifndef NM_BITS_H
#define NM_BITS_H

#include <stdint.h>

#if defined(_MSC_VER)
#include <intrin.h>
#define NM_INLINE static __forceinline
#else
#define NM_INLINE static inline __attribute__((always_inline))
#endif

/* Index of the lowest 1 of a word that is not 0. */
NM_INLINE int64_t nm_lowest(uint64_t word) {
#if defined(_MSC_VER) && defined(_WIN64)
    unsigned long index;
    _BitScanForward64(&index, word);
    return (int64_t)index;
#elif defined(_MSC_VER)
    unsigned long index;
    if (_BitScanForward(&index, (unsigned long)word)) return (int64_t)index;
    _BitScanForward(&index, (unsigned long)(word >> 32));
    return (int64_t)index + 32;
#else
    return __builtin_ctzll(word);
#endif
}

/* Number of ones of a word (SWAR; Warren, Hacker's Delight, section 5-1). */
NM_INLINE int64_t nm_ones(uint64_t word) {
#if defined(__GNUC__) || defined(__clang__)
    return __builtin_popcountll(word);
#else
    word -= (word >> 1) & 0x5555555555555555u;
    word = (word & 0x3333333333333333u) + ((word >> 2) & 0x3333333333333333u);
    word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (int64_t)((word * 0x0101010101010101u) >> 56);
#endif
}

/* `length` <= 64 bits from bit `start` on; reads no word that holds none of them. */
NM_INLINE uint64_t nm_bits(const uint64_t *bits, int64_t start, int64_t length) {
    const int64_t word = start >> 6, shift = start & 63;
    uint64_t found = bits[word] >> shift;
    if (shift + length > 64) found |= bits[word + 1] << (64 - shift);
    return length < 64 ? found & ((UINT64_C(1) << length) - 1) : found;
}

/* Eight bits as eight bytes of 0 or 1, the lowest bit in the lowest byte. */
NM_INLINE uint64_t nm_spread(uint64_t eight) {
    const uint64_t kept = (eight * 0x0101010101010101u) & 0x8040201008040201u;
    return ((kept + 0x7f7f7f7f7f7f7f7fu) >> 7) & 0x0101010101010101u;
}

/* The inverse: eight bytes of 0 or 1 as eight bits. */
NM_INLINE uint64_t nm_gather(uint64_t bytes) {
    return (bytes * 0x0102040810204080u) >> 56;
}

#endif
