// Included before hwy/foreach_target.h: targets whose vectors have no size at compile time are left
// out, since these kernels keep arrays of vectors. Such processors use NEON.
#pragma once
#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#endif
