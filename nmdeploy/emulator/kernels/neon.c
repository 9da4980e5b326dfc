/* The kernels for AArch64 processors, whose baseline holds NEON (Advanced SIMD): no test at run time. */
#include "nm.h"

#if defined(__aarch64__) || defined(_M_ARM64)

#include <arm_neon.h>
#include <string.h>

#include "bits.h"

typedef int16x8_t vector16;
typedef int32x4_t vector32, shift32;

enum { LANES = 8, MOST = 12 }; /* 16-bit numbers in a register; accumulators that leave registers for the rest */

NM_INLINE vector16 load16(const int16_t *from) { return vld1q_s16(from); }
NM_INLINE void store16(int16_t *to, vector16 values) { vst1q_s16(to, values); }
NM_INLINE vector16 zero16(void) { return vdupq_n_s16(0); }
NM_INLINE vector16 sum16(vector16 a, vector16 b) { return vaddq_s16(a, b); }
NM_INLINE vector16 both16(vector16 a, vector16 b) { return vandq_s16(a, b); }
NM_INLINE vector16 or16(vector16 a, vector16 b) { return vorrq_s16(a, b); }
NM_INLINE int none16(vector16 a) { return !vmaxvq_u32(vreinterpretq_u32_s16(a)); }
NM_INLINE vector16 choose16(vector16 mask, vector16 yes, vector16 no) {
    return vbslq_s16(vreinterpretq_u16_s16(mask), yes, no);
}

/* Add 16-bit sums to 32-bit currents. */
NM_INLINE void widen_add(int32_t *current, vector16 sum) {
    vst1q_s32(current, vaddw_s16(vld1q_s32(current), vget_low_s16(sum)));
    vst1q_s32(current + 4, vaddw_high_s16(vld1q_s32(current + 4), sum));
}

#include "add_vectors.h"
#include "scatter_body.h"

enum { NUMBERS = 4 }; /* 32-bit numbers in a register */

NM_INLINE vector32 load32(const int32_t *from) { return vld1q_s32(from); }
NM_INLINE void store32(int32_t *to, vector32 values) { vst1q_s32(to, values); }
NM_INLINE vector32 all32(int32_t number) { return vdupq_n_s32(number); }
NM_INLINE shift32 shift_of(int64_t bits) { return vdupq_n_s32((int32_t)bits); }
NM_INLINE vector32 shifted32(vector32 a, shift32 bits) { return vshlq_s32(a, bits); }
NM_INLINE vector32 sum32(vector32 a, vector32 b) { return vaddq_s32(a, b); }
NM_INLINE vector32 difference32(vector32 a, vector32 b) { return vsubq_s32(a, b); }
NM_INLINE vector32 both32(vector32 a, vector32 b) { return vandq_s32(a, b); }
NM_INLINE vector32 without32(vector32 a, vector32 b) { return vbicq_s32(a, b); }
NM_INLINE vector32 either32(vector32 a, vector32 b) { return veorq_s32(a, b); }
NM_INLINE vector32 or32(vector32 a, vector32 b) { return vorrq_s32(a, b); }
NM_INLINE int none32(vector32 a) { return !vmaxvq_u32(vreinterpretq_u32_s32(a)); }
NM_INLINE vector32 larger32(vector32 a, vector32 b) { return vmaxq_s32(a, b); }
NM_INLINE vector32 smaller32(vector32 a, vector32 b) { return vminq_s32(a, b); }
NM_INLINE vector32 above32(vector32 a, vector32 b) { return vreinterpretq_s32_u32(vcgtq_s32(a, b)); }
NM_INLINE vector32 widened(const int16_t *from) { return vmovl_s16(vld1_s16(from)); }

static const uint8_t BIT_OF_BYTE[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};

/* Sixteen neurons: what each adds to its byte of spikes. */
NM_INLINE uint8x16_t bits_of_16(const vector32 fired[4]) {
    const int16x8_t first = vuzp1q_s16(vreinterpretq_s16_s32(fired[0]), vreinterpretq_s16_s32(fired[1]));
    const int16x8_t second = vuzp1q_s16(vreinterpretq_s16_s32(fired[2]), vreinterpretq_s16_s32(fired[3]));
    const uint8x16_t lanes = vuzp1q_u8(vreinterpretq_u8_s16(first), vreinterpretq_u8_s16(second));
    return vandq_u8(lanes, vld1q_u8(BIT_OF_BYTE));
}

/* The bits of 32 neurons from registers of lanes that are all ones or all zeros. */
NM_INLINE uint32_t bits_of(const vector32 fired[8]) {
    uint8x16_t bytes = vpaddq_u8(bits_of_16(fired), bits_of_16(fired + 4)); /* three sums of pairs add up eight bits */
    bytes = vpaddq_u8(bytes, bytes);
    bytes = vpaddq_u8(bytes, bytes);
    return vgetq_lane_u32(vreinterpretq_u32_u8(bytes), 0);
}

#include "scan_vectors.h"

enum { BYTES = 16 }; /* of a register */

typedef uint8x16_t vector8;

NM_INLINE vector8 load8(const uint8_t *from) { return vld1q_u8(from); }
NM_INLINE void store8(uint8_t *to, vector8 values) { vst1q_u8(to, values); }
NM_INLINE vector8 all8(uint8_t number) { return vdupq_n_u8(number); }
NM_INLINE vector8 sum8(vector8 a, vector8 b) { return vaddq_u8(a, b); }
NM_INLINE vector8 difference8(vector8 a, vector8 b) { return vsubq_u8(a, b); }
NM_INLINE vector8 both8(vector8 a, vector8 b) { return vandq_u8(a, b); }
NM_INLINE vector8 either8(vector8 a, vector8 b) { return veorq_u8(a, b); }
NM_INLINE vector8 or8(vector8 a, vector8 b) { return vorrq_u8(a, b); }

/* The lowest 16 bits as bytes: all ones or all zeros. */
NM_INLINE vector8 lanes_of(uint32_t bits) {
    const vector8 copies = vcombine_u8(vdup_n_u8((uint8_t)bits), vdup_n_u8((uint8_t)(bits >> 8)));
    return vtstq_u8(copies, vld1q_u8(BIT_OF_BYTE));
}

/* Channels 0 to 3 of a block lie in the first register, channels 4 to 7 in the second. */
typedef int8x16_t quad_value;
typedef struct {
    int8x16_t first, second;
} quad_weights;
typedef struct {
    int16x8_t first, second;
} quad_sums;
typedef struct {
    int32x4_t first, second;
} quad_totals;

NM_INLINE quad_weights load_quad(const int8_t *from) {
    const quad_weights found = {vld1q_s8(from), vld1q_s8(from + 16)};
    return found;
}
NM_INLINE quad_value spread_quad(int32_t four) { return vreinterpretq_s8_s32(vdupq_n_s32(four)); }
NM_INLINE quad_sums no_sums(void) {
    const quad_sums none = {vdupq_n_s16(0), vdupq_n_s16(0)};
    return none;
}
NM_INLINE quad_totals no_totals(void) {
    const quad_totals none = {vdupq_n_s32(0), vdupq_n_s32(0)};
    return none;
}

/* Products of 16 bytes, added in pairs. */
NM_INLINE int16x8_t pair_products(int8x16_t a, int8x16_t b) {
    return vpaddq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(b)), vmull_high_s8(a, b));
}
NM_INLINE quad_sums add_quad(quad_sums sums, quad_value value, quad_weights weights) {
    sums.first = vaddq_s16(sums.first, pair_products(value, weights.first));
    sums.second = vaddq_s16(sums.second, pair_products(value, weights.second));
    return sums;
}
NM_INLINE quad_totals flushed(quad_totals totals, quad_sums sums) {
    totals.first = vpadalq_s16(totals.first, sums.first);
    totals.second = vpadalq_s16(totals.second, sums.second);
    return totals;
}
NM_INLINE void add_totals32(int32_t *current, quad_totals totals) {
    vst1q_s32(current, vaddq_s32(vld1q_s32(current), totals.first));
    vst1q_s32(current + 4, vaddq_s32(vld1q_s32(current + 4), totals.second));
}
NM_INLINE void add_totals16(int16_t *current, quad_totals totals) {
    const int16x8_t narrow = vqmovn_high_s32(vqmovn_s32(totals.first), totals.second);
    vst1q_s16(current, vaddq_s16(vld1q_s16(current), narrow));
}

#include "dense_vectors.h"
#include "tally_body.h"

NM_INLINE void add_eight(uint32_t *tally, const uint8_t *bytes) {
    const uint16x8_t wide = vmovl_u8(vld1_u8(bytes));
    vst1q_u32(tally, vaddw_u16(vld1q_u32(tally), vget_low_u16(wide)));
    vst1q_u32(tally + 4, vaddw_high_u16(vld1q_u32(tally + 4), wide));
}

#include "tally_vectors.h"

#define SCAN scan_vectors
#define HAS_CHUNKS 1
#define SCAN_CHUNK scan_chunk
#define HAS_DENSE 1
#define DENSE_PRODUCTS dense
#define DENSE_STEPS dense_steps
#define TALLY tally_vectors
#include "run_body.h"

#include "events_body.h"

const nm_kernels nm_neon = {"NEON", run, take_events};

#else
const nm_kernels nm_neon = {0};
#endif
