// fma for MinGW-w64, whose own rounds twice: then the portable kernels would give other bits there.
#include <cstdint>
#include <cstring>

namespace {

using Wide = unsigned __int128;

constexpr uint64_t hidden_bit = 1ull << 52, infinity_bits = 0x7ffull << 52;

uint64_t bits_of(double x) {
    uint64_t bits;
    std::memcpy(&bits, &x, 8);
    return bits;
}
double from_bits(uint64_t bits) {
    double x;
    std::memcpy(&x, &bits, 8);
    return x;
}
bool is_finite(double x) { return (bits_of(x) & infinity_bits) != infinity_bits; }

// |x| = digits 2^exponent with 2^52 <= digits < 2^53, for a finite x that is not 0.
struct Number {
    uint64_t digits;
    int exponent;

    explicit Number(double x) {
        const uint64_t bits = bits_of(x);
        const int biased = static_cast<int>(bits >> 52 & 0x7ff);
        digits = (bits & (hidden_bit - 1)) | (biased ? hidden_bit : 0);
        exponent = (biased ? biased : 1) - 1075;
        for (; digits < hidden_bit; digits <<= 1) exponent--;
    }
};

// The bits that are shifted out stay visible in the last one.
Wide shifted_right(Wide x, int places) {
    if (places == 0) return x;
    if (places > 127) return 1;
    return x >> places | ((x << (128 - places)) != 0);
}

// x 2^exponent, rounded to nearest, for x != 0.
uint64_t rounded(Wide x, int exponent) {
    int length = 128;
    while (!(x >> (length - 1))) length--;
    const int top = length - 1 + exponent;  // the exponent of the highest digit
    if (top > 1023) return infinity_bits;
    const int kept = top < -1022 ? 53 + 1022 + top : 53;
    if (kept < 0) return 0;
    const int dropped = length - kept;
    uint64_t digits = static_cast<uint64_t>(dropped > 0 ? x >> dropped : x << -dropped);
    if (dropped > 0) {
        const Wide half = static_cast<Wide>(1) << (dropped - 1), rest = x & (2 * half - 1);
        digits += rest > half || (rest == half && digits & 1);
    }
    // A carry goes on into the exponent.
    return top < -1022 ? digits : (static_cast<uint64_t>(top + 1023) << 52) + (digits - hidden_bit);
}

}  // namespace

extern "C" double fma(double x, double y, double z) {
    if (!is_finite(x) || !is_finite(y) || x == 0 || y == 0) return x * y + z;
    if (!is_finite(z)) return z;
    if (z == 0) return x * y;
    const Number a(x), b(y), c(z);
    // Both terms with 126 digits: where one is so much smaller that it loses some, the other cancels none.
    Wide product = static_cast<Wide>(a.digits) * b.digits << 20, term = static_cast<Wide>(c.digits) << 73;
    const int of_product = a.exponent + b.exponent - 20, of_term = c.exponent - 73;
    if (of_product < of_term) product = shifted_right(product, of_term - of_product);
    else term = shifted_right(term, of_product - of_term);
    const int exponent = of_product < of_term ? of_term : of_product;
    const bool product_negative = (bits_of(x) ^ bits_of(y)) >> 63, term_negative = bits_of(z) >> 63;
    if (product_negative == term_negative)
        return from_bits(rounded(product + term, exponent) | uint64_t{product_negative} << 63);
    if (product == term) return 0;
    const bool negative = product > term ? product_negative : term_negative;
    const Wide difference = product > term ? product - term : term - product;
    return from_bits(rounded(difference, exponent) | uint64_t{negative} << 63);
}
