/* Philox4x32-10, the words of `augsynth/rng.py`. Source: Salmon et al. 2011, doi:10.1145/2063384.2063405. */

#ifndef AUGSYNTH_PHILOX_H
#define AUGSYNTH_PHILOX_H

#include <stdint.h>

static inline void philox(uint32_t c[4], uint32_t k0, uint32_t k1) {
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)c[0] * 0xD2511F53u, p1 = (uint64_t)c[2] * 0xCD9E8D57u;
        c[0] = (uint32_t)(p1 >> 32) ^ c[1] ^ k0, c[1] = (uint32_t)p1;
        c[2] = (uint32_t)(p0 >> 32) ^ c[3] ^ k1, c[3] = (uint32_t)p0;
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
}

/* Fill words (samples, blocks, 4), as 64-bit integers: block j of sample i is that of slots[j] and lanes[j]. */
static void fill_words(const int64_t *index, const int64_t *occurrence, const int64_t *epoch, uint32_t seed,
                       const int64_t *slots, const int64_t *lanes, int64_t samples, int64_t blocks, uint64_t *words) {
    for (int64_t i = 0; i < samples; i++)
        for (int64_t j = 0; j < blocks; j++, words += 4) {
            uint32_t c[4] = {(uint32_t)index[i], (uint32_t)occurrence[i], (uint32_t)slots[j], (uint32_t)lanes[j]};
            philox(c, seed, (uint32_t)epoch[i]);
            for (int k = 0; k < 4; k++) words[k] = c[k];
        }
}

#endif
