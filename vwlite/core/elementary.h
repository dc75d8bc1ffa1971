/* Elementary functions whose results have the same bits on every machine.
 *
 * Those of a C library differ by library, by version, and by processor: glibc takes other code where there are fused
 * multiply-adds. Here every result follows from additions, multiplications and divisions of doubles, rounded to
 * nearest, and from operations on bits.
 *
 * exp and log look up a value at a near point and add a short polynomial of the distance (Tang 1989, "Table-driven
 * implementation of the exponential function in IEEE floating-point arithmetic", ACM TOMS 15(2); Tang 1990, of the
 * logarithm, 16(4); Tang 1992, of expm1, 18(2)). Unlike Tang's, the logarithm multiplies by a reciprocal of 12 bits,
 * whose product is exact in two parts, where he divides. Exact sums and products: Dekker 1971, "A floating-point
 * technique for extending the available precision"; Knuth 1997, section 4.2.2.
 *
 * Errors in units in the last place: exp, log and pow below 0.6, log1p 0.7, expm1 0.8, subnormal ones 1, erfc 8; the
 * brief ones have a relative error below 1e-9, so those of floats are below 0.503. tests/core/test_elementary.py checks
 * that. Special values are as C99 says, but no flags are raised.
 *
 * Tables and polynomials: python -m tests.support.elementary_tables */
#ifndef VWLITE_ELEMENTARY_H
#define VWLITE_ELEMENTARY_H
#include <stdint.h>
#include <string.h>

#define VWL_RARE static __attribute__((cold, noinline, unused))
#define VWL_UNLIKELY(condition) __builtin_expect(!!(condition), 0)

typedef struct {
    double value, rest; /* 2^(j/64) = value (1 + rest) */
} vwl_power_row;

typedef struct {
    double inverse, high, low, steps; /* -log(inverse) = high + low = steps log 2 / 64 */
} vwl_log_row;

#define VWL_STEPS_OF_E 0x1.71547652b82fep+6 /* 64 / log 2 */
#define VWL_STEP_HIGH 0x1.62e42fef8p-7
#define VWL_STEP_LOW 0x1.1cf79abc9e3b4p-42
#define VWL_LOG_2_HIGH 0x1.62e42fefa38p-1
#define VWL_LOG_2_LOW 0x1.ef35793c7673p-45
static const vwl_power_row vwl_powers[64] = {
    {0x1p+0, 0x0p+0}, {0x1.02c9a3e778061p+0, -0x1.160139cd8dc5dp-56},
    {0x1.059b0d3158574p+0, 0x1.cd2523567f613p-55}, {0x1.0874518759bc8p+0, 0x1.0f74e61e6c861p-57},
    {0x1.0b5586cf9890fp+0, 0x1.79aa65d837b6dp-54}, {0x1.0e3ec32d3d1a2p+0, 0x1.ebe3d702f9cd1p-60},
    {0x1.11301d0125b51p+0, -0x1.556522a2fbd0ep-54}, {0x1.1429aaea92dep+0, -0x1.1c923b9d5f416p-54},
    {0x1.172b83c7d517bp+0, -0x1.01b15eaa59348p-55}, {0x1.1a35beb6fcb75p+0, 0x1.b898c3f1353bfp-55},
    {0x1.1d4873168b9aap+0, 0x1.aecf73e3a2f6p-54}, {0x1.2063b88628cd6p+0, 0x1.a6f4144a6c38dp-55},
    {0x1.2387a6e756238p+0, 0x1.68efde3a8a894p-54}, {0x1.26b4565e27cddp+0, 0x1.0472b981fe7f2p-55},
    {0x1.29e9df51fdee1p+0, 0x1.2f7e16d09ab31p-55}, {0x1.2d285a6e4030bp+0, 0x1.b3782720c0ab4p-55},
    {0x1.306fe0a31b715p+0, 0x1.34d754db0abb6p-55}, {0x1.33c08b26416ffp+0, 0x1.fdd395dd3f84ap-55},
    {0x1.371a7373aa9cbp+0, -0x1.24aedcc4b5068p-54}, {0x1.3a7db34e59ff7p+0, -0x1.1d1e83e9436d2p-56},
    {0x1.3dea64c123422p+0, 0x1.59f48a72a4c6dp-55}, {0x1.4160a21f72e2ap+0, -0x1.8a78f4817895bp-58},
    {0x1.44e086061892dp+0, 0x1.363ed60c2ac11p-59}, {0x1.486a2b5c13cdp+0, 0x1.ecce1daa10379p-57},
    {0x1.4bfdad5362a27p+0, 0x1.690cebb7aafbp-56}, {0x1.4f9b2769d2ca7p+0, -0x1.f94340071a38ep-55},
    {0x1.5342b569d4f82p+0, -0x1.8dec6bd0f385fp-56}, {0x1.56f4736b527dap+0, 0x1.3350518fdd78ep-54},
    {0x1.5ab07dd485429p+0, 0x1.063e1e21c5409p-54}, {0x1.5e76f15ad2148p+0, 0x1.432e62b64c035p-54},
    {0x1.6247eb03a5585p+0, -0x1.c33c53bef4da8p-55}, {0x1.6623882552225p+0, -0x1.3cedd78565858p-54},
    {0x1.6a09e667f3bcdp+0, -0x1.3b3efbf5e2228p-54}, {0x1.6dfb23c651a2fp+0, -0x1.367efb86da9eep-57},
    {0x1.71f75e8ec5f74p+0, -0x1.81f647e5a3ecfp-56}, {0x1.75feb564267c9p+0, -0x1.619321e55e68ap-55},
    {0x1.7a11473eb0187p+0, -0x1.b32dcb94da51dp-56}, {0x1.7e2f336cf4e62p+0, 0x1.5ebe1abd66c55p-57},
    {0x1.82589994cce13p+0, -0x1.369b6f13b3734p-54}, {0x1.868d99b4492edp+0, -0x1.4d450d872576ep-54},
    {0x1.8ace5422aa0dbp+0, 0x1.db72fc1f0eab4p-55}, {0x1.8f1ae99157736p+0, 0x1.bf68359f35f44p-56},
    {0x1.93737b0cdc5e5p+0, -0x1.da9b88b6c1e29p-58}, {0x1.97d829fde4e5p+0, -0x1.2434322f4f9aap-54},
    {0x1.9c49182a3f09p+0, 0x1.1affc2b91ce27p-56}, {0x1.a0c667b5de565p+0, -0x1.7c50422622263p-55},
    {0x1.a5503b23e255dp+0, -0x1.1bbd1d3bcbb15p-54}, {0x1.a9e6b5579fdbfp+0, 0x1.469846e735ab3p-55},
    {0x1.ae89f995ad3adp+0, 0x1.c1a7792cb3387p-55}, {0x1.b33a2b84f15fbp+0, -0x1.5c3d956dcaebap-58},
    {0x1.b7f76f2fb5e47p+0, -0x1.8d6f438ad9334p-57}, {0x1.bcc1e904bc1d2p+0, 0x1.4ffd70a5fddcdp-56},
    {0x1.c199bdd85529cp+0, 0x1.36eae30af0cb3p-56}, {0x1.c67f12e57d14bp+0, 0x1.4e08fd10959acp-55},
    {0x1.cb720dcef9069p+0, 0x1.76b2c6c921968p-57}, {0x1.d072d4a07897cp+0, -0x1.fad5d3ffffa6fp-55},
    {0x1.d5818dcfba487p+0, 0x1.4a385a63d07a7p-56}, {0x1.da9e603db3285p+0, 0x1.e5a50d5c192acp-55},
    {0x1.dfc97337b9b5fp+0, -0x1.2d52107b43e1fp-55}, {0x1.e502ee78b3ff6p+0, 0x1.4b604603a88d3p-56},
    {0x1.ea4afa2a490dap+0, -0x1.ff7128fd391fp-55}, {0x1.efa1bee615a27p+0, 0x1.ec3bc41aa2008p-55},
    {0x1.f50765b6e454p+0, 0x1.a64a931d185eep-55}, {0x1.fa7c1819e90d8p+0, 0x1.7893b4d91cd9dp-56},
};
static const vwl_log_row vwl_logs[64] = {
    {0x1.704p+0, -0x1.744f8633f2p-2, 0x1.91e9d1816c06cp-46, -0x1.0c90bb4eeef67p+5},
    {0x1.6cp+0, -0x1.686c81e9b1p-2, -0x1.2bb110af84054p-44, -0x1.03fda8b97997fp+5},
    {0x1.68p+0, -0x1.5d1bdbf581p-2, 0x1.8d6bdc9c7c238p-44, -0x1.f7a8568cb06cfp+4},
    {0x1.644p+0, -0x1.5262deeb99p-2, 0x1.e1b9f70894a01p-44, -0x1.e8302829a60bdp+4},
    {0x1.604p+0, -0x1.46d2d9c28p-2, -0x1.59b275f67f75ap-44, -0x1.d781c01f99dccp+4},
    {0x1.5c8p+0, -0x1.3bdd24eb15p-2, 0x1.257b4970e6ed9p-44, -0x1.c7b1f8c4f51a4p+4},
    {0x1.59p+0, -0x1.31871c9544p-2, -0x1.84fab94cecfd9p-46, -0x1.b8c88dbf8867ap+4},
    {0x1.554p+0, -0x1.26561f1338p-2, -0x1.8b48866faa45fp-44, -0x1.a8a33f17b442bp+4},
    {0x1.51cp+0, -0x1.1bc794fd1dp-2, 0x1.ccf0c747ba7bep-44, -0x1.99684e6769fb3p+4},
    {0x1.4e4p+0, -0x1.111ce4003fp-2, 0x1.b3237096b4b6bp-46, -0x1.8a04c05abb957p+4},
    {0x1.4bp+0, -0x1.071b85fcd6p-2, 0x1.bcb8ba3e01a11p-44, -0x1.7b957ac51aac4p+4},
    {0x1.47cp+0, -0x1.fa01c3bb58p-3, 0x1.a1f71fae1d786p-46, -0x1.6d01becac9ef4p+4},
    {0x1.448p+0, -0x1.e598ed5a88p-3, 0x1.d134bcf1e98a1p-47, -0x1.5e48d25f62ab9p+4},
    {0x1.414p+0, -0x1.d0fb7f2256p-3, 0x1.af52b20633b29p-47, -0x1.4f69f5d83063dp+4},
    {0x1.3e4p+0, -0x1.bdc46ae344p-3, -0x1.625b4023d6505p-44, -0x1.418d98469dbecp+4},
    {0x1.3bp+0, -0x1.a8becfc882p-3, -0x1.e3185cf21b9cfp-44, -0x1.32639636b2836p+4},
    {0x1.38p+0, -0x1.9525a9cf46p-3, 0x1.297137d9f158fp-44, -0x1.24407ab0e073ap+4},
    {0x1.354p+0, -0x1.83040c91bcp-3, -0x1.e5b71c6e66f32p-44, -0x1.172c43298e5b4p+4},
    {0x1.324p+0, -0x1.6f0d28ae56p-3, -0x1.69737c93373dap-44, -0x1.08c588cda79e4p+4},
    {0x1.2f8p+0, -0x1.5c94007598p-3, 0x1.a8d948cd23322p-44, -0x1.f6e456567fe55p+3},
    {0x1.2c8p+0, -0x1.483bccce6ep-3, -0x1.eea52723f6369p-46, -0x1.d98a7d8a605a7p+3},
    {0x1.2ap+0, -0x1.371fc201e8p-3, -0x1.ee8779b2d8abcp-44, -0x1.c0db6cdd94deep+3},
    {0x1.274p+0, -0x1.2423113ba6p-3, 0x1.e3a0078ee9d9cp-44, -0x1.a576ee5f2fd87p+3},
    {0x1.248p+0, -0x1.10f8e42254p-3, 0x1.93b3843396307p-45, -0x1.89d0d0ab430cdp+3},
    {0x1.22p+0, -0x1.fec9131dcp-4, 0x1.54555d1ae6607p-44, -0x1.70742d4ef027fp+3},
    {0x1.1f8p+0, -0x1.db5270187cp-4, -0x1.9277856ae181fp-44, -0x1.56df5328d58c5p+3},
    {0x1.1dp+0, -0x1.b78c82bb1p-4, 0x1.25ef7bc3987e7p-44, -0x1.3d1146d9a8a64p+3},
    {0x1.1a8p+0, -0x1.9375e55594p-4, -0x1.eddc37380c364p-44, -0x1.2309065d29791p+3},
    {0x1.18p+0, -0x1.6f0d28ae58p-4, 0x1.4b4641b664613p-44, -0x1.08c588cda79e4p+3},
    {0x1.15cp+0, -0x1.4e01108a34p-4, -0x1.ae5cfdf2c5ae5p-44, -0x1.e1ddbb910f003p+2},
    {0x1.134p+0, -0x1.28f83450ecp-4, -0x1.a8d75aa119769p-44, -0x1.ac6fbe1c2e666p+2},
    {0x1.11p+0, -0x1.075983599p-4, 0x1.b8ecfe4b59987p-44, -0x1.7beee96b8a281p+2},
    {0x1.0ecp+0, -0x1.cae72fb96p-5, 0x1.efabf2025b1bep-44, -0x1.4b0751e0576bp+2},
    {0x1.0c8p+0, -0x1.868a83084p-5, 0x1.2623a134ac693p-46, -0x1.19b74069f5f0ap+2},
    {0x1.0a8p+0, -0x1.494acc34d8p-5, -0x1.11c78a56fd247p-45, -0x1.db1175160f3bp+1},
    {0x1.084p+0, -0x1.03d5d85e7p-5, -0x1.f778960ed29cfp-44, -0x1.76dcf723ab46ap+1},
    {0x1.064p+0, -0x1.8b31facaap-6, 0x1.3fc78a96e4964p-44, -0x1.1d12b6c687ec6p+1},
    {0x1.04p+0, -0x1.fc0a8b0fcp-7, -0x1.f1e7cf6d3a69cp-50, -0x1.6e79685c2d22ap+0},
    {0x1.02p+0, -0x1.fe02a6b1p-8, -0x1.9e23f0dda40e4p-46, -0x1.6fe50b6ef0851p-1},
    {0x1p+0, 0x0p+0, 0x0p+0, 0x0p+0},
    {0x1.f8p-1, 0x1.020565893p-6, 0x1.611d27c8e8417p-44, 0x1.743ee861f3556p+0},
    {0x1.f08p-1, 0x1.f7a9b1678p-6, 0x1.42ad9271be7d7p-45, 0x1.6b50e297afccep+1},
    {0x1.e9p-1, 0x1.788595a358p-5, -0x1.08b0d083b3a4cp-46, 0x1.0f9a634663addp+2},
    {0x1.e2p-1, 0x1.eea31c0068p-5, 0x1.c3dd83606d891p-44, 0x1.64ce26c067157p+2},
    {0x1.dbp-1, 0x1.333d7f8184p-4, -0x1.692b6a81b8848p-49, 0x1.bb4102f925394p+2},
    {0x1.d4p-1, 0x1.700d30aeacp-4, 0x1.c1e8da99ded32p-49, 0x1.097e38ce60649p+3},
    {0x1.cd8p-1, 0x1.a956d3ecacp-4, 0x1.e63794c02c4afp-44, 0x1.32d13e4692eb7p+3},
    {0x1.c7p-1, 0x1.e3707ee304p-4, 0x1.0f684e6766abdp-45, 0x1.5cba53a0762edp+3},
    {0x1.c1p-1, 0x1.0ce7ecdcccp-3, 0x1.4652dabff5447p-46, 0x1.83f304cdc5aa7p+3},
    {0x1.bacp-1, 0x1.299d30c606p-3, 0x1.d4d0079dc08d9p-44, 0x1.ad5dc4700fe7bp+3},
    {0x1.b5p-1, 0x1.4462b9dc9cp-3, -0x1.84858a711b062p-44, 0x1.d3fd543a4ad5cp+3},
    {0x1.af4p-1, 0x1.5f830a1a5cp-3, 0x1.5226898ffc1bcp-44, 0x1.fb1fdb074bbf7p+3},
    {0x1.a98p-1, 0x1.7b00916516p-3, -0x1.ae75fcb067e57p-44, 0x1.11646e7791469p+4},
    {0x1.a4p-1, 0x1.95a5adcf7p-3, 0x1.7f22858a0ff6fp-47, 0x1.249cd2b13cd6cp+4},
    {0x1.9ecp-1, 0x1.af6895610ep-3, -0x1.148288bf7a937p-45, 0x1.37320a83c1b0ap+4},
    {0x1.998p-1, 0x1.c97f8079d4p-3, 0x1.3b161a8c6e6c5p-45, 0x1.4a03dcbd2e1bep+4},
    {0x1.948p-1, 0x1.e2a877a6b2p-3, 0x1.823817787081ap-44, 0x1.5c2a096a135dcp+4},
    {0x1.8f8p-1, 0x1.fc218be62p-3, 0x1.4bba46f1cf6ap-44, 0x1.6e8a004221b1fp+4},
    {0x1.8acp-1, 0x1.0a504e97bbp-2, 0x1.03094e6690c44p-44, 0x1.80359eb990407p+4},
    {0x1.86p-1, 0x1.16b5ccbadp-2, -0x1.23299042d74bfp-44, 0x1.921800924dd3bp+4},
    {0x1.818p-1, 0x1.22981fbef8p-2, -0x1.a1421609580dap-44, 0x1.a33d25fcb1facp+4},
    {0x1.7dp-1, 0x1.2e9e2bce12p-2, 0x1.4300c128d1dc2p-45, 0x1.b495d4e9185f7p+4},
    {0x1.78cp-1, 0x1.3a1ac802f3p-2, 0x1.98ecf399abd8dp-44, 0x1.c5283c43b891ap+4},
    {0x1.744p-1, 0x1.4668bf41fp-2, -0x1.9af1762c5a8f7p-44, 0x1.d6e8acea8c8c8p+4},
};
/* (e^r - 1 - r) / r^2 */
static const double vwl_exp_terms[4] = {
    0x1.ffffffffff57fp-2, 0x1.5555555555255p-3, 0x1.55556b3307a7cp-5, 0x1.11111d8fc0064p-7,
};
/* 2^(t/64) = (c0 + c1 t) (c2 + t (c3 + t)) */
static const double vwl_brief_exp_factors[4] = {
    0x1.05bf72fa660cfp-15, 0x1.c6b0ae350b073p-23, 0x1.f4c1b9ec97e9bp+14, 0x1.0341a07ed47fap+7,
};
/* (log(1 + r) - r + r^2 / 2) / r^3 */
static const double vwl_log_terms[5] = {
    0x1.5555555555555p-2, -0x1.fffffffa583fap-3, 0x1.9999999492b54p-3, -0x1.555aa6a76e128p-3,
    0x1.2497033505debp-3,
};
/* the same, for pow */
static const double vwl_pow_terms[7] = {
    0x1.5555555555555p-2, -0x1.0000000000036p-2, 0x1.99999999999fcp-3, -0x1.55555548aa4bbp-3,
    0x1.249249190e10dp-3, -0x1.0005f4b3fdbf9p-3, 0x1.c72745f7d557ap-4,
};
/* (log(1 + r) - r) / r^2 */
static const double vwl_brief_log_terms[3] = {
    -0x1p-1, 0x1.5557e2c18ccf1p-2, -0x1.0002208516f14p-2,
};
/* 64 log2(1 + r) / r */
static const double vwl_powf_terms[5] = {
    0x1.71547652b82fep+6, -0x1.7154764ffff7fp+5, 0x1.ec709dbef6babp+4, -0x1.715993a1f2e4ap+4,
    0x1.277b2753678abp+4,
};
/* (e^x - 1 - x - x^2 / 2) / x^3 for |x| < 1/8 */
static const double vwl_expm1_terms[8] = {
    0x1.5555555555555p-3, 0x1.5555555555555p-5, 0x1.1111111114983p-7, 0x1.6c16c16c191b8p-10,
    0x1.a01a008a58145p-13, 0x1.a01a00e6ef4bbp-16, 0x1.71f990347dc7fp-19, 0x1.27f7349f0ada8p-22,
};
/* e^(x^2) erfc x */
static const double vwl_erfc_terms[96] = {
    0x1.33f3abfd60d6fp-6, 0x1.481e34f76a622p-3, 0x1.54b20bd017049p-4, 0x1.2d2f9cb48e36ap-5,
    0x1.9d0a760c7cb73p-7, 0x1.3a38a207ac83ep-9, -0x1.1e87e0e9d090bp-11, -0x1.5112a695892cfp-11,
    -0x1.6f596d81a8f45p-13, 0x1.3253034666c43p-14, 0x1.3ba03a7b367bbp-14, 0x1.1f709bad0953bp-17,
    0x1.08e76c386c63fp-4, 0x1.ad1c3f24ffe6dp-3, 0x1.da58bb7b4d3d8p-4, 0x1.9e8a2a3717076p-5,
    0x1.e1c71f2a8b31bp-7, 0x1.4ce6b28daf78ap-11, -0x1.dd7823e05932dp-10, -0x1.6bece1d6bd904p-11,
    0x1.72a36788d2f03p-13, 0x1.ad3ac340aa14p-13, -0x1.985ca76909027p-18, -0x1.f6de42f6a8c11p-15,
    0x1.004a44af3aa23p-3, 0x1.1c81839e2591bp-2, 0x1.462666039d7e8p-3, 0x1.0a7415496cacfp-4,
    0x1.b9c0b1ffad75bp-7, -0x1.69e3056d6e1e2p-9, -0x1.4650530b2ed74p-9, 0x1.225fc5303334p-15,
    0x1.f55c107dc9a2ap-12, 0x1.092958d875038p-16, -0x1.d818ce36e3365p-14, 0x1.0bbcbb03223e4p-19,
    0x1.a51c36ded2f06p-3, 0x1.7b538c281a311p-2, 0x1.b33fd9e87c632p-3, 0x1.378ad44aa4e89p-4,
    0x1.00f7fb0299ba8p-7, -0x1.8c8127389294fp-8, -0x1.b290d00f1ccfcp-10, 0x1.b688846514b93p-11,
    0x1.04abd0638d899p-12, -0x1.788ba9b5ae55cp-13, -0x1.865405f932272p-16, 0x1.6c2e57982a293p-15,
    0x1.403aebd4e520bp-2, 0x1.f71d6106f4753p-2, 0x1.16006bbb9372dp-2, 0x1.468fcfe169b98p-4,
    -0x1.94ab095f9e7a2p-11, -0x1.df216f02348afp-8, 0x1.1fa6c23153ad3p-18, 0x1.ea9f2c97e42fbp-11,
    -0x1.0859b8efd50dbp-13, -0x1.0077b51c5f3b8p-13, 0x1.a7af28feaff5ap-15, 0x1.ead0f7a546acap-18,
    0x1.d0a634ea4d397p-2, 0x1.489d54486d878p-1, 0x1.51c8dd06978dap-2, 0x1.312d45895fa53p-4,
    -0x1.3561d49015ce7p-7, -0x1.988c1b124b436p-8, 0x1.55b89ea8d397p-10, 0x1.0916aa9637dp-11,
    -0x1.0e9cc6c5c15ebp-12, -0x1.cd5d1a8f47805p-20, 0x1.32f78918c73bp-15, -0x1.905cde6608803p-17,
    0x1.459bb6da1bafbp-1, 0x1.a3da665478c19p-1, 0x1.8678258d59442p-2, 0x1.f8e13d4a66e1ep-5,
    -0x1.02f1234f385bap-6, -0x1.f6875ca4bde95p-9, 0x1.cd219bff9f7c5p-10, 0x1.449e963d99fbbp-15,
    -0x1.8e11c89575ca2p-13, 0x1.9f64dd564fc73p-15, 0x1.a96102c1822a1p-18, -0x1.16c46ced29827p-17,
    0x1.bb3bc32623c5dp-1, 0x1.056c91b512242p+0, 0x1.af397ccd6014dp-2, 0x1.683fb91589eb6p-5,
    -0x1.36d7fa6caca6cp-6, -0x1.51024c565bc0cp-10, 0x1.9957b6b5f8e34p-10, -0x1.db6cf17786f55p-13,
    -0x1.460101253feacp-14, 0x1.75c7a96017842p-15, -0x1.e17c8c4c87fd2p-18, -0x1.09d26988aeb65p-19,
};

#define VWL_MAGIC 0x1.8p52 /* added and subtracted, it rounds to an integer, which is in the low bits in between */
#define VWL_LOG_FIRST 0x3fe6200000000000u /* bits of 0.69140625, where the table of logarithms starts */
#define VWL_INFINITY_BITS 0x7ff0000000000000u

static inline uint64_t vwl_bits(double x) {
    uint64_t bits;
    memcpy(&bits, &x, 8);
    return bits;
}

static inline double vwl_double(uint64_t bits) {
    double x;
    memcpy(&x, &bits, 8);
    return x;
}

static inline double vwl_infinity(void) { return vwl_double(VWL_INFINITY_BITS); }
static inline double vwl_nan(void) { return vwl_double(0x7ff8000000000000u); }
static inline double vwl_magnitude(double x) { return __builtin_fabs(x); } /* clears a bit */

/* 2^k for -1022 <= k <= 1023 */
static inline double vwl_power_of_2(int64_t k) { return vwl_double((uint64_t)(k + 1023) << 52); }

/* x as r + k log 2 / 64, |r| <= log 2 / 128; returns r, and k in two's complement, of which the low 18 bits count */
static inline double vwl_reduce(double x, uint64_t *k) {
    const double shifted = x * VWL_STEPS_OF_E + VWL_MAGIC, steps = shifted - VWL_MAGIC;
    *k = vwl_bits(shifted);
    return x - steps * VWL_STEP_HIGH - steps * VWL_STEP_LOW;
}

/* 2^(k/64), normal */
static inline double vwl_scale(uint64_t k) {
    return vwl_double(vwl_bits(vwl_powers[k & 63].value) + ((k & ~63ull) << 46));
}

/* e^r - 1 to 2^-63 for |r| <= log 2 / 128, plus a small number */
static inline double vwl_exp_rest(double r, double rest) {
    const double *c = vwl_exp_terms, square = r * r;
    return (r + rest) + (square * (c[0] + c[1] * r) + square * square * (c[2] + c[3] * r));
}

/* sign e^(x + low), |low| tiny, where results may be subnormal or infinite, or x is no number */
VWL_RARE double vwl_exp_far(double x, double low, double sign) {
    uint64_t k;
    int64_t exponent;
    double rest, value;
    if (x != x) return x + x;
    if (x > 710) return sign * vwl_infinity();
    if (x < -746) return sign * 0.0;
    rest = vwl_reduce(x, &k) + low;
    exponent = (int64_t)(k & 0x3ffff);                    /* of 18 bits */
    exponent = (exponent ^ 0x20000) - 0x20000;            /* signed */
    exponent = (exponent - (int64_t)(k & 63)) / 64;
    value = sign * vwl_powers[k & 63].value;
    value += value * vwl_exp_rest(rest, vwl_powers[k & 63].rest);
    return value * vwl_power_of_2(exponent / 2) * vwl_power_of_2(exponent - exponent / 2);
}

/* sign e^(x + low), low far below 1 */
static inline double vwl_exp_sum(double x, double low, double sign) {
    uint64_t k;
    double r, scale;
    if (VWL_UNLIKELY(!(vwl_magnitude(x) < 650))) return vwl_exp_far(x, low, sign);
    r = vwl_reduce(x, &k) + low;
    scale = sign * vwl_scale(k);
    return scale + scale * vwl_exp_rest(r, vwl_powers[k & 63].rest);
}

static inline double vwl_exp(double x) {
    uint64_t k;
    double r, scale;
    if (VWL_UNLIKELY(!(vwl_magnitude(x) < 650))) return vwl_exp_far(x, 0, 1);
    r = vwl_reduce(x, &k);
    scale = vwl_scale(k);
    return scale + scale * vwl_exp_rest(r, vwl_powers[k & 63].rest);
}

/* e^x to a relative error of 1e-11; a cubic polynomial as a product, which takes the processor less long than a sum */
static inline double vwl_brief_exp_of_steps(double steps) {
    const double *c = vwl_brief_exp_factors, shifted = steps + VWL_MAGIC, t = steps - (shifted - VWL_MAGIC);
    return (vwl_scale(vwl_bits(shifted)) * (c[0] + c[1] * t)) * (c[2] + t * (c[3] + t));
}

static inline double vwl_brief_exp(double x) {
    if (VWL_UNLIKELY(!(vwl_magnitude(x) < 650))) return vwl_exp_far(x, 0, 1);
    return vwl_brief_exp_of_steps(x * VWL_STEPS_OF_E);
}

static inline float vwl_expf(float x) { return (float)vwl_brief_exp(x); }

static inline double vwl_expm1(double x) {
    uint64_t k;
    double r, scale, high, low;
    if (VWL_UNLIKELY(x == 0)) return x;
    if (vwl_magnitude(x) < 0.125) {
        const double *c = vwl_expm1_terms, square = x * x, fourth = square * square;
        const double rest = ((c[0] + c[1] * x) + square * (c[2] + c[3] * x))
                            + fourth * ((c[4] + c[5] * x) + square * (c[6] + c[7] * x));
        return x + square * (0.5 + x * rest);
    }
    if (!(x < 700)) return vwl_exp(x); /* infinity, NaN, or 1 is lost by far */
    if (x < -45) return -1;
    r = vwl_reduce(x, &k);
    scale = vwl_scale(k);
    high = scale - 1;
    low = scale > 1 ? scale - high - 1 : scale - (high + 1);
    return high + (low + scale * vwl_exp_rest(r, vwl_powers[k & 63].rest));
}

/* A positive number as 2^k z, z in a row of the table; z times the row's inverse is 1 + r + rest exactly */
typedef struct {
    double k, r, rest;
    uint64_t exponent; /* k << 52 */
    const vwl_log_row *row;
} vwl_log_place;

/* bits: those of a normal number; if subnormal, those of 2^52 times it, less the exponent 52 */
static inline vwl_log_place vwl_place(uint64_t bits) {
    const uint64_t from = bits - VWL_LOG_FIRST, exponent = from & 0xfff0000000000000u, z_bits = bits - exponent;
    const vwl_log_row *row = vwl_logs + (from >> 46 & 63);
    const double z = vwl_double(z_bits), upper = vwl_double(z_bits & 0xffffffff00000000u), product = z * row->inverse;
    const double rest = upper * row->inverse - product + (z - upper) * row->inverse;
    const vwl_log_place place = {(double)((int64_t)exponent >> 52), product - 1, rest, exponent, row};
    return place;
}

static inline uint64_t vwl_bits_of_subnormal(double x) { return vwl_bits(x * 0x1p52) - (52ull << 52); }

static inline double vwl_log_sum(vwl_log_place p) {
    const double *c = vwl_log_terms, r = p.r, square = r * r, cube = square * r;
    const double whole = p.k * VWL_LOG_2_HIGH + p.row->high, high = whole + r, low = whole - high + r; /* exact */
    const double terms = cube * (c[0] + c[1] * r) + cube * square * ((c[2] + c[3] * r) + square * c[4]);
    return high + ((low + (p.rest - p.rest * r + (p.row->low + p.k * VWL_LOG_2_LOW)) - 0.5 * square) + terms);
}

static inline int vwl_is_normal_positive(uint64_t bits) {
    return bits - (1ull << 52) < VWL_INFINITY_BITS - (1ull << 52);
}

VWL_RARE double vwl_log_far(double x) {
    if (x != x || x == vwl_infinity()) return x + x;
    if (x == 0) return -vwl_infinity();
    return x < 0 ? vwl_nan() : vwl_log_sum(vwl_place(vwl_bits_of_subnormal(x)));
}

static inline double vwl_log(double x) {
    const uint64_t bits = vwl_bits(x);
    if (VWL_UNLIKELY(!vwl_is_normal_positive(bits))) return vwl_log_far(x);
    return vwl_log_sum(vwl_place(bits));
}

/* log x to a relative error of 1e-9 */
static inline double vwl_brief_log(double x) {
    const uint64_t bits = vwl_bits(x), from = bits - VWL_LOG_FIRST;
    const vwl_log_row *row = vwl_logs + (from >> 46 & 63);
    const double *c = vwl_brief_log_terms, z = vwl_double(bits - (from & 0xfff0000000000000u));
    const double r = z * row->inverse - 1, square = r * r;
    const double whole = (double)((int64_t)from >> 52) * 0x1.62e42fefa39efp-1 + row->high;
    if (VWL_UNLIKELY(!vwl_is_normal_positive(bits))) return vwl_log_far(x);
    return (whole + r + square * c[0]) + square * r * (c[1] + c[2] * r);
}

static inline float vwl_logf(float x) { return (float)vwl_brief_log(x); }

/* 1 + x is rounded to u; with v the rest, log(u + v) = log u + log(1 + v / u) */
static inline double vwl_log1p(double x) {
    const double u = 1 + x, part = u - 1, v = (1 - (u - part)) + (x - part);
    vwl_log_place p;
    if (VWL_UNLIKELY(!(x > -1 && x < 0x1p1000) || x == 0)) return x == 0 ? x : vwl_log(u);
    p = vwl_place(vwl_bits(u));
    p.rest += v * vwl_double(0x3ff0000000000000u - p.exponent) * p.row->inverse; /* v / 2^k / c */
    return vwl_log_sum(p);
}

/* x without its low 27 bits */
static inline double vwl_upper_half(double x) { return vwl_double(vwl_bits(x) & ~((1ull << 27) - 1)); }

/* sign x^y for a normal positive x: e^(y log x), log x to 2^-66 of itself and the product exactly */
static inline double vwl_power(uint64_t bits, double y, double sign) {
    const vwl_log_place p = vwl_place(bits);
    const double *c = vwl_pow_terms, r = p.r + p.rest, r_rest = p.r - r + p.rest, half = vwl_upper_half(r);
    const double first = half * half * -0.5, second = (r + half) * (r - half) * -0.5 - r * r_rest; /* -r^2 / 2 */
    const double k = p.k, square = r * r;
    const double whole = k * VWL_LOG_2_HIGH + p.row->high, sum = whole + r, high = sum + first;
    const double terms = ((c[0] + c[1] * r) + square * (c[2] + c[3] * r))
                         + square * square * ((c[4] + c[5] * r) + square * c[6]);
    const double low = (sum - high + first) + (whole - sum + r)
                       + (r_rest + second + (p.row->low + k * VWL_LOG_2_LOW) + r * square * terms);
    const double log = high + low, log_rest = high - log + low;
    const double x = y * log, a = vwl_upper_half(y), b = vwl_upper_half(log);
    const double rest = a * b - x + ((y - a) * b + a * (log - b)) + (y - a) * (log - b) + y * log_rest;
    return vwl_exp_sum(x, rest, sign);
}

/* 0: y is not an integer; 1: odd; 2: even */
static inline int vwl_parity(double y) {
    const int exponent = (int)(vwl_bits(y) >> 52 & 0x7ff) - 1023;
    uint64_t unit;
    if (exponent < 0 || exponent > 52) return exponent < 0 ? 0 : 2;
    unit = 1ull << (52 - exponent);
    if (vwl_bits(y) & (unit - 1)) return 0;
    return exponent == 0 || vwl_bits(y) & unit ? 1 : 2;
}

/* The other cases of pow, in the order of C99, F.9.4.4 */
VWL_RARE double vwl_pow_far(double x, double y) {
    const double size = vwl_magnitude(x), infinity = vwl_infinity();
    const int parity = vwl_parity(y);
    const double sign = parity == 1 && vwl_bits(x) >> 63 ? -1 : 1;
    if (y == 0 || x == 1) return 1;
    if (x != x || y != y) return x + y;
    if (vwl_magnitude(y) == infinity) return size == 1 ? 1 : (size > 1) == (y > 0) ? infinity : 0;
    if (x == 0 || size == infinity) return sign * ((x == 0) == (y > 0) ? 0 : infinity);
    if (x < 0 && !parity) return vwl_nan();
    if (size == 1) return sign;
    if (vwl_magnitude(y) < 0x1p-65) return 1;
    if (vwl_magnitude(y) > 0x1p64) return sign * ((size > 1) == (y > 0) ? infinity : 0);
    if (size < 0x1p-1022) return vwl_power(vwl_bits_of_subnormal(size), y, sign);
    return vwl_power(vwl_bits(size), y, sign);
}

static inline double vwl_pow(double x, double y) {
    const uint64_t bits = vwl_bits(x);
    const double size = vwl_magnitude(y);
    if (VWL_UNLIKELY(!vwl_is_normal_positive(bits) || !(size > 0x1p-65 && size < 0x1p64))) return vwl_pow_far(x, y);
    return vwl_power(bits, y, 1);
}

/* 2^(y log2 x), the exponent times 64 as the table of powers has it */
static inline float vwl_powf(float x, float y) {
    const uint64_t bits = vwl_bits(x), from = bits - VWL_LOG_FIRST, exponent = from & 0xfff0000000000000u;
    const vwl_log_row *row = vwl_logs + (from >> 46 & 63);
    const double *c = vwl_powf_terms, r = vwl_double(bits - exponent) * row->inverse - 1, square = r * r;
    const double whole = (double)((int64_t)exponent >> 46) + row->steps, yr = y * r;
    const double steps = (y * whole + yr * (c[0] + c[1] * r)) + yr * square * ((c[2] + c[3] * r) + square * c[4]);
    if (VWL_UNLIKELY(!(vwl_is_normal_positive(bits) && vwl_magnitude(steps) < 60000))) return (float)vwl_pow(x, y);
    return (float)vwl_brief_exp_of_steps(steps);
}

/* e^(x^2) erfc x is smooth: a polynomial in each of 8 equal parts of 0 < 4 / (2 + x) <= 2; x^2 in two parts */
static inline double vwl_erfc(double x) {
    const double size = vwl_magnitude(x), a = vwl_upper_half(size), u = 4 / (2 + size);
    const double shifted = u * 3.999 - 0.5 + VWL_MAGIC, t = u - (shifted - VWL_MAGIC + 0.5) * 0.25;
    const double *c = vwl_erfc_terms + 12 * (vwl_bits(shifted) & 7), t2 = t * t, t4 = t2 * t2;
    double value;
    if (VWL_UNLIKELY(!(size > 0 && size < 27.3))) return x != x ? x + x : x == 0 ? 1 : x > 0 ? 0 : 2;
    value = ((c[0] + c[1] * t) + t2 * (c[2] + c[3] * t)) + t4 * ((c[4] + c[5] * t) + t2 * (c[6] + c[7] * t))
            + t4 * t4 * ((c[8] + c[9] * t) + t2 * (c[10] + c[11] * t));
    value *= vwl_exp_sum(-a * a, (a - size) * (a + size), 1);
    return x < 0 ? 2 - value : value;
}

#endif
