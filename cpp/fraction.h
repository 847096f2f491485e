// Exponentials of numbers that are not above zero, to 180 bits, in integers: for sums that nearly cancel, where
// no pair of doubles holds enough.
#pragma once

#include "totals.h"

namespace {

using Product = unsigned __int128;

// limb[2] holds the highest of 192 bits behind the point.
struct Fraction {
    uint64_t limb[3];
};

constexpr Fraction log_of_two = {{0x40f343267298b62dull, 0xc9e3b39803f2f6afull, 0xb17217f7d1cf79abull}};
// 1/1!, 1/2!, ... 1/18!; the first is one less the last place.
constexpr Fraction inverse_factorial[18] = {{{0xffffffffffffffffull, 0xffffffffffffffffull, 0xffffffffffffffffull}},
                                            {{0x0000000000000000ull, 0x0000000000000000ull, 0x8000000000000000ull}},
                                            {{0xaaaaaaaaaaaaaaaaull, 0xaaaaaaaaaaaaaaaaull, 0x2aaaaaaaaaaaaaaaull}},
                                            {{0xaaaaaaaaaaaaaaaaull, 0xaaaaaaaaaaaaaaaaull, 0x0aaaaaaaaaaaaaaaull}},
                                            {{0x2222222222222222ull, 0x2222222222222222ull, 0x0222222222222222ull}},
                                            {{0x5b05b05b05b05b05ull, 0x05b05b05b05b05b0ull, 0x005b05b05b05b05bull}},
                                            {{0x0d00d00d00d00d00ull, 0x00d00d00d00d00d0ull, 0x000d00d00d00d00dull}},
                                            {{0x01a01a01a01a01a0ull, 0xa01a01a01a01a01aull, 0x0001a01a01a01a01ull}},
                                            {{0xe3bc74aad8e671f5ull, 0x671f5583911ca002ull, 0x00002e3bc74aad8eull}},
                                            {{0xe392d8777c170b65ull, 0xd71cbbc05b4fa999ull, 0x0000049f93edde27ull}},
                                            {{0x71c7880adcbc46daull, 0x138e3f9d1f92e0dfull, 0x0000006b99159fd5ull}},
                                            {{0xf425f600e7ba5b3cull, 0x6c4bdaa26d4c3d67ull, 0x00000008f76c77fcull}},
                                            {{0xd7b4269d9babdfa2ull, 0x43684be51c198e91ull, 0x00000000b092309dull}},
                                            {{0xfd1f2754668c46d4ull, 0x603e4e905d6f8a2eull, 0x000000000c9cba54ull}},
                                            {{0x774657f48f5eaf63ull, 0x399dc0f88ec32b58ull, 0x0000000000d73f9full}},
                                            {{0x8774657f48f5eaf6ull, 0xf399dc0f88ec32b5ull, 0x00000000000d73f9ull}},
                                            {{0xcbbb8d7ff53ba468ull, 0x3b81856a53593028ull, 0x000000000000ca96ull}},
                                            {{0x4435161554bc33ccull, 0x3c31dcbecbbdd802ull, 0x0000000000000b41ull}}};

inline Fraction operator-(Fraction a, Fraction b) {
    uint64_t borrow = 0;
    for (int i = 0; i < 3; i++) {
        Product d = static_cast<Product>(a.limb[i]) - b.limb[i] - borrow;
        a.limb[i] = static_cast<uint64_t>(d);
        borrow = static_cast<uint64_t>(d >> 64) & 1;
    }
    return a;
}
inline Fraction operator*(Fraction a, Fraction b) {
    uint64_t sum[6] = {};
    for (int i = 0; i < 3; i++) {
        uint64_t carry = 0;
        for (int j = 0; j < 3; j++) {
            Product p = static_cast<Product>(a.limb[i]) * b.limb[j] + sum[i + j] + carry;
            sum[i + j] = static_cast<uint64_t>(p);
            carry = static_cast<uint64_t>(p >> 64);
        }
        sum[i + 3] = carry;
    }
    return {{sum[3], sum[4], sum[5]}};
}
inline Fraction whole_times(uint64_t n, Fraction a) {  // modulo one
    uint64_t carry = 0;
    for (int i = 0; i < 3; i++) {
        Product p = static_cast<Product>(a.limb[i]) * n + carry;
        a.limb[i] = static_cast<uint64_t>(p);
        carry = static_cast<uint64_t>(p >> 64);
    }
    return a;
}
inline Fraction lowered(Fraction a, Index bits) {
    Fraction r = {};
    for (Index i = bits / 64, k = bits % 64, to = 0; i < 3; i++, to++) {
        r.limb[to] = a.limb[i] >> k;
        if (k && i < 2) r.limb[to] |= a.limb[i + 1] << (64 - k);
    }
    return r;
}
// x 2^power modulo one, for x > 0.
inline Fraction fraction_of(double x, Index power) {
    uint64_t bits;
    memcpy(&bits, &x, 8);
    Index biased = static_cast<Index>(bits >> 52);
    uint64_t digits = (bits & 0xfffffffffffffull) | (biased ? 1ull << 52 : 0);
    Index place = (biased ? biased : 1) - 1075 + 192 + power;  // of the lowest digit
    if (place < 0) return {{place > -64 ? digits >> -place : 0, 0, 0}};
    Fraction r = {};
    if (place >= 192) return r;
    r.limb[place / 64] = digits << place % 64;
    if (place % 64 && place / 64 < 2) r.limb[place / 64 + 1] = digits >> (64 - place % 64);
    return r;
}

// (1 - exp(-t)) / t for t < 2^-8.
inline Fraction falling_slope(Fraction t) {
    Fraction sum = inverse_factorial[17];
    for (int k = 16; k >= 0; k--) sum = inverse_factorial[k] - t * sum;
    return sum;
}
// exp(-x) = fraction / 2^power for 0 <= x < 1100.
inline Fraction falling_power(double x, Index& power) {
    power = static_cast<Index>(x * 0x1.71547652b82fep+0 - 0x1p-40);
    Fraction t = lowered(fraction_of(x, 0) - whole_times(static_cast<uint64_t>(power), log_of_two), 8);
    Fraction result = inverse_factorial[0] - t * falling_slope(t);
    for (int i = 0; i < 8; i++) result = result * result;
    return result;
}

// A signed sum of fractions.
struct FractionSum {
    uint64_t limb[4] = {};

    void add(Fraction a) {
        uint64_t carry = 0;
        for (int i = 0; i < 4; i++) {
            Product s = static_cast<Product>(limb[i]) + (i < 3 ? a.limb[i] : 0) + carry;
            limb[i] = static_cast<uint64_t>(s);
            carry = static_cast<uint64_t>(s >> 64);
        }
    }
    void subtract(Fraction a) {
        negate();
        add(a);
        negate();
    }
    void negate() {
        uint64_t carry = 1;
        for (int i = 0; i < 4; i++) {
            limb[i] = ~limb[i] + carry;
            carry = carry && limb[i] == 0;
        }
    }
    Total value() const {
        FractionSum size = *this;
        bool negative = limb[3] >> 63;
        if (negative) size.negate();
        Total total = {0, 0};
        for (int i = 3; i >= 0; i--) {
            double unit = i == 3 ? 1 : i == 2 ? 0x1p-64 : i == 1 ? 0x1p-128 : 0x1p-192;
            total = total + Total{static_cast<double>(size.limb[i] >> 32) * 0x1p32 * unit, 0};
            total = total + Total{static_cast<double>(size.limb[i] & 0xffffffffull) * unit, 0};
        }
        return negative ? total * -1.0 : total;
    }
};

}  // namespace
