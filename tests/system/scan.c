/*
 * Copyright (c) 2026, The ckpool.fleet contributors
 * GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Looks for a nonce that gives a block header a hash at or below a target. Compiled at run time by scanner.py;
 * work of difficulty 1 takes 2^32 hashes on average, which is minutes here and days in Python.
 */
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define HAVE_SHANI 1
#include <immintrin.h>
#endif

static const uint32_t K[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};
static const uint32_t START[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

static uint32_t big_endian(const uint8_t *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static uint32_t swap(uint32_t x)
{
    return x >> 24 | (x >> 8 & 0xff00) | (x << 8 & 0xff0000) | x << 24;
}

static inline uint32_t rotate(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

#define ROUND(a, b, c, d, e, f, g, h, i) do { \
        uint32_t t = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + (g ^ (e & (f ^ g))) + K[(i) + r] + w[i]; \
        d += t; \
        h = t + (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) | (c & (a | b))); \
    } while (0)

/* One block of SHA-256 in plain C: out = compress(in, w), where w is used up. */
static void compress(uint32_t out[8], const uint32_t in[8], uint32_t w[16])
{
    uint32_t a = in[0], b = in[1], c = in[2], d = in[3], e = in[4], f = in[5], g = in[6], h = in[7];
    for (int r = 0; r < 64; r += 16) {
        for (int i = 0; i < 16 && r; i++) {
            uint32_t x = w[(i + 1) & 15], y = w[(i + 14) & 15];
            w[i] += (rotate(x, 7) ^ rotate(x, 18) ^ x >> 3) + w[(i + 9) & 15] +
                    (rotate(y, 17) ^ rotate(y, 19) ^ y >> 10);
        }
        for (int i = 0; i < 16; i += 8) {
            ROUND(a, b, c, d, e, f, g, h, i);
            ROUND(h, a, b, c, d, e, f, g, i + 1);
            ROUND(g, h, a, b, c, d, e, f, i + 2);
            ROUND(f, g, h, a, b, c, d, e, i + 3);
            ROUND(e, f, g, h, a, b, c, d, i + 4);
            ROUND(d, e, f, g, h, a, b, c, i + 5);
            ROUND(c, d, e, f, g, h, a, b, i + 6);
            ROUND(b, c, d, e, f, g, h, a, i + 7);
        }
    }
    const uint32_t s[8] = {a, b, c, d, e, f, g, h};
    for (int i = 0; i < 8; i++)
        out[i] = in[i] + s[i];
}

/* The hash of a header as its reader sees it: 8 words, the most significant first. */
static void header_hash(uint32_t hash[8], const uint32_t middle[8], const uint32_t tail[3], uint32_t nonce)
{
    uint32_t first[16] = {tail[0], tail[1], tail[2], swap(nonce), 0x80000000};
    uint32_t second[16] = {0};
    uint32_t digest[8];
    first[15] = 640;
    compress(second, middle, first);
    second[8] = 0x80000000;
    second[15] = 256;
    compress(digest, START, second);
    for (int i = 0; i < 8; i++)
        hash[i] = swap(digest[7 - i]);
}

static int reaches(const uint32_t hash[8], const uint32_t target[8])
{
    for (int i = 0; i < 8; i++)
        if (hash[i] != target[i])
            return hash[i] < target[i];
    return 1;
}

#ifdef HAVE_SHANI
#define SHANI __attribute__((target("sha,sse4.1,ssse3")))
#define PAIR(code) do { { enum { L = 0 }; code; } { enum { L = 1 }; code; } } while (0)

/* Two independent hashes at a time: the instructions have a latency that a second lane fills. The state is kept as
 * the processor wants it, (a b e f) in one register and (c d g h) in the other. */
SHANI static inline void rounds2(__m128i abef[2], __m128i cdgh[2], __m128i m[2][4])
{
    const __m128i *k = (const __m128i *)K;
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
        PAIR({
            __m128i word = _mm_add_epi32(m[L][i & 3], k[i]);
            cdgh[L] = _mm_sha256rnds2_epu32(cdgh[L], abef[L], word);
            word = _mm_shuffle_epi32(word, 0x0e);
            abef[L] = _mm_sha256rnds2_epu32(abef[L], cdgh[L], word);
            if (i < 12) {
                __m128i next = _mm_sha256msg1_epu32(m[L][i & 3], m[L][(i + 1) & 3]);
                next = _mm_add_epi32(next, _mm_alignr_epi8(m[L][(i + 3) & 3], m[L][(i + 2) & 3], 4));
                m[L][i & 3] = _mm_sha256msg2_epu32(next, m[L][(i + 3) & 3]);
            }
        });
    }
}

SHANI static void scan_shani(const uint32_t middle[8], const uint32_t tail[3], uint32_t nonce, uint32_t last_words[2])
{
    const __m128i middle_abef = _mm_set_epi32((int)middle[0], (int)middle[1], (int)middle[4], (int)middle[5]);
    const __m128i middle_cdgh = _mm_set_epi32((int)middle[2], (int)middle[3], (int)middle[6], (int)middle[7]);
    const __m128i start_abef = _mm_set_epi32((int)START[0], (int)START[1], (int)START[4], (int)START[5]);
    const __m128i start_cdgh = _mm_set_epi32((int)START[2], (int)START[3], (int)START[6], (int)START[7]);
    __m128i abef[2], cdgh[2], m[2][4];

    PAIR({
        abef[L] = middle_abef;
        cdgh[L] = middle_cdgh;
        m[L][0] = _mm_set_epi32((int)swap(nonce + L), (int)tail[2], (int)tail[1], (int)tail[0]);
        m[L][1] = _mm_set_epi32(0, 0, 0, (int)0x80000000);
        m[L][2] = _mm_setzero_si128();
        m[L][3] = _mm_set_epi32(640, 0, 0, 0);
    });
    rounds2(abef, cdgh, m);
    PAIR({
        __m128i ab_ef = _mm_add_epi32(abef[L], middle_abef);
        __m128i cd_gh = _mm_add_epi32(cdgh[L], middle_cdgh);
        /* registers hold (low to high) f e b a and h g d c; the message wants a b c d and e f g h */
        __m128i abcd = _mm_unpackhi_epi64(ab_ef, cd_gh);
        __m128i efgh = _mm_unpacklo_epi64(ab_ef, cd_gh);
        m[L][0] = _mm_shuffle_epi32(abcd, 0xb1);
        m[L][1] = _mm_shuffle_epi32(efgh, 0xb1);
        m[L][2] = _mm_set_epi32(0, 0, 0, (int)0x80000000);
        m[L][3] = _mm_set_epi32(256, 0, 0, 0);
        abef[L] = start_abef;
        cdgh[L] = start_cdgh;
    });
    rounds2(abef, cdgh, m);
    PAIR(last_words[L] = (uint32_t)_mm_cvtsi128_si32(cdgh[L]) + START[7]);
}

SHANI static uint64_t run_shani(const uint32_t middle[8], const uint32_t tail[3], const uint32_t target[8],
                                uint32_t first, uint64_t count, uint32_t *found)
{
    for (uint64_t done = 0; done < count; done += 2) {
        uint32_t last[2], hash[8];
        scan_shani(middle, tail, first + (uint32_t)done, last);
        for (uint32_t lane = 0; lane < 2; lane++) {
            if (swap(last[lane]) > target[0])
                continue;
            header_hash(hash, middle, tail, first + (uint32_t)done + lane);
            if (reaches(hash, target)) {
                *found = first + (uint32_t)done + lane;
                return done + lane + 1;
            }
        }
    }
    return 0;
}
#endif

static uint64_t run_plain(const uint32_t middle[8], const uint32_t tail[3], const uint32_t target[8],
                          uint32_t first, uint64_t count, uint32_t *found)
{
    for (uint64_t done = 0; done < count; done++) {
        uint32_t hash[8];
        header_hash(hash, middle, tail, first + (uint32_t)done);
        if (reaches(hash, target)) {
            *found = first + (uint32_t)done;
            return done + 1;
        }
    }
    return 0;
}

int fleet_has_shani(void)
{
#ifdef HAVE_SHANI
    uint32_t a, b, c, d;
    if (!__builtin_cpu_supports("sse4.1") || !__builtin_cpu_supports("ssse3"))
        return 0;
    __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(7), "c"(0));
    return b >> 29 & 1; /* older compilers do not know the name "sha" in __builtin_cpu_supports */
#else
    return 0;
#endif
}

/* header: the first 76 bytes of it, as hashed. target: 32 bytes, the most significant first. Tries `count` nonces from
 * `first` on (wrapping). Returns how many were tried when one was found, and puts it in *found; else 0. */
uint64_t fleet_scan(const uint8_t *header, const uint8_t *target, uint32_t first, uint64_t count, int shani,
                    uint32_t *found)
{
    uint32_t words[16], middle[8], tail[3], limit[8];
    for (int i = 0; i < 16; i++)
        words[i] = big_endian(header + 4 * i);
    compress(middle, START, words);
    for (int i = 0; i < 3; i++)
        tail[i] = big_endian(header + 64 + 4 * i);
    for (int i = 0; i < 8; i++)
        limit[i] = big_endian(target + 4 * i);
#ifdef HAVE_SHANI
    if (shani)
        return run_shani(middle, tail, limit, first, count, found);
#endif
    return run_plain(middle, tail, limit, first, count, found);
}
